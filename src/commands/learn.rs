//! `sessiontut learn`.

mod allowed;
mod in_process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::chosen::{self, Choice, RedisArgs};
use super::guest;
use super::values::suggesting;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::exit::Exit;
use crate::learn::connection::{LessonConnection, SendError};
use crate::learn::course::{Course, CourseEnd, CourseState, Guest, standings};
use crate::learn::learner::{Learner, Standing};
use crate::learn::lesson_files::{LessonFiles, Lessons, built_in_names};
use crate::learn::name::{FIRST_NAME, NameLock, Taken};
use crate::learn::progress::{self, Progress};
use crate::learn::sandbox::Sandbox;
use crate::learn::{Lesson, LessonError, language_named};
use crate::redis_url::{Origin, Target};
use crate::signals::{Alarm, Interrupted, Stop};
use crate::state;
use crate::ui;
use crate::ui::learn::{Robot, TerminalLearner};

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Lesson to take: its number, its name, or part of its title [default: where you left off]
    #[arg(hide_possible_values = true, value_parser = suggesting(built_in_names))]
    pub lesson: Option<String>,
    /// List the lessons, and show which ones you have completed
    #[arg(long, conflicts_with_all = ["yes", "reset", "check"])]
    pub list: bool,
    /// Reset your progress in a lesson (default: the current one) or in all lessons, and delete the keys of these
    /// lessons
    #[arg(long, value_name = "LESSON|all", num_args = 0..=1, conflicts_with_all = ["yes", "check"])]
    pub reset: Option<Option<String>>,
    /// Run the lessons without a learner: enter the solutions, wait where a learner must wait, and exit with 0
    /// only if every check passes
    #[arg(long)]
    pub yes: bool,
    /// Show code in this language: python, javascript, rust, ruby, php, go
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Read the lessons from this folder, from files that are named NN-id.md
    #[arg(long, value_name = "DIR")]
    pub lessons: Option<PathBuf>,
    /// Validate the lessons without running them
    #[arg(long, conflicts_with = "yes")]
    pub check: bool,
    /// Print a summary of the course (as Markdown, unless the output is a terminal)
    #[arg(long, conflicts_with_all = ["yes", "reset", "check", "list", "lesson"])]
    pub cheat_sheet: bool,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Time limit for all lessons with `--yes`.
const UNATTENDED_WITHIN: Duration = Duration::from_secs(180);

const DEFAULT_LANGUAGE: &str = "python";

pub(super) fn run(args: &LearnArgs) -> Result<Exit, Error> {
    if args.cheat_sheet {
        ui::learn::cheat_sheet();
        return Ok(Exit::Ok);
    }
    let files = LessonFiles {
        folder: args.lessons.clone(),
        may_run: allowed::check,
    };
    let lessons = files
        .read(FIRST_NAME)
        .map_err(|error| Error::usage(format!("cannot list the lessons in {files}: {error}")))?;
    if args.check {
        return Ok(check(&files, lessons));
    }
    for error in &lessons.errors {
        ui::note(&error.to_string());
    }
    if lessons.list.is_empty() {
        return Err(anyhow::anyhow!("there are no lessons in {files}").into());
    }
    if args.list {
        ui::learn::list(&standings(&lessons, &progress()));
        return Ok(Exit::Ok);
    }
    if let Some(which) = &args.reset {
        return reset(args, &lessons, which.as_deref());
    }
    if !args.yes && !ui::is_interactive() {
        return Err(Error::usage(
            "lessons need a terminal; to run them without a learner, use `sessiontut learn --yes`",
        ));
    }
    if !args.yes && args.lesson.is_none() {
        let progress = progress();
        let standings = standings(&lessons, &progress);
        if standings.iter().all(|(_, standing)| *standing == Standing::Done) {
            ui::learn::list(&standings);
            ui::told("you have completed all lessons");
            tell_what_is_next();
            return Ok(Exit::Ok);
        }
    }
    teach(args, &files, lessons)
}

fn check(files: &LessonFiles, lessons: Lessons) -> Exit {
    let mut errors = lessons.errors;
    errors.extend(
        lessons
            .list
            .iter()
            .flat_map(|lesson| files.compare_examples(lesson)),
    );
    errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    ui::learn::checked(&lessons.list, &errors);
    if errors.is_empty() { Exit::Ok } else { Exit::No }
}

fn progress() -> Progress {
    let (progress, problem) = progress::read(state::open_folder());
    if let Some(problem) = problem {
        ui::note(&problem);
    }
    progress
}

