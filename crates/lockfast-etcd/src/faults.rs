//! Each request with each fault, on a cluster in memory and a virtual clock.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{BootTime, Clock, Process};
use tokio::time::{Instant, sleep};

use crate::address::Address;
use crate::core::Core;
use crate::diagnose::diagnose;
use crate::failure::Reason;
use crate::hold::Held;
use crate::inspect::break_token;
use crate::keys::{Keys, Kind};
use crate::memory::{Fault, Memory, SLOW};
use crate::permits::Taken;
use crate::pool::{self, Wanted};
use crate::queue::{self, Denied};
use crate::stop::Stop;

const TTL: Duration = Duration::from_secs(30);
const MARGIN: Duration = Duration::from_secs(3);
/// The time for which a holder that is cut off relies on its lease.
const RELIABLE: Duration = TTL.checked_sub(MARGIN).expect("it is longer");
/// Requests that are late are carried out by then, and what they left is deleted.
const SETTLED: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(5);
const PASSING: [Fault; 5] = [
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::Late,
    Fault::Slow,
    Fault::Unavailable,
];
const SCENARIOS: [Scenario; 6] = [
    Scenario::Attempt(Kind::Writer),
    Scenario::Wait(Kind::Writer),
    Scenario::Attempt(Kind::Reader),
    Scenario::Wait(Kind::Reader),
    Scenario::Attempt(Kind::Permits),
    Scenario::Wait(Kind::Permits),
];

/// A way to take a lock or a permit.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    Attempt(Kind),
    Wait(Kind),
}

/// Runs a test on a clock that jumps to the next timer when all wait.
fn run<T>(memory: &Memory, test: impl AsyncFnOnce(Arc<Core>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async { test(client(memory)).await })
}

/// The parts of a new client.
fn client(memory: &Memory) -> Arc<Core> {
    let start = Instant::now();
    let clock = Clock::of(move || BootTime::after_boot(start.elapsed() + Duration::from_secs(1)));
    let address = Address::parse("etcd://a,b/p?ttl=30s").expect("a good URL");
    let transport = Arc::new(memory.clone());
    Arc::new(Core::new(address, transport, clock, &Process::current()))
}

impl Scenario {
    async fn take(self, core: &Arc<Core>, stop: &Stop) -> Result<Arc<Held>, Denied> {
        let keys = Keys::of("p", "a").expect("a good name");
        let wanted = Wanted { limit: 2, count: 1 };
        let take = || async {
            match self {
                Self::Attempt(Kind::Permits) => pool::attempt(core, &keys, wanted, stop).await,
                Self::Wait(Kind::Permits) => pool::wait(core, &keys, wanted, stop).await,
                Self::Attempt(kind) => queue::attempt(core, &keys, kind, stop).await,
                Self::Wait(kind) => queue::wait(core, &keys, kind, stop).await,
            }
        };
        queue::with_lease(take).await
    }

    /// Takes and releases.
    async fn pass(self, memory: &Memory, core: &Arc<Core>) -> Result<(), String> {
        let held = self.take(core, &Stop::default()).await;
        let held = held.map_err(|denied| format!("{denied:?}"))?;
        assert_eq!(held.belief.state(), HoldState::Valid);
        assert_eq!(memory.keys(), 1, "one ticket");
        let released = held.release(LIMIT).await;
        released.map_err(|reason| reason.to_string())
    }

    /// The number of its requests without a fault.
    fn requests(self) -> usize {
        let memory = Memory::default();
        run(&memory, async |core| {
            self.pass(&memory, &core).await.expect("no fault");
            memory.calls()
        })
    }
}

fn each(test: impl Fn(Scenario, usize)) {
    for scenario in SCENARIOS {
        let requests = scenario.requests();
        let takes = match scenario {
            Scenario::Attempt(Kind::Permits) | Scenario::Wait(Kind::Permits) => 2,
            _ => 1,
        };
        assert_eq!(requests, 2 + takes + 1, "a lease, a version, and a release");
        (0..requests).for_each(|call| test(scenario, call));
    }
}

