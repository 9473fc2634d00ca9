//! `sessiontut drill`.

use anyhow::Context as _;

use super::Error;
use crate::cli::DrillArgs;
use crate::drill::{self, DrillFault, FAULTS, Score};
use crate::exit::Exit;
use crate::signals::{self, Stop};
use crate::ui;

pub(super) fn run(args: &DrillArgs) -> Result<Exit, Error> {
    let chosen = args.fault.as_deref().map(named).transpose()?;
    let (score, problem) = Score::read();
    if args.list {
        ui::drill::list(&score);
        return Ok(Exit::Ok);
    }
    if args.serve {
        return serve(chosen.unwrap_or_else(|| score.next()));
    }
    if !ui::is_interactive() {
        return Err(Error::usage(
            "drill needs a terminal; use drill --serve FAULT to run an endpoint without the quiz",
        ));
    }
    if let Some(problem) = problem {
        ui::note(&problem);
    }
    ask(chosen.unwrap_or_else(|| score.next()), score)
}

fn named(name: &str) -> Result<&'static DrillFault, Error> {
    drill::find(name).ok_or_else(|| {
        Error::usage(format!(
            "drill {name}: unknown fault; drill --list shows all faults"
        ))
    })
}

/// Runs only the endpoint, without the quiz.
fn serve(fault: &DrillFault) -> Result<Exit, Error> {
    let endpoint = drill::start(fault).context("the drill's endpoint cannot start")?;
    ui::drill::serving(&endpoint);
    signals::wait()?;
    Ok(Exit::Ok)
}

/// Runs the endpoint until the learner has answered.
fn ask(fault: &'static DrillFault, mut score: Score) -> Result<Exit, Error> {
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let endpoint = drill::start(fault).context("the drill's endpoint cannot start")?;
    ui::drill::task(&endpoint);
    let choices = choices(fault);
    let items: Vec<(String, &str)> = (1..)
        .zip(&choices)
        .map(|(number, choice)| (format!("{number}"), choice.title))
        .collect();
    let Some(picked) = ui::menu::select("Then choose what it is:", &items, &stop)? else {
        return Err(Error::Interrupted);
    };
    let picked = choices[picked];
    let is_right = picked.name == fault.name;
    let noted = score.note(fault, is_right);
    ui::drill::solution(fault, is_right, &score);
    if let Err(problem) = noted {
        ui::note(&problem);
    }
    Ok(if is_right { Exit::Ok } else { Exit::No })
}

/// Returns the fault and similar ones. They are in the order of the table, so that their positions reveal nothing.
fn choices(fault: &DrillFault) -> Vec<&'static DrillFault> {
    let is_shown = |other: &&DrillFault| other.name == fault.name || fault.look_alikes.contains(&other.name);
    FAULTS.iter().filter(is_shown).collect()
}
