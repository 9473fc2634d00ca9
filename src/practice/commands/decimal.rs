//! The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: Redis adds C's `long double`, whose 64 bits of precision show in
//! its answers (0.1 + 0.2 is 0.3, and 5000 + 0.3 is 5000.29999999999999982).

/// Digits after the point that Redis shows (`%.17Lf`).
const PLACES: usize = 17;
/// Bits of precision of an x87 `long double`.
const PRECISION: u32 = 64;
/// The largest power of ten whose double is still a `u128`.
const MOST_SCALE: u32 = 37;

/// A number as INCRBYFLOAT reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decimal {
    /// In the usual range.
    Extended(Extended),
    /// Too large or too fine for that.
    Float(f64),
}

/// `mantissa` times two to the power of `exponent`; the mantissa has its highest bit set, or is zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extended {
    is_negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl Decimal {
    pub(super) const ZERO: Self = Self::Extended(Extended::ZERO);

    /// None where the text is no number; no space is allowed around it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(number) = Extended::parse(text) {
            return Some(Self::Extended(number));
        }
        // C reads hexadecimal numbers as well, which nobody types.
        let number: f64 = text.parse().ok()?;
        let is_spelled_out = text.contains(['i', 'I']);
        (number.is_finite() || (number.is_infinite() && is_spelled_out)).then_some(Self::Float(number))
    }

    pub(super) fn is_infinite(self) -> bool {
        matches!(self, Self::Float(number) if number.is_infinite())
    }

    /// The sum as Redis writes it; none where it is infinite.
    pub(super) fn plus(self, other: Self) -> Option<String> {
        let exact = match (self, other) {
            (Self::Extended(one), Self::Extended(two)) => one.plus(two).written(),
            _ => None,
        };
        if exact.is_some() {
            return exact;
        }
        let sum = self.float() + other.float();
        sum.is_finite().then(|| trimmed(&format!("{sum:.PLACES$}")))
    }

    #[allow(clippy::cast_precision_loss)]
    fn float(self) -> f64 {
        match self {
            Self::Extended(number) => {
                let size = number.mantissa as f64 * f64::from(number.exponent).exp2();
                if number.is_negative { -size } else { size }
            }
            Self::Float(number) => number,
        }
    }
}

impl Extended {
    const ZERO: Self = Self {
        is_negative: false,
        mantissa: 0,
        exponent: 0,
    };