#[test]
fn each_request_survives_each_fault_and_leaves_nothing() {
    each(|scenario, call| {
        for fault in PASSING {
            let memory = Memory::default();
            memory.fail(call, fault);
            run(&memory, async |core| {
                let passed = scenario.pass(&memory, &core).await;
                assert_eq!(passed, Ok(()), "{scenario:?} {call} {fault:?}");
                sleep(SETTLED).await;
                assert_eq!(memory.keys(), 0, "{scenario:?} {call} {fault:?}");
            });
        }
    });
}

#[test]
fn a_refused_request_is_an_error_and_leaves_nothing() {
    each(|scenario, call| {
        let memory = Memory::default();
        memory.fail(call, Fault::Refused);
        run(&memory, async |core| {
            let passed = scenario.pass(&memory, &core).await;
            let error = passed.expect_err("refused");
            assert!(error.contains("refused"), "{error}");
            sleep(SETTLED).await;
            assert_eq!(memory.keys(), 0, "{scenario:?} {call}");
        });
    });
}

#[test]
fn a_wait_that_ends_during_a_fault_leaves_nothing() {
    each(|scenario, call| {
        for fault in PASSING {
            let memory = Memory::default();
            memory.fail(call, fault);
            run(&memory, async |core| {
                let soon = Instant::now() + Duration::from_millis(500);
                if let Ok(held) = scenario.take(&core, &Stop::at(Some(soon))).await {
                    held.release(LIMIT).await.expect("released");
                }
                sleep(SETTLED).await;
                assert_eq!(memory.keys(), 0, "{scenario:?} {call} {fault:?}");
            });
        }
    });
}

/// The number of the request for a lease.
const GRANT: usize = 0;

#[test]
fn a_lock_needs_the_lease_that_it_was_asked_with() {
    // (fault of the grant, time until the lock is held, number of requests)
    let faults = [
        (None, Duration::ZERO, 3),
        // The key is created again when there is a lease.
        (Some(Fault::Slow), SLOW, 4),
        (Some(Fault::LostRequest), Duration::from_secs(1), 5),
        // The key is created at once. A second grant finds the first, which a third request confirms.
        (Some(Fault::LostAnswer), Duration::from_secs(1), 5),
    ];
    for (fault, time, requests) in faults {
        let memory = Memory::default();
        if let Some(fault) = fault {
            memory.fail(GRANT, fault);
        }
        run(&memory, async |core| {
            let begin = Instant::now();
            let scenario = Scenario::Wait(Kind::Writer);
            let held = scenario.take(&core, &Stop::default()).await;
            let held = held.expect("free");
            assert_eq!(begin.elapsed().as_millis(), time.as_millis(), "{fault:?}");
            assert_eq!(held.belief.state(), HoldState::Valid, "{fault:?}");
            assert_eq!(memory.calls(), requests, "{fault:?}");
            // From before the first request for the lease, not from its answer.
            let left = held.belief.lease().remaining();
            assert_eq!((left + time).as_millis(), RELIABLE.as_millis(), "{fault:?}");
        });
    }
}

#[test]
fn an_attempt_that_is_carried_out_after_its_refusal_leaves_nothing() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let held = Scenario::Wait(Kind::Writer)
            .take(&core, &Stop::default())
            .await
            .expect("free");
        memory.fail(memory.calls(), Fault::Late);
        let denied = Scenario::Attempt(Kind::Writer)
            .take(&core, &Stop::default())
            .await;
        assert!(matches!(denied, Err(Denied::Held(_))), "{denied:?}");
        held.release(LIMIT).await.expect("held");
        sleep(SETTLED).await;
        assert_eq!(memory.keys(), 0);
    });
}

