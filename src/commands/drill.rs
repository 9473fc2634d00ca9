//! `sessiontut drill`.

use anyhow::Context as _;
use clap::Args;

use super::values::suggesting;
use crate::drill::{self, DrillFault, FAULTS, Score};
use crate::error::Error;
use crate::exit::Exit;
use crate::signals::{BlockingSignals, Stop};
use crate::ui;
use crate::ui::menu::{KeyReader, Menu, Selected};

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Name of the fault, as shown by --list [default: a random fault that you have not identified yet]
    #[arg(hide_possible_values = true, value_parser = suggesting(|| FAULTS.iter().map(|fault| fault.name).collect()))]
    pub fault: Option<String>,
    /// List the faults, and show which ones you have identified
    #[arg(long, conflicts_with_all = ["fault", "serve"])]
    pub list: bool,
    /// Run the broken server without the quiz, and print its URL and, for TLS, its CA file
    #[arg(long)]
    pub serve: bool,
}

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
            "`sessiontut drill` needs a terminal; to run a server with a fault but without the quiz, use `sessiontut drill --serve FAULT`",
        ));
    }
    if let Some(problem) = problem {
        ui::note(&problem);
    }
    drills(chosen, score)
}

fn named(name: &str) -> Result<&'static DrillFault, Error> {
    drill::find(name).ok_or_else(|| {
        Error::usage(format!(
            "unknown fault {name}; `sessiontut drill --list` lists all faults"
        ))
    })
}

/// Runs the drill's endpoint without the quiz until a signal arrives.
fn serve(fault: &DrillFault) -> Result<Exit, Error> {
    let signals = BlockingSignals::listen()?;
    let endpoint = drill::start(fault).context("the drill's endpoint cannot start")?;
    ui::drill::serving(&endpoint);
    signals.wait();
    ui::end_line_after_ctrl_c();
    Ok(Exit::Ok)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DrillEnd {
    /// The first answer was right.
    Right,
    /// The first answer was wrong, or the learner asked for the solution.
    Wrong,
    /// The learner quit without an answer.
    Left,
}

/// Runs drills until the learner quits. Returns `Exit::No` if the last completed drill ended with
/// [`DrillEnd::Wrong`].
fn drills(chosen: Option<&'static DrillFault>, mut score: Score) -> Result<Exit, Error> {
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let mut fault = chosen.unwrap_or_else(|| score.next());
    let mut exit = Err(Error::Interrupted);
    let mut keys = KeyReader::default();
    loop {
        exit = match ask(fault, &mut score, &mut keys, &stop)? {
            DrillEnd::Right => Ok(Exit::Ok),
            DrillEnd::Wrong => Ok(Exit::No),
            DrillEnd::Left => return exit,
        };
        let items = [("another drill".to_owned(), ""), ("quit".to_owned(), "")];
        let menu = Menu {
            prompt: "",
            items: &items,
            keys: &[],
            first: Some(0),
        };
        if ui::menu::select(&menu, &mut keys, &stop)? != Selected::Item(0) {
            return exit;
        }
        fault = score.next();
    }
}

/// Runs the drill's endpoint until the learner identifies the fault, asks for the solution, or quits.
fn ask(
    fault: &'static DrillFault,
    score: &mut Score,
    keys: &mut KeyReader,
    stop: &Stop,
) -> Result<DrillEnd, Error> {
    let endpoint = drill::start(fault).context("the drill's endpoint cannot start")?;
    ui::drill::task(&endpoint);
    let choices = choices(fault);
    let items: Vec<(String, &str)> = (1..)
        .zip(&choices)
        .map(|(number, choice)| (format!("{number}"), choice.title))
        .collect();
    let mut menu = Menu {
        prompt: "When you have found the fault, choose it here:",
        items: &items,
        keys: &[('h', "hint"), ('s', "solution"), ('?', "all keys"), ('q', "quit")],
        first: Some(0),
    };
    let mut end = DrillEnd::Left;
    loop {
        match ui::menu::select(&menu, keys, stop)? {
            Selected::Item(index) => {
                let picked = choices[index];
                let is_right = picked.name == fault.name;
                // Only the first answer counts for the score.
                if end == DrillEnd::Left {
                    end = if is_right {
                        DrillEnd::Right
                    } else {
                        DrillEnd::Wrong
                    };
                    if let Err(problem) = score.note(fault, picked) {
                        ui::note(&problem);
                    }
                }
                if is_right {
                    ui::drill::right(fault);
                    break;
                }
                ui::drill::wrong(fault, picked);
                // Enter after the number must not count as a second answer.
                menu.first = None;
            }
            Selected::Key('h') => ui::drill::hint(fault, &endpoint),
            Selected::Key('s') => {
                end = DrillEnd::Wrong;
                break;
            }
            Selected::Key(_) => ui::drill::keys(),
            Selected::Esc if !ui::menu::is_leaving("the drill", keys, stop)? => {}
            Selected::Esc | Selected::Quit => return Ok(end),
        }
    }
    ui::drill::solution(fault, score);
    Ok(end)
}

/// Returns the fault and similar faults in the order of the table. This order does not reveal the right
/// answer.
fn choices(fault: &DrillFault) -> Vec<&'static DrillFault> {
    let is_shown = |other: &&DrillFault| other.name == fault.name || fault.contradiction_to(other).is_some();
    FAULTS.iter().filter(is_shown).collect()
}
