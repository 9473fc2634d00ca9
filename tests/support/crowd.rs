//! Loads the page of one session repeatedly while something happens to the session's Redis server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::http::Visitor;
use super::wait::wait_for;

/// Lets four visitors load the page of `session` while `event` runs. `event` receives a function that waits
/// until ten more requests have been answered. Every response must be a page with a different count, or a 503
/// that contains `refusal`. Finally, checks the total count.
#[track_caller]
pub fn visit_exactly_during(session: &Visitor, refusal: &str, event: impl FnOnce(&dyn Fn())) {
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let ten_more_requests = || {
        let before = answered.load(Ordering::SeqCst);
        wait_for("ten more requests", || {
            (answered.load(Ordering::SeqCst) >= before + 10).then_some(())
        });
    };
    let (mut visits, mut refused) = (Vec::new(), 0);
    thread::scope(|scope| {
        let visitors: Vec<_> = (0..4)
            .map(|_| {
                let (mut visitor, is_over, answered) = (session.clone(), &is_over, &answered);
                scope.spawn(move || {
                    let mut answers = vec![visitor.get("/")];
                    while !is_over.load(Ordering::SeqCst) {
                        answers.push(visitor.get("/"));
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    answers
                })
            })
            .collect();
        // The visitors must be stopped even if `event` panics.
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| event(&ten_more_requests)));
        is_over.store(true, Ordering::SeqCst);
        if let Err(panic) = happened {
            std::panic::resume_unwind(panic);
        }
        for answer in visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()) {
            assert!(answer.took.as_millis() < 2500, "{:?}", answer.took);
            match answer.status {
                503 => {
                    answer.says(refusal);
                    refused += 1;
                }
                _ => visits.push(answer.expect(200).says("Logged in as ada").visits().unwrap()),
            }
        }
    });
    let last = wait_for("the page to be there", || {
        let page = session.clone().get("/");
        (page.status == 200).then(|| page.visits().unwrap())
    });
    let seen = visits.len() as u64;
    visits.sort_unstable();
    visits.dedup();
    assert_eq!(visits.len() as u64, seen, "a number was shown twice");
    // A request that got a 503 might have been counted, but every page that was shown must have been counted.
    assert!(
        (seen + 1..=seen + refused + 1).contains(&last),
        "{seen} pages and {refused} refusals, and {last} visits"
    );
}