#[test]
fn a_client_waits_for_the_end_of_its_lease_only_if_keys_may_be_left() {
    #[derive(Debug, PartialEq)]
    enum Left {
        Nothing,
        Lock,
        Ticket,
    }
    for left in [Left::Nothing, Left::Lock, Left::Ticket] {
        let memory = Memory::default();
        run(&memory, async |core| {
            let scenario = Scenario::Wait(Kind::Writer);
            let held = scenario.take(&core, &Stop::default()).await.expect("free");
            let other = client(&memory);
            let leaving = match left {
                Left::Nothing => {
                    held.release(LIMIT).await.expect("held");
                    core
                }
                Left::Lock => core,
                Left::Ticket => {
                    drop(waiter(scenario, &other));
                    sleep(LIMIT).await;
                    other
                }
            };
            let keys = memory.keys();
            memory.fail(memory.calls(), Fault::Slow);
            let begin = Instant::now();
            leaving.session.revoke().await;
            let waited = if left == Left::Nothing {
                Duration::ZERO
            } else {
                SLOW
            };
            assert_eq!(begin.elapsed().as_millis(), waited.as_millis(), "{left:?}");
            assert_eq!(memory.keys(), keys.saturating_sub(1), "{left:?}");
        });
    }
    let memory = Memory::default();
    run(&memory, async |core| {
        let passed = Scenario::Wait(Kind::Writer).pass(&memory, &core).await;
        passed.expect("no fault");
        assert_eq!(memory.leases(), 1);
        core.session.revoke().await;
        assert_eq!(memory.leases(), 0, "the request was sent");
    });
}

/// Takes a lock, and cuts the cluster off for that long.
fn cut_for<R>(time: Duration, test: impl AsyncFnOnce(Arc<Held>) -> R) -> R {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let held = scenario.take(&core, &Stop::default()).await;
        let held = held.expect("free");
        memory.cut(true);
        let begin = Instant::now();
        held.belief.lost().await;
        // Told at the deadline, which is before the server frees the lock.
        assert_eq!(begin.elapsed().as_secs(), RELIABLE.as_secs());
        assert_eq!(held.belief.state(), HoldState::Unconfirmed);
        sleep(time.saturating_sub(begin.elapsed())).await;
        memory.cut(false);
        sleep(LIMIT).await;
        test(held).await
    })
}

#[test]
fn a_lock_that_is_still_there_after_a_cut_is_valid_again() {
    cut_for(RELIABLE, async |held| {
        assert_eq!(held.belief.state(), HoldState::Valid);
        held.release(LIMIT).await.expect("it was held all the time");
    });
}

#[test]
fn a_lock_whose_lease_ended_during_a_cut_is_lost() {
    cut_for(TTL * 2, async |held| {
        assert_eq!(held.belief.state(), HoldState::Lost);
        let released = held.release(LIMIT).await;
        assert!(matches!(released, Err(Reason::WasLost)), "{released:?}");
    });
}

#[test]
fn a_release_that_no_server_confirms_is_unknown_and_tried_again() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let held = scenario.take(&core, &Stop::default()).await;
        let held = held.expect("free");
        memory.cut(true);
        let released = held.release(LIMIT).await;
        assert!(
            matches!(released, Err(Reason::ReleaseUnknown(..))),
            "{released:?}"
        );
        assert_eq!(memory.keys(), 1);
        memory.cut(false);
        sleep(SETTLED).await;
        assert_eq!(memory.keys(), 0);
    });
}

#[test]
fn a_key_that_is_gone_is_a_lost_lock_though_the_lease_is_confirmed() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let held = scenario.take(&core, &Stop::default()).await;
        let held = held.expect("free");
        memory.clear();
        let begin = Instant::now();
        held.belief.lost().await;
        assert!(begin.elapsed() < Duration::from_millis(50));
        assert_eq!(held.belief.state(), HoldState::Lost);
        let again = scenario.take(&core, &Stop::default()).await;
        assert!(again.expect("free").token() > held.token());
    });
}

#[test]
fn waiters_get_in_in_order_and_a_waiter_that_is_gone_is_told() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let first = scenario.take(&core, &Stop::default()).await.expect("free");
        let (second, third) = (waiter(scenario, &core), waiter(scenario, &core));
        sleep(LIMIT).await;
        assert_eq!(memory.keys(), 3);
        first.release(LIMIT).await.expect("released");
        let second = second.await.expect("no panic").expect("it is next");
        assert!(!third.is_finished());
        memory.clear();
        let denied = third
            .await
            .expect("no panic")
            .expect_err("its ticket is gone");
        assert!(
            matches!(denied, Denied::Reason(Reason::PlaceLost)),
            "{denied:?}"
        );
        second.belief.lost().await;
        assert_eq!(second.belief.state(), HoldState::Lost);
    });
}

