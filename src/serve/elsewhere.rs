//! The part of the page that leads away from it: the other steps, and other instances on the same Redis.

use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;

use super::pages::{Elsewhere, Neighbour, OtherStep};
use super::step::Step;

/// Rendered once, and again when an instance comes or goes.
#[derive(Debug)]
pub(super) struct Board {
    step: Step,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    instances: Vec<Neighbour>,
    html: Arc<str>,
}

/// Where the lines for the other steps suggest to listen: 5001 for step 1, and so on; never where this one does.
const SUGGESTED_PORT: u16 = 5000;

impl Board {
    pub(super) fn new(step: Step) -> Self {
        let html = render(step, &[]);
        Self {
            step,
            shown: Mutex::new(Shown {
                instances: Vec::new(),
                html,
            }),
        }
    }

    /// The part, as HTML.
    pub(super) fn rendered(&self) -> Arc<str> {
        self.lock().html.clone()
    }

    /// Shows these instances from now on.
    pub(super) fn show(&self, instances: Vec<Neighbour>) {
        let mut shown = self.lock();
        if shown.instances != instances {
            shown.html = render(self.step, &instances);
            shown.instances = instances;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn render(step: Step, instances: &[Neighbour]) -> Arc<str> {
    let steps = Step::ALL
        .into_iter()
        .filter(|other| *other != step)
        .map(|other| OtherStep {
            step: other,
            port: SUGGESTED_PORT + u16::from(other.number()),
        })
        .collect();
    let part = Elsewhere {
        step,
        steps,
        instances,
    };
    // Rendering into a String cannot fail.
    part.render().unwrap_or_default().into()
}