/// Returns the index of the lesson to start with: the lesson in the arguments, the current lesson, the first
/// incomplete lesson, or the first lesson.
fn first(args: &LearnArgs, lessons: &Lessons, progress: &Progress) -> Result<usize, String> {
    if let Some(word) = &args.lesson {
        return lessons.find(word);
    }
    let current = progress.record.current.as_deref();
    let is_current = |lesson: &Lesson| Some(lesson.id.as_str()) == current;
    let is_open = |lesson: &Lesson| !progress.record.of(&lesson.id).done;
    let position = |is: &dyn Fn(&Lesson) -> bool| lessons.list.iter().position(is);
    Ok(position(&is_current).or_else(|| position(&is_open)).unwrap_or(0))
}

/// Runs the lessons at the terminal or, with `--yes`, unattended. An unattended run takes all lessons, or the
/// lesson in the arguments, and neither reads nor saves progress.
fn teach(args: &LearnArgs, files: &LessonFiles, mut lessons: Lessons) -> Result<Exit, Error> {
    let deadline = args.yes.then(|| Deadline::after(UNATTENDED_WITHIN));
    let mut progress = if args.yes {
        Progress::in_memory()
    } else {
        progress()
    };
    let first = first(args, &lessons, &progress).map_err(Error::Usage)?;
    if let Some(language) = &args.lang {
        progress.record.language = Some(language_named(language));
    }
    let language = language_named(progress.record.language.as_deref().unwrap_or(DEFAULT_LANGUAGE));
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let _alarm = deadline.map(|deadline| {
        Alarm::set(deadline, || {
            ui::note("sessiontut: the lessons did not stop in time");
            Exit::No
        })
    });
    let choice = Arc::new(chosen::choose(args.redis.url.as_deref())?);
    let target = &choice.target;
    let mut connection = connection(args, &choice, stop.clone())?;
    let mut last_app = None;
    let mut run_command =
        |words: &[String]| in_process::run(words, &args.redis, &choice, args.yes, &mut last_app);
    let errors = std::mem::take(&mut lessons.errors);
    let mut robot = Robot::new(args.lesson.is_some());
    let mut person = None;
    let learner: &mut dyn Learner = if args.yes {
        &mut robot
    } else {
        connection = connection.with_notice(Box::new(ui::learn::waiting_for));
        person.insert(TerminalLearner::new(stop))
    };
    let sandbox = Sandbox::new(connection);
    let mut course = Course {
        files,
        lessons,
        progress,
        sandbox,
        learner,
        run_command: &mut run_command,
        language,
        guest: may_use(args, target),
        deadline,
        state: CourseState::default(),
    };
    let ended = course.teach(first);
    let guest = course.guest;
    let removed = course.clean_up();
    drop(course);
    drop(person);
    if guest == Guest::Agreed && !args.yes {
        guest::remember(target);
    }
    if !removed {
        note_keys_left(args.yes);
    }
    choice.close();
    Ok(match ended {
        Err(Interrupted) if args.yes => Exit::Interrupted,
        Ok(ended) if args.yes => report(&robot, ended, &errors),
        _ => good_bye(ended),
    })
}

fn note_keys_left(is_unattended: bool) {
    if is_unattended {
        ui::note("the keys of the lesson could not be removed");
    } else {
        ui::note(
            "the keys of the lesson could not be removed; the next run of `sessiontut learn` removes them",
        );
    }
}

/// Suggestions for a learner who has completed the last lesson.
const NEXT: &[&str] = &[
    "`sessiontut learn --cheat-sheet` prints these rules and all commands",
    "`sessiontut serve` shows the app, and its complete code on the page /source",
    "`sessiontut login ada`, `visits`, `expire`, `session` and `logout` each run one operation of the session store",
    "`sessiontut drill` lets you practise finding the cause of a connection problem",
    "`sessiontut learn LESSON` repeats a lesson, and `sessiontut learn --reset all` starts the course again",
];

fn tell_what_is_next() {
    for line in NEXT {
        ui::told(line);
    }
}

fn good_bye(ended: Result<CourseEnd, Interrupted>) -> Exit {
    match ended {
        Ok(CourseEnd::AllDone) => {
            tell_what_is_next();
            Exit::Ok
        }
        Ok(_) => {
            ui::told("`sessiontut learn` continues where you left off");
            Exit::Ok
        }
        Err(Interrupted) => {
            ui::told("interrupted; `sessiontut learn` continues where you left off");
            Exit::Interrupted
        }
    }
}