#[test]
fn a_compaction_does_not_make_a_holder_ask_again_and_again() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let held = scenario.take(&core, &Stop::default()).await;
        let held = held.expect("free");
        let calls = memory.calls();
        // Before its watch begins.
        memory.compact();
        sleep(LIMIT).await;
        assert_eq!(memory.calls(), calls + 1, "one look at the key");
        memory.clear();
        let begin = Instant::now();
        held.belief.lost().await;
        assert!(begin.elapsed() < Duration::from_millis(50));
    });
}

#[test]
fn a_lease_that_ended_unnoticed_is_replaced() {
    for scenario in SCENARIOS {
        let memory = Memory::default();
        run(&memory, async |core| {
            let passed = scenario.pass(&memory, &core).await;
            passed.expect("no fault");
            memory.end_leases();
            let passed = scenario.pass(&memory, &core).await;
            assert_eq!(passed, Ok(()), "{scenario:?}");
        });
    }
}

#[test]
fn a_lease_or_key_that_is_gone_at_any_moment_is_no_lock() {
    each(|scenario, call| {
        for fault in [Fault::EndedLeases, Fault::DeletedKeys] {
            let memory = Memory::default();
            memory.fail(call, fault);
            run(&memory, async |core| {
                match scenario.take(&core, &Stop::default()).await {
                    Ok(held) => {
                        assert_eq!(memory.keys(), 1, "{scenario:?} {call} {fault:?}");
                        let released = held.release(LIMIT).await;
                        let is_right = matches!(released, Ok(()) | Err(Reason::WasLost));
                        assert!(is_right, "{released:?}");
                    }
                    Err(Denied::Reason(Reason::PlaceLost)) => {}
                    Err(denied) => panic!("{scenario:?} {call} {fault:?}: {denied:?}"),
                }
                let passed = scenario.pass(&memory, &core).await;
                assert_eq!(passed, Ok(()), "{scenario:?} {call} {fault:?}");
            });
        }
    });
}

#[test]
fn permits_that_no_server_took_back_are_given_back_later() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let keys = Keys::of("p", "a").expect("a good name");
        let (wanted, stop) = (Wanted { limit: 3, count: 3 }, Stop::default());
        let held = pool::attempt(&core, &keys, wanted, &stop).await;
        let taken = Taken::new(held.expect("free"), 3, 3);
        memory.cut(true);
        let given = taken.reduce(2).await;
        assert!(
            matches!(given, Err(Reason::ReleaseUnknown(..))),
            "{given:?}"
        );
        memory.cut(false);
        sleep(SETTLED).await;
        let left = pool::taken(&core, &keys, &stop).await;
        assert_eq!(left.expect("an answer"), 1);
        taken.reduce(1).await.expect("it is held");
        assert_eq!(memory.keys(), 0);
    });
}

#[test]
fn a_number_of_permits_that_is_written_late_does_not_stay() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let keys = Keys::of("p", "a").expect("a good name");
        let (wanted, stop) = (Wanted { limit: 3, count: 3 }, Stop::default());
        let held = pool::attempt(&core, &keys, wanted, &stop).await;
        let taken = Taken::new(held.expect("free"), 3, 3);
        memory.fail(memory.calls(), Fault::Late);
        taken.reduce(1).await.expect("it is held");
        taken.reduce(1).await.expect("it is held");
        sleep(SETTLED).await;
        let left = pool::taken(&core, &keys, &stop).await;
        assert_eq!(left.expect("an answer"), 1);
    });
}

