//! The climb itself: one rung after the other, until one fails.

use super::{Climb, ClimbOptions, Event, Observations};
use crate::deadline::Deadline;
use crate::target::{Target, Trust};

pub(super) async fn climb(
    target: &Target,
    _trust: &Trust,
    _options: &ClimbOptions,
    deadline: Deadline,
    _tell: &mut dyn FnMut(Event),
) -> Climb {
    Climb {
        observations: Observations::new(target.clone(), deadline.span()),
        connection: None,
    }
}
