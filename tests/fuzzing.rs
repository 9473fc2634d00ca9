//! Runs every parser of untrusted input with random input. No parser may panic or take long.
//!
//! `FUZZ_INPUTS` sets the number of inputs per parser. `fuzz/` contains the same parsers as targets for
//! cargo-fuzz.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use sessiontut::untrusted::{PARSERS, Parser};

/// The number of inputs per parser if `FUZZ_INPUTS` is not set.
const INPUTS: u64 = 3000;
/// The maximum length of an input in bytes.
const LONGEST: usize = 4096;
/// The maximum time for one short input. A parser that takes longer probably does not run in linear time.
const TOO_LONG: Duration = Duration::from_secs(2);

/// A small random number generator whose results depend only on its seed (Steele, Lea and Flood: SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

/// Changes a valid input at random: changes bytes, removes or repeats ranges, and inserts parts of another
/// input.
fn mutated(seeds: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        let end = at + random.below(input.len() - at + 1);
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 => input.insert(at, random.next().to_le_bytes()[0]),
            2 => drop(input.drain(at..end)),
            3 => {
                let part = input[at..end].repeat(1 + random.below(4));
                input.splice(at..at, part);
            }
            4 => {
                let other = seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                input.splice(at..at, other[from..].to_vec());
            }
            5 => {
                let word: &[u8] = [
                    &b"\r\n"[..],
                    b"-1",
                    b"99999999999999999999",
                    b"\0",
                    b"\xff\xfe",
                    b"%",
                    b"&#27;",
                    b"\x1b[2J",
                    "\u{202e}ü漢".as_bytes(),
                ][random.below(9)];
                input.splice(at..at, word.to_vec());
            }
            _ => input.truncate(end),
        }
        input.truncate(LONGEST);
    }
    input
}

#[test]
fn no_input_makes_a_parser_panic_or_hang() {
    let inputs = std::env::var("FUZZ_INPUTS").map_or(INPUTS, |number| number.parse().unwrap());
    thread::scope(|scope| {
        for parser in PARSERS {
            scope.spawn(move || {
                for seed in 0..inputs {
                    try_input(parser, &mutated(parser.seeds, &mut Random(seed)));
                }
            });
        }
    });
}

fn try_input(parser: &Parser, input: &[u8]) {
    let shown = input.escape_ascii();
    let is_quick = |_| {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (parser.run)(input)));
        assert!(outcome.is_ok(), "{} panics for b\"{shown}\"", parser.name);
        began.elapsed() < TOO_LONG
    };
    // On a busy machine, a single run may be slow, so a parser gets three attempts.
    assert!((0..3).any(is_quick), "{} is slow for b\"{shown}\"", parser.name);
}