#[test]
fn permits_that_are_taken_after_the_end_of_the_wait_are_given_back() {
    const LEAVE: usize = 3;
    let memory = Memory::default();
    memory.fail(LEAVE, Fault::Late);
    // The permits are withdrawn first, and the ticket at the gate is there for longer than the request is late.
    memory.fail(LEAVE + 2, Fault::LostRequest);
    memory.fail(LEAVE + 3, Fault::LostRequest);
    run(&memory, async |core| {
        let soon = Instant::now() + Duration::from_millis(500);
        let scenario = Scenario::Wait(Kind::Permits);
        let denied = scenario.take(&core, &Stop::at(Some(soon))).await;
        denied.expect_err("no answer");
        sleep(SETTLED).await;
        assert_eq!(memory.keys(), 0);
    });
}

#[test]
fn a_lock_that_was_broken_without_an_answer_is_broken() {
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let held = scenario.take(&core, &Stop::default()).await;
        let held = held.expect("free");
        let keys = Keys::of("p", "a").expect("a good name");
        // The first reads.
        memory.fail(memory.calls() + 1, Fault::LostAnswer);
        let broken = break_token(&core, &keys, held.token()).await;
        assert!(broken.expect("an answer"));
        assert_eq!(memory.keys(), 0);
        let again = break_token(&core, &keys, held.token()).await;
        assert!(!again.expect("an answer"));
    });
}

#[test]
fn waits_that_end_during_a_cut_do_not_ask_more_and_more() {
    const WAITS: usize = 100;
    let memory = Memory::default();
    run(&memory, async |core| {
        let scenario = Scenario::Wait(Kind::Writer);
        let passed = scenario.pass(&memory, &core).await;
        passed.expect("no fault");
        memory.cut(true);
        let over = || Stop::at(Some(Instant::now()));
        let waits = (0..WAITS).map(|_| {
            let (core, stop) = (Arc::clone(&core), over());
            tokio::spawn(async move { scenario.take(&core, &stop).await.map(drop) })
        });
        for wait in waits.collect::<Vec<_>>() {
            wait.await.expect("no panic").expect_err("no answer");
        }
        let calls = memory.calls();
        sleep(RELIABLE).await;
        // Each would have asked more than that often.
        assert!(
            memory.calls() - calls < 2 * WAITS,
            "{}",
            memory.calls() - calls
        );
        memory.cut(false);
        sleep(SETTLED).await;
        assert_eq!(memory.keys(), 0);
    });
}

#[test]
fn a_diagnosis_leaves_nothing() {
    let memory = Memory::default();
    let calls = run(&memory, async |core| {
        diagnose(&core).await;
        memory.calls()
    });
    for call in 0..calls {
        for fault in PASSING {
            let memory = Memory::default();
            memory.fail(call, fault);
            run(&memory, async |core| {
                diagnose(&core).await;
                sleep(SETTLED).await;
                core.session.revoke().await;
                assert_eq!(memory.keys(), 0, "{call} {fault:?}");
            });
        }
    }
}

#[test]
fn a_wait_that_is_shorter_than_an_answer_ends_as_a_wait() {
    for scenario in SCENARIOS {
        let memory = Memory::default();
        run(&memory, async |core| {
            let all = Wanted { limit: 2, count: 2 };
            let keys = Keys::of("p", "a").expect("a good name");
            let stop = Stop::default();
            let held = match scenario {
                Scenario::Attempt(Kind::Permits) | Scenario::Wait(Kind::Permits) => {
                    pool::attempt(&core, &keys, all, &stop).await
                }
                _ => queue::attempt(&core, &keys, Kind::Writer, &stop).await,
            };
            held.expect("free");
            let other = client(&memory);
            memory.fail(memory.calls() + GRANT, Fault::Slow);
            let soon = Stop::at(Some(Instant::now() + Duration::from_millis(1)));
            let denied = scenario.take(&other, &soon).await;
            let denied = denied.expect_err("it is held");
            assert!(matches!(denied, Denied::Held(_)), "{scenario:?} {denied:?}");
        });
    }
}

fn waiter(
    scenario: Scenario,
    core: &Arc<Core>,
) -> tokio::task::JoinHandle<Result<Arc<Held>, Denied>> {
    let core = Arc::clone(core);
    let wait: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(async move { scenario.take(&core, &Stop::default()).await });
    tokio::spawn(wait)
}
