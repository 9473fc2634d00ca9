//! The decimal arithmetic of INCRBYFLOAT and HINCRBYFLOAT.

/// Digits after the point that Redis shows (`%.17Lf`).
const PLACES: u32 = 17;
const UNIT: i128 = 10i128.pow(PLACES);

/// A number as INCRBYFLOAT reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decimal {
    /// In units of the last place shown.
    Exact(i128),
    /// Too large or too fine for that.
    Float(f64),
}

impl Decimal {
    /// None where the text is no number; no space is allowed around it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(exact) = exact(text) {
            return Some(Self::Exact(exact));
        }
        // C reads more than Rust does (hexadecimal numbers), which nobody types.
        let number: f64 = text.parse().ok()?;
        (!number.is_nan()).then_some(Self::Float(number))
    }

    /// The sum as Redis writes it; none where it is infinite.
    pub(super) fn plus(self, other: Self) -> Option<String> {
        if let (Self::Exact(one), Self::Exact(two)) = (self, other) {
            return Some(written(one + two));
        }
        let sum = self.float() + other.float();
        sum.is_finite().then(|| trimmed(&format!("{sum:.17}")))
    }

    #[allow(clippy::cast_precision_loss)]
    fn float(self) -> f64 {
        match self {
            Self::Exact(units) => units as f64 / UNIT as f64,
            Self::Float(number) => number,
        }
    }
}

/// A plain decimal of at most 18 digits before the point and 17 after it.
fn exact(text: &str) -> Option<i128> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = whole.len() <= 18 && part.len() <= PLACES as usize && !(whole.is_empty() && part.is_empty());
    if !fits || !is_plain(whole) || !is_plain(part) {
        return None;
    }
    let padded = format!("{whole}{part:0<width$}", width = PLACES as usize);
    let units: i128 = padded.parse().ok()?;
    Some(if is_negative { -units } else { units })
}

fn written(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    let unit = UNIT.unsigned_abs();
    trimmed(&format!(
        "{sign}{}.{:0width$}",
        units / unit,
        units % unit,
        width = PLACES as usize
    ))
}

fn trimmed(text: &str) -> String {
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" {
        "0".into()
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_what_people_expect() {
        for (one, two, sum) in [
            ("0.1", "0.2", Some("0.3")),
            ("10.50", "0.1", Some("10.6")),
            ("5.0e3", "2.0e2", Some("5200")),
            ("-1", "1", Some("0")),
            ("-0.5", "0.25", Some("-0.25")),
            ("1e308", "1e308", None),
        ] {
            let sums = Decimal::parse(one.as_bytes())
                .unwrap()
                .plus(Decimal::parse(two.as_bytes()).unwrap());
            assert_eq!(sums.as_deref(), sum, "{one} + {two}");
        }
        for no_number in ["", " 1", "1 ", "a", "nan", "."] {
            assert_eq!(Decimal::parse(no_number.as_bytes()), None, "{no_number:?}");
        }
    }
}
