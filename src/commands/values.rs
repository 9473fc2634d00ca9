//! Parsers for option values that several commands use.

use std::ffi::OsStr;
use std::time::Duration;

use clap::Arg;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

/// The maximum number of seconds that options such as `--timeout` accept, which is one day.
const LONGEST_SECONDS: f64 = 86_400.0;

/// Parses a number of seconds above 0, up to one day.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST_SECONDS => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds above 0, up to 86400, such as 5 or 0.5".into()),
    }
}

/// Parses a whole number from `least` to `most`.
pub(crate) fn whole<N: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }
}

/// Parses a time span: a whole number with an optional unit (s, m, h or d). The default unit is seconds.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds_in_unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match number.parse::<u32>().map_or(0, u64::from) * seconds_in_unit {
        0 => Err("expected a whole number above 0 and s, m, h or d, such as 8h".into()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

/// Accepts any text, and makes completion scripts suggest `values`.
pub(crate) fn suggesting(values: fn() -> Vec<&'static str>) -> impl TypedValueParser<Value = String> {
    Suggesting(values)
}

#[derive(Clone)]
struct Suggesting(fn() -> Vec<&'static str>);

impl TypedValueParser for Suggesting {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}
