//! Random worlds: servers and networks with any combination of faults. In each world, `ping` must report the
//! cause in the lowest broken layer. A cause that does not exist must never be reported as proved.
//!
//! The parameters of a world determine which verdicts are right ([`expected`]). The test simplifies a failing
//! world as far as possible, and then prints the world as code for [`found_before`]. To check more or
//! different worlds:
//!
//! ```sh
//! WORLDS=20000 WORLDS_SEED=7 cargo test --lib ping::worlds -- --nocapture
//! ```

#![allow(clippy::print_stdout, reason = "a test prints the worlds that fail")]

mod certificates;
mod expected;
mod found_before;
mod observe;
mod parts;
mod peer;
mod scripted_redis;
mod scripted_replies;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::certificates::Certificates;
use self::expected::{Fault, Layer};
use self::observe::observe;
use self::world::World;
use crate::ping::verdict::tests::consistency::contradictions;
use crate::ping::verdict::{Certainty, Verdict, judge};

/// The user and password that a scripted server may accept.
const USER: &str = "ada";
const PASSWORD: &str = "Plover-4417";

/// The number of worlds per run, unless the variable `WORLDS` sets a different number.
const WORLDS: usize = 2000;
/// The number of worlds that are checked at the same time. It is limited, because each world needs up to 20
/// open files.
const AT_ONCE: usize = 60;
const THREADS: usize = 2;
/// The value of `ping --timeout`. A failing world is checked again with a longer timeout, because this host
/// may be busy.
const TIMEOUT: Duration = Duration::from_secs(1);
const MORE_TIME: Duration = Duration::from_secs(4);

/// The errors in the verdict on a random world.
#[derive(Debug, Default)]
struct Faults {
    /// The reported cause, if it is not one of the right causes.
    wrong_cause: Option<String>,
    /// The cause that was wrongly reported as proved.
    false_proof: Option<String>,
    others: Vec<String>,
}

impl Faults {
    fn is_empty(&self) -> bool {
        self.wrong_cause.is_none() && self.false_proof.is_none() && self.others.is_empty()
    }
}

/// Compares the verdict with the right causes.
fn compare(world: World, verdict: &Verdict) -> Faults {
    let faults = world.faults();
    let mut found = Faults::default();
    let finding = verdict.finding.as_ref();
    let cause = finding.map(|finding| finding.cause);
    let right = right(&faults);
    let is_right = match cause {
        Some(cause) => right.iter().any(|fault| fault.causes.contains(&cause)),
        None => faults.iter().all(|fault| fault.may_be_ok),
    };
    if !is_right {
        let names: Vec<_> = right
            .iter()
            .flat_map(|fault| fault.causes.iter().map(|cause| cause.code()))
            .collect();
        let name = cause.map_or("ok", |cause| cause.code());
        found.wrong_cause = Some(format!("{name} instead of {}", names.join(" or ")));
    }
    if let Some(finding) = finding.filter(|finding| finding.certainty == Certainty::Proved) {
        let is_proved = |fault: &Fault| fault.is_provable && fault.causes.contains(&finding.cause);
        if !faults.iter().any(is_proved) {
            found.false_proof = Some(format!("{} is not proved", finding.cause.code()));
        }
    }
    let undeserved = verdict
        .warnings
        .iter()
        .filter(|warning| !world.deserves(warning.cause));
    found.others = undeserved
        .map(|warning| {
            format!(
                "the warning {} is false: {}",
                warning.cause.code(),
                warning.summary
            )
        })
        .collect();
    found
}

/// Returns the faults that `ping` may report. These are the faults in the lowest layer. If they are not
/// always visible, faults in higher layers are included.
fn right(faults: &[Fault]) -> Vec<&Fault> {
    let mut right: Vec<&Fault> = Vec::new();
    for fault in faults {
        let is_hidden = right
            .iter()
            .any(|lower| lower.layer < fault.layer && !lower.is_momentary && !lower.may_be_ok);
        if is_hidden {
            break;
        }
        right.push(fault);
    }
    right
}

async fn check(world: World, certificates: &Arc<Certificates>, timeout: Duration) -> (Verdict, Faults) {
    let (target, seen) = observe(world, certificates, timeout).await;
    let verdict = judge(&target, &seen);
    let mut faults = compare(world, &verdict);
    faults.others.extend(contradictions(&target, &seen, &verdict));
    (verdict, faults)
}

/// Checks a world. If the verdict is wrong, checks the world again with a longer timeout.
async fn check_patiently(world: World, certificates: &Arc<Certificates>) -> Faults {
    let (_, faults) = check(world, certificates, TIMEOUT).await;
    if faults.is_empty() {
        return faults;
    }
    check(world, certificates, MORE_TIME).await.1
}

/// The number of a world, the world, and the errors in its verdict.
type Checked = (usize, World, Faults);

