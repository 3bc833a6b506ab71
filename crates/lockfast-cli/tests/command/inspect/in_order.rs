//! Waiters in FIFO order.

use std::path::Path;
use std::process::Command;

use crate::inspect::{entries, number, until, until_waiting};
use crate::stage::{Actor, Stage};

/// Not a test by itself: the processes of the next test.
#[test]
#[ignore = "the other process of these tests"]
fn takes_a_lock_in_order_if_it_is_asked_to() {
    use lockfast::{Fairness, Lock, RwLock, Semaphore};
    let Some(path) = std::env::var_os("LOCKFAST_TEST_IN_ORDER") else {
        return;
    };
    let hold = || {
        println!("\ninside");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a line");
    };
    let what = std::env::var("LOCKFAST_TEST_AS").expect("what for");
    let fifo = Fairness::Fifo;
    match &*what {
        "lock" => {
            let lock = Lock::options().fairness(fifo).open(path).expect("a lock");
            let _guard = lock.lock().expect("it gets in");
            hold();
        }
        "reader" => {
            let lock = RwLock::options().fairness(fifo).open(path).expect("a lock");
            let _guard = lock.read().expect("it gets in");
            hold();
        }
        _ => {
            let options = Semaphore::options().fairness(fifo);
            let pool = options.open(path, 1).expect("a pool");
            let _permit = pool.acquire().expect("it gets in");
            hold();
        }
    }
}

/// Waiters in FIFO order have locked a ticket and wait for another one: they hold nothing.
#[test]
fn a_waiter_in_fifo_order_is_no_holder() {
    let stage = Stage::new();
    let start = |path: &Path, what: &str| {
        let itself = std::env::current_exe().expect("this program");
        let mut command = Command::new(itself);
        command.args(["--nocapture", "--ignored", "--exact"]);
        command.arg("inspect::in_order::takes_a_lock_in_order_if_it_is_asked_to");
        command.env("LOCKFAST_TEST_IN_ORDER", path);
        Actor::start(command.env("LOCKFAST_TEST_AS", what))
    };
    let until_inside = |actor: &Actor| while actor.hear() != "inside" {};
    let cases = [
        (
            "lock",
            ["exclusive", "writer"],
            ["exclusive", "writer"],
            ["exclusive", "-"],
        ),
        (
            "permit",
            ["exclusive", "permit"],
            ["exclusive", "permit"],
            ["exclusive", "permit"],
        ),
    ];
    for (what, held, first, others) in cases {
        let path = stage.path(what);
        let holder = start(&path, what);
        until_inside(&holder);
        let waiters: Vec<Actor> = (0..3)
            .map(|_| {
                let waiter = start(&path, what);
                until_waiting(&path, waiter.pid());
                waiter
            })
            .collect();
        let pids: Vec<u64> = waiters.iter().map(|waiter| number(waiter.pid())).collect();
        let mut expected = vec![("holding", held, number(holder.pid()))];
        let manners = [first, others, others];
        expected.extend(
            pids.iter()
                .zip(manners)
                .map(|(&pid, manner)| ("waiting", manner, pid)),
        );
        expected.sort_unstable();
        // A look may fall between two waits of the same process.
        let mut told = Vec::new();
        until(&format!("{expected:?}"), || {
            told = entries(&path);
            let holders = told.iter().filter(|entry| entry.0 == "holding").count();
            assert!(holders <= 1, "{told:?}");
            let mut short: Vec<_> = told
                .iter()
                .filter_map(|(state, _, mode, role, pid)| {
                    Some((&**state, [&**mode, &**role], (*pid)?))
                })
                .collect();
            short.sort_unstable();
            short == expected
        });
    }
    // A reader behind a waiting writer.
    let path = stage.path("rw.lock");
    let holder = start(&path, "lock");
    until_inside(&holder);
    let writer = start(&path, "lock");
    until_waiting(&path, writer.pid());
    let reader = start(&path, "reader");
    until_waiting(&path, reader.pid());
    let told = entries(&path);
    let is_its =
        |entry: &&(String, _, String, String, Option<u64>)| entry.4 == Some(number(reader.pid()));
    let its: Vec<_> = told.iter().filter(is_its).collect();
    assert_eq!(its.len(), 1, "{told:?}");
    assert_eq!(
        (&*its[0].0, &*its[0].2, &*its[0].3),
        ("waiting", "shared", "reader")
    );
}
