//! `sessiontut learn`.

mod opening;
mod own;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::LearnArgs;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::learn::course::{Course, Ended, Guest, standings};
use crate::learn::link::{Link, Trouble};
use crate::learn::lock::{Attempt, Lock};
use crate::learn::names::FIRST_NAME;
use crate::learn::progress::Progress;
use crate::learn::scene::Scene;
use crate::learn::stop::Stop;
use crate::learn::{Book, Language, Lesson, Shelf, unattended};
use crate::session::neighbours::notice;
use crate::ui;
use opening::Opening;
use own::{Beside, OwnCommands};

/// What all lessons together may take when they run by themselves.
const UNATTENDED_WITHIN: Duration = Duration::from_secs(180);

/// The language that code is shown in when nobody has said which.
const FIRST_LANGUAGE: &str = "python";

pub(super) fn run(args: &LearnArgs) -> anyhow::Result<Exit> {
    let shelf = args.lessons.clone().map_or(Shelf::BuiltIn, Shelf::Folder);
    let book = match shelf.read(FIRST_NAME) {
        Ok(book) => book,
        Err(fault) => return Ok(usage(&format!("cannot list the lessons in {shelf}: {fault}"))),
    };
    if args.check {
        return Ok(check(&shelf, book));
    }
    ui::learn::refused(&book.refusals);
    if book.lessons.is_empty() {
        anyhow::bail!("there is no lesson in {shelf}");
    }
    if args.list {
        let progress = progress();
        ui::learn::list(&standings(&book, &progress));
        return Ok(Exit::Ok);
    }
    if let Some(which) = &args.reset {
        return reset(args, &book, which.as_deref());
    }
    if args.yes {
        return run_unattended(args, &shelf, book);
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        ui::note("sessiontut: lessons need a terminal; without one, `learn --yes` runs them unattended");
        return Ok(Exit::Usage);
    }
    teach(args, &shelf, book)
}

fn check(shelf: &Shelf, book: Book) -> Exit {
    let mut refusals = book.refusals;
    refusals.extend(book.lessons.iter().flat_map(|lesson| shelf.differences(lesson)));
    refusals.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    ui::learn::checked(&book.lessons, &refusals);
    if refusals.is_empty() { Exit::Ok } else { Exit::No }
}

/// The learner's progress; what is wrong with it is said in one line.
fn progress() -> Progress {
    let (progress, line) = Progress::read(crate::state::folder().as_deref());
    if let Some(line) = line {
        ui::note(&line);
    }
    progress
}

/// The place of the lesson to begin with.
fn first(args: &LearnArgs, book: &Book, progress: &Progress) -> Result<usize, String> {
    if let Some(word) = &args.lesson {
        return book.find(word);
    }
    let current = progress.current();
    let left = book
        .lessons
        .iter()
        .position(|lesson| Some(lesson.id.as_str()) == current);
    let open = || {
        book.lessons
            .iter()
            .position(|lesson| !progress.of(&lesson.id).done)
    };
    Ok(left.or_else(open).unwrap_or(0))
}

/// Lessons by hand.
fn teach(args: &LearnArgs, shelf: &Shelf, book: Book) -> anyhow::Result<Exit> {
    let mut progress = progress();
    let place = match first(args, &book, &progress) {
        Ok(place) => place,
        Err(line) => return Ok(usage(&line)),
    };
    if let Some(language) = &args.lang {
        progress.prefer(&Language::named(language).0);
    }
    let language = Language::named(progress.language().unwrap_or(FIRST_LANGUAGE));
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let opening = match Opening::new(&args.redis)? {
        Ok(opening) => opening,
        Err(exit) => return Ok(exit),
    };
    let link = Link::new(opening.choice.target.clone(), opening.trust.clone(), stop.clone())?;
    let scene = Scene::new(link.telling(Box::new(ui::learn::asking)));
    let mut room = ui::learn::Room::new(stop.clone());
    let mut commands = OwnCommands::new(&args.redis, &opening.choice.target, Beside::ForTheLearner);
    let mut course = Course::new(shelf, book, progress, scene, &mut room, &mut commands, language);
    course.guest = opening.guest();
    let ended = course.teach(place);
    if course.guest == Guest::Agreed {
        opening.remember();
    }
    let is_tidy = course.tidy();
    if !is_tidy {
        ui::note("the lesson's keys could not be removed just now: the next `sessiontut learn` does it");
    }
    drop(course);
    opening.close();
    Ok(match ended {
        Ok(Ended::AllDone) => {
            ui::told(
                "`sessiontut learn LESSON` opens one of them again; `sessiontut drill` asks what is wrong with a Redis",
            );
            Exit::Ok
        }
        Ok(Ended::Left) => {
            ui::told("`sessiontut learn` goes on where you left");
            Exit::Ok
        }
        Err(_) => {
            let how = if is_tidy { ", and tidied up" } else { "" };
            ui::told(&format!(
                "left at once{how}; `sessiontut learn` goes on where you left"
            ));
            Exit::Interrupted
        }
    })
}