fn report(robot: &Robot, ended: CourseEnd, errors: &[LessonError]) -> Exit {
    if let Some(unavailable) = &robot.unavailable {
        ui::note(&format!("sessiontut: the lessons stopped: {unavailable}"));
        for fix in &unavailable.fixes {
            ui::note(&format!("  {fix}"));
        }
        return unavailable.exit;
    }
    if ended == CourseEnd::OutOfTime {
        let limit = UNATTENDED_WITHIN.as_secs();
        ui::note(&format!(
            "sessiontut: the lessons stopped at their time limit of {limit} s"
        ));
    }
    // If the arguments name a lesson, ignore errors in the files of other lessons.
    let errors = if robot.takes_one_lesson { &[] } else { errors };
    let passed = robot.summarize(errors);
    if passed && ended != CourseEnd::OutOfTime {
        Exit::Ok
    } else {
        Exit::No
    }
}

fn may_use(args: &LearnArgs, target: &Target) -> Guest {
    if target.origin == Origin::Practice || (!args.yes && guest::is_known(target)) {
        Guest::Known
    } else {
        Guest::ToAsk
    }
}

fn connection(args: &LearnArgs, choice: &Arc<Choice>, stop: Stop) -> Result<LessonConnection, Error> {
    let current = Arc::clone(choice);
    let current_target = Arc::new(move || current.target_now());
    let (target, trust) = (choice.target.clone(), chosen::trust(&args.redis.trust));
    Ok(LessonConnection::new(target, current_target, trust, stop)?)
}

/// Resets the progress in the chosen lessons, and removes the learner's keys (`--reset`).
fn reset(args: &LearnArgs, lessons: &Lessons, which: Option<&str>) -> Result<Exit, Error> {
    let mut progress = progress();
    let word = which
        .or(args.lesson.as_deref())
        .or(progress.record.current.as_deref());
    let reset: Vec<&Lesson> = match word {
        Some("all") => lessons.list.iter().collect(),
        Some(word) => vec![&lessons.list[lessons.find(word).map_err(Error::Usage)?]],
        None => {
            return Err(Error::usage(
                "no lesson is in progress; use `sessiontut learn --reset LESSON` or `--reset all`",
            ));
        }
    };
    for lesson in &reset {
        progress.record.forget(&lesson.id);
    }
    let choice = Arc::new(chosen::choose(args.redis.url.as_deref())?);
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let mut sandbox = Sandbox::new(connection(args, &choice, stop)?);
    let removed = remove_keys(&mut sandbox, &progress);
    if let Ok(true) = removed {
        (progress.record.keys, progress.record.name) = (Vec::new(), None);
    }
    if let Err(problem) = progress.save() {
        ui::note(&problem);
    }
    choice.close();
    let what = match reset.as_slice() {
        [lesson] => format!("lesson {} starts", lesson.number),
        _ => "all lessons start".to_owned(),
    };
    Ok(match removed {
        Ok(true) => {
            ui::told(&format!("{what} from the beginning; the keys have been removed"));
            Exit::Ok
        }
        Ok(false) => {
            ui::told(&format!("{what} from the beginning"));
            ui::note("another learner is using the keys at the moment, so they have not been removed");
            Exit::Ok
        }
        Err(SendError::Interrupted(_)) => Exit::Interrupted,
        Err(SendError::Unavailable(unavailable)) => {
            ui::told(&format!("{what} from the beginning"));
            ui::note(&format!(
                "sessiontut: the keys could not be removed: {unavailable}"
            ));
            unavailable.exit
        }
    })
}

/// Removes the keys that this learner's lessons left behind, but no keys of other people. Returns false without
/// removing any key if a learner with the same name is taking a lesson.
fn remove_keys(sandbox: &mut Sandbox, progress: &Progress) -> Result<bool, SendError> {
    let record = &progress.record;
    let name = record.name.as_deref().unwrap_or(FIRST_NAME);
    let lock = match NameLock::take(&mut sandbox.connection, name)? {
        Taken::InUse => return Ok(false),
        Taken::Yes(lock) => Some(lock),
        Taken::NotPossible => None,
    };
    sandbox.adopt(record.keys.iter().map(|key| key.clone().into_bytes()));
    let removed = sandbox.clear();
    if let Some(lock) = lock {
        lock.release(&mut sandbox.connection);
    }
    removed.map(|()| true)
}
