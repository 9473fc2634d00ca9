//! Returns random values from the operating system, for tokens, keys and names.

use ring::rand::{SecureRandom, SystemRandom};

pub(crate) fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system provides random bytes");
    bytes
}

/// Returns random bytes as hexadecimal digits.
pub(crate) fn hexadecimal<const BYTES: usize>() -> String {
    bytes::<BYTES>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Returns a random number below `end`, or 0 if `end` is 0.
pub(crate) fn below(end: usize) -> usize {
    usize::from_le_bytes(bytes()).checked_rem(end).unwrap_or(0)
}
