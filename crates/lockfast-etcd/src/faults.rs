//! Each request with each fault, on a cluster in memory and a virtual clock.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{BootTime, Clock, Process};
use tokio::time::{Instant, sleep};

use crate::address::Address;
use crate::core::Core;
use crate::failure::Reason;
use crate::hold::Held;
use crate::keys::{Keys, Kind};
use crate::memory::{Fault, Memory};
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
const PASSING: [Fault; 4] = [
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::Late,
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
    runtime.block_on(async {
        let start = Instant::now();
        let clock =
            Clock::of(move || BootTime::after_boot(start.elapsed() + Duration::from_secs(1)));
        let address = Address::parse("etcd://a,b/p?ttl=30s").expect("a good URL");
        let transport = Arc::new(memory.clone());
        test(Arc::new(Core::new(
            address,
            transport,
            clock,
            &Process::current(),
        )))
        .await
    })
}

impl Scenario {
    async fn take(self, core: &Arc<Core>, stop: &Stop) -> Result<Arc<Held>, Denied> {
        let keys = Keys::of("p", "a").expect("a good name");
        let wanted = Wanted { limit: 2, count: 1 };
        match self {
            Self::Attempt(Kind::Permits) => pool::attempt(core, &keys, wanted, stop).await,
            Self::Wait(Kind::Permits) => pool::wait(core, &keys, wanted, stop).await,
            Self::Attempt(kind) => queue::attempt(core, &keys, kind, stop).await,
            Self::Wait(kind) => queue::wait(core, &keys, kind, stop).await,
        }
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
        assert!(requests >= 3, "a lease, a lock and a release");
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

fn waiter(
    scenario: Scenario,
    core: &Arc<Core>,
) -> tokio::task::JoinHandle<Result<Arc<Held>, Denied>> {
    let core = Arc::clone(core);
    let wait: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(async move { scenario.take(&core, &Stop::default()).await });
    tokio::spawn(wait)
}