    /// None where the text is no plain decimal, or not in the range of this arithmetic.
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, power) = match text.split_once(['e', 'E']) {
            Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{part}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u128 = all.parse().ok()?;
        let scale = i32::try_from(part.len()).ok()?.checked_sub(power)?;
        if scale <= 0 {
            let raised = number.checked_mul(10u128.checked_pow(scale.unsigned_abs())?)?;
            return Some(Self::rounded(is_negative, raised, 0, false));
        }
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= MOST_SCALE)?;
        Some(Self::quotient(is_negative, number, 10u128.pow(scale)))
    }

    /// Long division in binary, until there are enough bits to round by.
    fn quotient(is_negative: bool, number: u128, divisor: u128) -> Self {
        let (mut bits, mut rest) = (number / divisor, number % divisor);
        let mut exponent = 0;
        while rest != 0 && (128 - bits.leading_zeros()) < PRECISION + 2 {
            rest *= 2;
            bits = bits * 2 + u128::from(rest >= divisor);
            rest %= divisor;
            exponent -= 1;
        }
        Self::rounded(is_negative, bits, exponent, rest != 0)
    }

    /// `bits` times two to the power of `exponent`, and a little more where `has_rest`: to the nearest, halves to even.
    fn rounded(is_negative: bool, bits: u128, exponent: i32, has_rest: bool) -> Self {
        if bits == 0 {
            return Self::ZERO;
        }
        let length = 128 - bits.leading_zeros();
        let excess = length.saturating_sub(PRECISION);
        let mut kept = bits >> excess;
        if excess > 0 {
            let (cut, half) = (bits & ((1 << excess) - 1), 1u128 << (excess - 1));
            if cut > half || (cut == half && (has_rest || kept % 2 == 1)) {
                kept += 1;
            }
        }
        let mut exponent = exponent + excess.cast_signed();
        // Rounding up may have carried beyond the last bit.
        if kept >> PRECISION != 0 {
            kept >>= 1;
            exponent += 1;
        }
        let shift = (kept.leading_zeros() - (128 - PRECISION)).cast_signed();
        let mantissa = u64::try_from(kept << shift).unwrap_or(u64::MAX);
        Self {
            is_negative,
            mantissa,
            exponent: exponent - shift,
        }
    }

    fn plus(self, other: Self) -> Self {
        let (large, small) = if (other.mantissa == 0, self.exponent) >= (self.mantissa == 0, other.exponent) {
            (self, other)
        } else {
            (other, self)
        };
        if small.mantissa == 0 {
            return large;
        }
        // As far up as a sum of both fits; what that leaves of the small one only decides how to round.
        let apart = large.exponent.abs_diff(small.exponent);
        let up = apart.min(ROOM);
        let down = apart - up;
        let (kept, lost) = match down {
            0 => (u128::from(small.mantissa), false),
            1..=63 => (
                u128::from(small.mantissa >> down),
                small.mantissa & ((1 << down) - 1) != 0,
            ),
            _ => (0, true),
        };
        let upper = u128::from(large.mantissa) << up;
        let lower = kept | u128::from(lost);
        let exponent = large.exponent - up.cast_signed();
        if large.is_negative == small.is_negative {
            return Self::rounded(large.is_negative, upper + lower, exponent, false);
        }
        if upper >= lower {
            Self::rounded(large.is_negative, upper - lower, exponent, false)
        } else {
            Self::rounded(small.is_negative, lower - upper, exponent, false)
        }
    }

    /// With 17 digits after the point and no needless zeros; none where it is too large for this arithmetic.
    fn written(self) -> Option<String> {
        let unit = 10u128.pow(17);
        let mantissa = u128::from(self.mantissa);
        let (whole, part) = if self.exponent >= 0 {
            let shift = self.exponent.unsigned_abs();
            if shift > PRECISION - 1 {
                return None;
            }
            (mantissa << shift, 0)
        } else {
            let places = self.exponent.unsigned_abs();
            let (whole, rest) = match places {
                0..PRECISION => (mantissa >> places, mantissa & ((1 << places) - 1)),
                _ => (0, mantissa),
            };
            let scaled = rest * unit;
            if places >= 127 {
                (whole, 0)
            } else {
                let (quotient, cut, half) = (
                    scaled >> places,
                    scaled & ((1 << places) - 1),
                    1u128 << (places - 1),
                );
                let up = cut > half || (cut == half && quotient % 2 == 1);
                (whole, quotient + u128::from(up))
            }
        };
        let (whole, part) = (whole + part / unit, part % unit);
        let sign = if self.is_negative { "-" } else { "" };
        Some(trimmed(&format!("{sign}{whole}.{part:0PLACES$}")))
    }
}

/// How far a mantissa can be moved up so that a sum of two still fits.
const ROOM: u32 = 62;

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
    fn sums_are_those_of_redis() {
        for (one, two, sum) in [
            ("0.1", "0.2", Some("0.3")),
            ("10.50", "0.1", Some("10.6")),
            ("5.0e3", "2.0e2", Some("5200")),
            ("5.0e3", "0.3", Some("5000.29999999999999982")),
            ("3.0e3", "1e-17", Some("3000")),
            ("9223372036854775807", "-3.25", Some("9223372036854775804")),
            ("-1", "1", Some("0")),
            ("-0.5", "0.25", Some("-0.25")),
            ("1e308", "1e308", None),
            ("0", "0", Some("0")),
            ("1", "1e30", Some("1000000000000000000024696061952")),
        ] {
            let (left, right) = (Decimal::parse(one.as_bytes()), Decimal::parse(two.as_bytes()));
            assert_eq!(
                left.unwrap().plus(right.unwrap()).as_deref(),
                sum,
                "{one} + {two}"
            );
        }
        for no_number in ["", " 1", "1 ", "a", "nan", ".", "1e5000", "e1"] {
            assert_eq!(Decimal::parse(no_number.as_bytes()), None, "{no_number:?}");
        }
    }
}
