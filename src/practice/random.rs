//! Randomness for names that nobody may guess, and for picks that nobody needs to repeat.

use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes as lower-case hexadecimal digits, two a byte.
pub(crate) fn hexadecimal<const BYTES: usize>() -> String {
    bytes::<BYTES>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A random number.
pub(crate) fn number() -> u64 {
    u64::from_le_bytes(bytes::<8>())
}

fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system always has randomness");
    bytes
}