/// `--yes`: all lessons, or the one that is named, from their start; progress is neither read nor written.
fn run_unattended(args: &LearnArgs, shelf: &Shelf, mut book: Book) -> anyhow::Result<Exit> {
    let deadline = Deadline::after(UNATTENDED_WITHIN);
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let only = match args.lesson.as_deref().map(|word| book.find(word)).transpose() {
        Ok(only) => only,
        Err(line) => return Ok(usage(&line)),
    };
    let opening = match Opening::new(&args.redis)? {
        Ok(opening) => opening,
        Err(exit) => return Ok(exit),
    };
    let mut scene = Scene::new(Link::new(
        opening.choice.target.clone(),
        opening.trust.clone(),
        stop,
    )?);
    let mut commands = OwnCommands::new(&args.redis, &opening.choice.target, Beside::DrivenByUs);
    let ran = take_some_name(&mut scene).and_then(|(name, lock)| {
        if name != FIRST_NAME {
            ui::note(&format!(
                "somebody else is in a lesson on this Redis: these run as {name}"
            ));
            if let Ok(renamed) = shelf.read(&name) {
                book = renamed;
            }
        }
        commands.name = name;
        let lessons: Vec<&Lesson> = match only {
            Some(place) => book.lessons.get(place).into_iter().collect(),
            None => book.lessons.iter().collect(),
        };
        let ran = unattended::run(&lessons, &mut scene, &mut commands, deadline, &mut |event| {
            ui::learn::unattended(&event);
        });
        scene.leave();
        if let Some(lock) = lock {
            lock.release(&mut scene.link);
        }
        ran
    });
    opening.close();
    Ok(match ran {
        Ok(tally) => {
            // A lesson that was asked for by name does not answer for the others.
            let refused = if only.is_some() { 0 } else { book.refusals.len() };
            ui::learn::tallied(&tally, refused);
            if tally.failed == 0 && refused == 0 {
                Exit::Ok
            } else {
                Exit::No
            }
        }
        Err(Trouble::Interrupted(_)) => Exit::Interrupted,
        Err(Trouble::Redis(unanswered)) => {
            ui::note(&format!("sessiontut: the lessons could not go on: {unanswered}"));
            for fix in &unanswered.fixes {
                ui::note(&format!("  {fix}"));
            }
            unanswered.exit
        }
    })
}

/// Nobody is there to choose a name: the lessons' own, or one that nobody has.
fn take_some_name(scene: &mut Scene) -> Result<(String, Option<Lock>), Trouble> {
    if !scene.link.is_practice()
        && let Some(others) = notice(scene.link.keys_of_others()?)
    {
        ui::note(&format!("{others}; only keys under sessiontut: are written"));
    }
    let mut name = FIRST_NAME.to_owned();
    loop {
        match Lock::take(&mut scene.link, &name)? {
            Attempt::Taken(lock) => return Ok((name, Some(lock))),
            Attempt::Impossible => return Ok((name, None)),
            Attempt::Busy => name = format!("{FIRST_NAME}-{}", opening::random_letters()),
        }
    }
}

/// `--reset`: forgets progress, and removes the keys.
fn reset(args: &LearnArgs, book: &Book, which: Option<&str>) -> anyhow::Result<Exit> {
    let mut progress = progress();
    let word = which
        .or(args.lesson.as_deref())
        .or(progress.current())
        .map(str::to_owned);
    let lessons: Vec<&Lesson> = match word.as_deref() {
        Some("all") => book.lessons.iter().collect(),
        Some(word) => match book.find(word) {
            Ok(place) => vec![&book.lessons[place]],
            Err(line) => return Ok(usage(&line)),
        },
        None => {
            return Ok(usage(
                "you are in no lesson; name one, or `all`: `sessiontut learn --reset all`",
            ));
        }
    };
    for lesson in &lessons {
        progress.forget(&lesson.id);
    }
    let opening = match Opening::new(&args.redis)? {
        Ok(opening) => opening,
        Err(exit) => return Ok(exit),
    };
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let mut scene = Scene::new(Link::new(
        opening.choice.target.clone(),
        opening.trust.clone(),
        stop,
    )?);
    scene.adopt(progress.keys().iter().map(|key| key.clone().into_bytes()));
    let removed = lessons.iter().try_for_each(|lesson| scene.open(lesson));
    if removed.is_ok() {
        progress.note_keys(Vec::new());
    }
    if let Err(line) = progress.save() {
        ui::note(&line);
    }
    opening.close();
    let names = match lessons.as_slice() {
        [lesson] => format!("lesson {} begins", lesson.number),
        _ => "all lessons begin".to_owned(),
    };
    Ok(match removed {
        Ok(()) => {
            ui::told(&format!("{names} at the start; the keys are removed"));
            Exit::Ok
        }
        Err(Trouble::Interrupted(_)) => Exit::Interrupted,
        Err(Trouble::Redis(unanswered)) => {
            ui::told(&format!("{names} at the start"));
            ui::note(&format!(
                "sessiontut: the keys could not be removed: {unanswered}"
            ));
            unanswered.exit
        }
    })
}

fn usage(line: &str) -> Exit {
    ui::note(&format!("sessiontut: {line}"));
    Exit::Usage
}
