//! Faults of a client's own machine and process.

use libtest_mimic::Trial;

use lockfast_servers::WallClock;

use super::{TTL, on_each_engine, stays_valid};
use crate::steps::Stepper;

pub(crate) fn trials() -> Vec<Trial> {
    let forks = on_each_engine(
        "f20_a_forked_child_has_no_part",
        "5s",
        || Ok(()),
        a_forked_child,
    );
    let jumps = on_each_engine(
        "f23_a_wall_clock_that_jumps_changes_nothing",
        "5s",
        WallClock::available,
        a_wall_clock_that_jumps,
    );
    forks.into_iter().chain(jumps).collect()
}

fn a_forked_child(url: &str) {
    let (mut holder, mut other) = (Stepper::start(url, None), Stepper::start(url, None));
    let first = holder.lock();
    let tried = "try NotHeld, wait NotHeld, timed NotHeld, check NotHeld, lost true";
    assert_eq!(holder.step("fork and release"), tried);
    assert_eq!(holder.answer(), "lost");
    assert_eq!(holder.answer(), "ended");
    assert_eq!(holder.step("fork and drop"), tried);
    assert_eq!(holder.answer(), "ended");
    // Neither child has freed the lock, or ended the connection of the parent.
    let answer = other.step("try");
    assert!(answer.starts_with("failed Contended"), "{answer}");
    assert_eq!(holder.step("state"), "Valid");
    assert_eq!(holder.step("release"), "released");
    assert!(other.lock() > first);
}

fn a_wall_clock_that_jumps(url: &str) {
    const HOUR: i64 = 60 * 60;
    let clock = WallClock::start();
    let mut clients = [(); 2].map(|()| Stepper::start_with_clock(url, &clock));
    let [holder, waiter] = &mut clients;
    let begin = holder.number("clock");
    let first = holder.lock();
    waiter.begin("lock");
    clock.set(HOUR);
    assert!(holder.number("clock") > begin + 3000, "the clock jumps");
    stays_valid(holder, TTL / 2);
    clock.set(-HOUR);
    assert!(holder.number("clock") < begin - 3000, "the clock jumps");
    stays_valid(holder, TTL);
    assert_eq!(holder.step("release"), "released");
    assert!(waiter.granted() > first);
    assert_eq!(waiter.step("release"), "released");
    clients.into_iter().for_each(Stepper::end);
}