/// Checks all worlds, `at_once` of them at the same time.
async fn check_all(
    worlds: &[(usize, World)],
    at_once: usize,
    certificates: &Arc<Certificates>,
) -> Vec<Checked> {
    stream::iter(worlds)
        .map(|(number, world)| async move { (*number, *world, check_patiently(*world, certificates).await) })
        .buffer_unordered(at_once)
        .collect()
        .await
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Returns a random number generator that always produces the same world for the same `number`.
fn generator(number: usize) -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// Simplifies a failing world, so that only the necessary parts are broken.
async fn simplify(number: usize, certificates: &Arc<Certificates>) -> World {
    let mut tree = World::any().new_tree(&mut generator(number)).unwrap();
    let mut simplest = tree.current();
    while tree.simplify() {
        while check_patiently(tree.current(), certificates).await.is_empty() {
            if !tree.complicate() {
                return simplest;
            }
        }
        simplest = tree.current();
    }
    simplest
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// The number of worlds whose lowest fault is in a certain layer, and the number of right verdicts on these
/// worlds.
#[derive(Default)]
struct Score {
    worlds: usize,
    right: usize,
}

#[test]
fn ping_names_the_lowest_fault_of_every_world() {
    crate::practice::raise_file_limit();
    let worlds = number("WORLDS").unwrap_or(WORLDS);
    let first = number("WORLDS_SEED").unwrap_or_default().wrapping_mul(1_000_000);
    let certificates = Arc::new(Certificates::new());
    let all: Vec<(usize, World)> = (first..first + worlds)
        .map(|number| {
            (
                number,
                World::any().new_tree(&mut generator(number)).unwrap().current(),
            )
        })
        .collect();
    let mut checked: Vec<Checked> = thread::scope(|scope| {
        let parts = all.chunks(worlds.div_ceil(THREADS).max(1));
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(|| block_on(check_all(part, AT_ONCE, &certificates))))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    // Most worlds are complete, so this host has more time for the remaining ones.
    for at_once in [AT_ONCE / 6, 1] {
        let doubtful = checked.extract_if(.., |(.., faults)| !faults.is_empty());
        let doubtful: Vec<_> = doubtful.map(|(number, world, _)| (number, world)).collect();
        checked.extend(block_on(check_all(&doubtful, at_once, &certificates)));
    }
    let mut scores: BTreeMap<Option<Layer>, Score> = BTreeMap::new();
    let mut failed = Vec::new();
    for (number, world, faults) in checked {
        let layer = world.faults().first().map(|fault| fault.layer);
        let score = scores.entry(layer).or_default();
        score.worlds += 1;
        score.right += usize::from(faults.wrong_cause.is_none());
        if !faults.is_empty() {
            failed.push((number, faults));
        }
    }
    println!("{}", summary(&scores, &failed));
    let shown = number("WORLDS_SHOWN").unwrap_or(3);
    for (number, faults) in one_of_each_kind(&failed).take(shown) {
        let world = block_on(simplify(*number, &certificates));
        let simplest = block_on(check_patiently(world, &certificates));
        println!(
            "\nworld {number}: {faults:?}\nthe simplest like it: {simplest:?}\n{}",
            code(world)
        );
    }
    assert!(
        failed.is_empty(),
        "{} of {worlds} worlds have wrong verdicts",
        failed.len()
    );
}

/// Returns one failed world for each kind of error.
fn one_of_each_kind(failed: &[(usize, Faults)]) -> impl Iterator<Item = &(usize, Faults)> {
    let mut kinds = HashSet::new();
    failed.iter().filter(move |(_, faults)| {
        let other = faults
            .others
            .first()
            .map(|text| text.split(':').next().unwrap_or_default());
        kinds.insert((
            faults.wrong_cause.clone(),
            faults.false_proof.clone(),
            other.map(str::to_owned),
        ))
    })
}

fn summary(scores: &BTreeMap<Option<Layer>, Score>, failed: &[(usize, Faults)]) -> String {
    let layers = std::iter::once(None).chain(Layer::ALL.map(Some));
    let mut text = String::from("lowest fault  worlds  right\n");
    for layer in layers {
        if let Some(Score { worlds, right }) = scores.get(&layer) {
            let name = layer.map_or_else(|| "none".into(), |layer| format!("{layer:?}"));
            let percent = *right as f64 * 100.0 / *worlds as f64;
            text.push_str(&format!("{name:<12}  {worlds:>6}  {percent:.2} %\n"));
        }
    }
    let count = |is: fn(&Faults) -> bool| failed.iter().filter(|(_, faults)| is(faults)).count();
    text.push_str(&format!(
        "false proofs: {}, wrong causes: {}, contradictions and false warnings: {}",
        count(|faults| faults.false_proof.is_some()),
        count(|faults| faults.wrong_cause.is_some()),
        count(|faults| !faults.others.is_empty()),
    ));
    text
}

/// Returns the world as code for [`found_before`], without the healthy parts.
fn code(world: World) -> String {
    let parts = |world: World| {
        let text = format!("{world:?}");
        let inside = text.trim_start_matches("World { ").trim_end_matches(" }");
        inside.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let broken = parts(world)
        .into_iter()
        .zip(parts(World::HEALTHY))
        .filter(|(part, healthy)| part != healthy)
        .map(|(part, _)| format!("    {part},\n"));
    format!("World {{\n{}    ..World::HEALTHY\n}}", broken.collect::<String>())
}
