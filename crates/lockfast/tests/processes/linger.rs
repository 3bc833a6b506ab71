//! Locks that linger: kept while nobody wants them, and no longer.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::exclusion::hammer_by_eight;
use crate::interop::peer::{FASTENERS, FILELOCK, Peer, STD};
use crate::stage::{Actor, Place, holders, installed, until, until_stopped};
use crate::witness::Witness;
use crate::{trial, trial_needing};

/// Longer than any test takes.
const LONG: &str = "linger=3600000";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = plain_trials();
    for peer in [FASTENERS, FILELOCK, STD] {
        let name = format!("linger::is_given_up_for_{}", peer.name);
        trials.push(trial_needing(&name, peer.available(), move || {
            is_given_up_for_a_foreign_program(&peer);
        }));
    }
    trials.push(trial_needing(
        "linger::is_given_up_for_flock_1",
        installed("flock"),
        is_given_up_for_flock_1,
    ));
    trials
}

macro_rules! plain {
    ($($name:ident),* $(,)?) => {
        fn plain_trials() -> Vec<Trial> {
            vec![$(trial(concat!("linger::", stringify!($name)), $name)),*]
        }
    };
}

plain![
    is_kept_and_given_up_for_every_sort_of_visitor,
    is_given_up_at_the_release_when_a_thread_is_inside,
    another_handle_of_the_process_is_a_visitor_too,
    keepers_and_others_lose_no_count,
    neither_of_two_keepers_starves,
    a_program_that_only_asks_gets_in_when_the_time_is_over,
    a_program_that_waits_unheard_is_found,
    a_killed_keeper_frees_it,
    a_keeper_that_executes_another_program_frees_it,
    a_forked_child_keeps_nothing_and_frees_nothing,
    the_last_handle_gives_it_up,
    the_thread_ends_with_the_last_file,
    a_file_deleted_replaced_or_renamed_is_given_up,
    readers_keep_it_together_until_somebody_writes,
    a_kept_lock_is_not_in_the_way_of_its_own_process,
    one_that_waits_is_known_by_its_sign,
    one_that_waits_beside_a_keeper_is_known,
    what_can_not_linger_says_so,
];

fn keeper(place: &Place, options: &str) -> Actor {
    let mut keeper = Actor::with_lock(place, &format!("{LONG} {options}"));
    keep(&mut keeper, place);
    keeper
}

/// Has it lock, release and keep.
fn keep(keeper: &mut Actor, place: &Place) {
    // Not when somebody wanted it a moment ago.
    until("a lock that is kept", || {
        keeper.ask("lock a g");
        keeper.ask("release g");
        keepers(&place.lock()) > 0
    });
}

fn is_kept_and_given_up_for_every_sort_of_visitor() {
    for protocol in ["fcntl", "flock", "both"] {
        let options = format!("protocol={protocol}");
        for command in ["lock a g", "for a g 3600000", "try a g"] {
            let place = Place::new();
            let mut visitor = Actor::with_lock(&place, &options);
            let mut keeper = keeper(&place, &options);
            // An attempt gives the keeper a millisecond, which can be too little on a busy machine; but
            // then the next one finds it gone.
            until("a keeper that gives it up", || visitor.attempts(command));
            assert!(keeper.ask_in_vain("try a g").starts_with("contended:"));
            visitor.ask("release g");
            assert_eq!(holders(&place.lock()), 0, "{protocol} {command}");
            keep(&mut keeper, &place);
            keeper.ask("lock a g");
            let refused = visitor.ask_in_vain("try a g");
            assert!(refused.starts_with("contended:"), "{protocol} {refused}");
        }
    }
}

fn is_given_up_at_the_release_when_a_thread_is_inside() {
    let place = Place::new();
    let mut visitor = Actor::with_lock(&place, "");
    let mut keeper = keeper(&place, "");
    keeper.ask("lock a g");
    let waiting = visitor.begin_waiting("lock a g", &place);
    assert!(!visitor.has_answered(waiting));
    keeper.ask("release g");
    visitor.succeeds(waiting);
}

fn another_handle_of_the_process_is_a_visitor_too() {
    let place = Place::new();
    let mut keeper = keeper(&place, "");
    keeper.ask(&format!("open b {} {LONG}", place.lock().display()));
    for _ in 0..3 {
        for name in ["a", "b"] {
            keeper.ask(&format!("lock {name} g"));
            keeper.ask("release g");
        }
    }
}

fn keepers_and_others_lose_no_count() {
    for options in ["linger=50", "linger=1", "linger=50 protocol=flock"] {
        hammer_by_eight("hammer", options, 1_000);
    }
    let place = Place::new();
    let mut actors: Vec<_> = (0..4).map(|_| Actor::start()).collect();
    let options = ["linger=50", "", "linger=1", "linger=3600000"];
    let commands = [
        "hammer",
        "hammer-timed",
        "hammer-threads 3",
        "hammer-threads 2",
    ];
    let hammering: Vec<_> = (actors.iter_mut().enumerate())
        .map(|(number, actor)| {
            let (command, options) = (commands[number], options[number]);
            let hammer = format!("{command} {} 1000 {options}", place.lock().display());
            actor.begin(hammer.trim_end())
        })
        .collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&place.lock()).expect("the witness");
    assert_eq!(witness.count().expect("its count"), (1 + 1 + 3 + 2) * 1000);
}

fn neither_of_two_keepers_starves() {
    let place = Place::new();
    let mut greedy = Actor::with_lock(&place, LONG);
    let mut other = Actor::with_lock(&place, LONG);
    greedy.ask("relock-in-threads a 1");
    for _ in 0..200 {
        other.ask("lock a g");
        other.ask("release g");
    }
    // And the other way round: what the greedy one wants is not kept from it.
    let mut third = Actor::with_lock(&place, LONG);
    other.ask("relock-in-threads a 1");
    for _ in 0..50 {
        third.ask("lock a g");
        third.ask("release g");
    }
}

/// It has the file open all the time, and so can't be heard.
fn a_program_that_only_asks_gets_in_when_the_time_is_over() {
    for is_used in [false, true] {
        let place = Place::new();
        let mut poller = Actor::start();
        let mut keeper = Actor::with_lock(&place, "linger=100");
        poller.ask(&format!("hold-open f {}", place.lock().display()));
        if is_used {
            keeper.ask("relock-in-threads a 1");
        }
        for _ in 0..2 {
            until("a lock that is kept", || {
                if !is_used {
                    keeper.ask("lock a g");
                    keeper.ask("release g");
                }
                keepers(&place.lock()) == 1
            });
            until("the poller inside", || {
                let attempt = poller.begin("classic f exclusive");
                poller.answers(attempt).is_ok()
            });
            poller.ask("classic f none");
        }
    }
}

/// It has the file open before it waits, and so it can't be heard, and the time is never over.
fn a_program_that_waits_unheard_is_found() {
    for is_used in [false, true] {
        let place = Place::new();
        let mut keeper = Actor::with_lock(&place, LONG);
        let mut waiter = Actor::start();
        waiter.ask(&format!("hold-open f {}", place.lock().display()));
        if is_used {
            keeper.ask("relock-in-threads a 1");
        }
        for _ in 0..2 {
            until("a lock that is kept", || {
                if !is_used {
                    keeper.ask("lock a g");
                    keeper.ask("release g");
                }
                keepers(&place.lock()) == 1
            });
            waiter.ask("classic f exclusive-wait");
            waiter.ask("classic f none");
        }
    }
}

fn a_killed_keeper_frees_it() {
    let place = Place::new();
    let mut poller = Actor::start();
    let mut keeper = Actor::with_lock(&place, LONG);
    poller.ask(&format!("hold-open f {}", place.lock().display()));
    keep(&mut keeper, &place);
    poller.ask_in_vain("classic f exclusive");
    keeper.kill();
    poller.ask("classic f exclusive");
}

fn a_keeper_that_executes_another_program_frees_it() {
    let place = Place::new();
    let mut poller = Actor::start();
    let mut keeper = Actor::with_lock(&place, LONG);
    poller.ask(&format!("hold-open f {}", place.lock().display()));
    keep(&mut keeper, &place);
    poller.ask_in_vain("classic f exclusive");
    let _ = keeper.begin("execute sleep 1000");
    until("the lock free", || {
        let attempt = poller.begin("classic f exclusive");
        poller.answers(attempt).is_ok()
    });
}

fn a_forked_child_keeps_nothing_and_frees_nothing() {
    for kind in ["libc", "raw"] {
        let place = Place::new();
        let mut parent = keeper(&place, "");
        let mut child = parent.fork(kind);
        child.ask("close a");
        child.kill();
        assert!(holders(&place.lock()) > 0, "{kind}");
        // A child of that fork shares the parent's descriptors, which does not matter here.
        parent.ask("lock a g");
        parent.ask("release g");
        let mut child = parent.fork("libc");
        child.ask("lock a h");
        assert!(
            parent
                .ask_in_vain("try a g")
                .contains(&child.pid().to_string())
        );
        child.ask("release h");
        child.ask("lock a h");
        child.ask("release h");
        let mut visitor = Actor::with_lock(&place, "");
        visitor.ask("lock a g");
    }
}

fn the_last_handle_gives_it_up() {
    for protocol in ["fcntl", "flock", "both"] {
        let place = Place::new();
        let options = format!("protocol={protocol}");
        let mut keeper = keeper(&place, &options);
        keeper.ask("close a");
        assert_eq!(holders(&place.lock()), 0, "{protocol}");

        let mut keeper = self::keeper(&place, &options);
        keeper.ask("lock a g");
        keeper.ask("close a");
        assert!(holders(&place.lock()) > 0);
        keeper.ask("release g");
        assert_eq!(holders(&place.lock()), 0, "{protocol}");
    }
}

fn the_thread_ends_with_the_last_file() {
    let place = Place::new();
    let mut keeper = Actor::start();
    let before = keeper.ask("count task");
    for _ in 0..3 {
        let before_open = keeper.ask("count fd");
        keeper.ask(&format!("open a {} {LONG}", place.lock().display()));
        keep(&mut keeper, &place);
        assert_ne!(keeper.ask("count task"), before);
        keeper.ask("close a");
        until("the thread gone", || keeper.ask("count task") == before);
        // What is used to watch stays for the next one: two descriptors.
        let left: u32 = keeper.ask("count fd").parse().expect("a number");
        assert!(left <= before_open.parse::<u32>().expect("a number") + 2);
    }
}

fn a_file_deleted_replaced_or_renamed_is_given_up() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::remove_file(path).expect("deleted"),
        |path| {
            let other = path.with_extension("other");
            fs::write(&other, "").expect("a file");
            fs::rename(other, path).expect("replaced");
        },
        |path| fs::rename(path, path.with_extension("elsewhere")).expect("renamed"),
    ];
    for change in changes {
        let place = Place::new();
        let mut keeper = keeper(&place, "");
        // Still there when it is deleted, and with the same inode wherever it is.
        let copy = place.path().join("copy");
        fs::hard_link(place.lock(), &copy).expect("another name");
        keep(&mut keeper, &place);
        let inode = fs::metadata(&copy).expect("the file").ino();
        change(&place.lock());
        until("the old file given up", || holders(&copy) == 0);
        keeper.ask("lock a g");
        assert_ne!(fs::metadata(place.lock()).expect("a file").ino(), inode);
        let mut other = Actor::with_lock(&place, "");
        assert!(other.ask_in_vain("try a g").starts_with("contended:"));
        keeper.ask("release g");
        other.ask("lock a g");
    }
}

fn readers_keep_it_together_until_somebody_writes() {
    for options in ["", "protocol=flock"] {
        let place = Place::new();
        let open = |actor: &mut Actor| {
            let open = format!("rw open a {} {LONG} {options}", place.lock().display());
            actor.ask(open.trim_end());
        };
        let mut writer = Actor::start();
        open(&mut writer);
        let mut readers: Vec<_> = (0..3).map(|_| Actor::start()).collect();
        readers.iter_mut().for_each(open);
        for command in [
            "rw write a g",
            "rw try-write a g",
            "rw write-for a g 3600000",
        ] {
            until("three that keep it", || {
                for reader in &mut readers {
                    reader.ask("rw read a g");
                    reader.ask("rw release g");
                }
                keepers(&place.lock()) == 3
            });
            let waiting = writer.begin(command);
            match writer.answers(waiting) {
                Ok(()) => {}
                // Three may take longer than an attempt waits.
                Err(error) if command.contains("try") => {
                    assert!(error.starts_with("contended:"), "{error}");
                    until("the writer inside", || {
                        let again = writer.begin(command);
                        writer.answers(again).is_ok()
                    });
                }
                Err(error) => panic!("{command}: {error}"),
            }
            for reader in &mut readers {
                let refused = reader.ask_in_vain("rw try-read a g");
                assert!(refused.starts_with("contended:"), "{refused}");
            }
            writer.ask("rw release g");
        }
    }
}

/// How many have a shared lock of the whole range by which they tell that they keep it.
fn keepers(path: &Path) -> usize {
    const SIGNS: u64 = (1 << 62) + (1 << 61) + (1 << 60) + (1 << 57) + 1;
    crate::stage::held_from(path, SIGNS)
}

fn a_kept_lock_is_not_in_the_way_of_its_own_process() {
    let place = Place::new();
    let mut actor = Actor::start();
    let mut other = Actor::start();
    for actor in [&mut actor, &mut other] {
        actor.ask(&format!("rw open a {} {LONG}", place.lock().display()));
    }
    let ways = [
        "read",
        "try-read",
        "upgradable",
        "try-upgradable",
        "write",
        "try-write",
    ];
    for first in ways {
        for second in ways {
            actor.ask(&format!("rw {first} a g"));
            actor.ask("rw release g");
            actor.ask(&format!("rw {second} a g"));
            if second.contains("write") {
                let refused = other.ask_in_vain("rw try-read a g");
                assert!(
                    refused.starts_with("contended:"),
                    "{first} {second} {refused}"
                );
            } else {
                other.ask("rw read a g");
                other.ask("rw release g");
            }
            actor.ask("rw release g");
        }
    }
    // What is kept to read is no reader that an upgrade would wait for.
    actor.ask("rw upgradable a u");
    actor.ask("rw read a g");
    actor.ask("rw release g");
    actor.ask("rw change try-upgrade u");
    actor.ask("rw change downgrade u");
    actor.ask("rw release u");
    // From a writer that came by the lane.
    until("a lock that is kept", || {
        actor.ask("rw write a g");
        actor.ask("rw release g");
        holders(&place.lock()) > 0
    });
    actor.ask("rw write a g");
    actor.ask("rw change downgrade g");
    other.ask("rw read a g");
    other.ask("rw release g");
    actor.ask("rw release g");
}

/// So nobody begins to keep it while another waits, even one that no bell can wake.
fn one_that_waits_is_known_by_its_sign() {
    let place = Place::new();
    let mut holder = Actor::with_lock(&place, "");
    holder.ask("lock a g");
    let mut waiter = Actor::with_lock(&place, "");
    let waiting = waiter.begin_waiting("lock a g", &place);
    waiter.signal(Signal::SIGSTOP);
    until_stopped(&waiter);
    let mut keeper = Actor::with_lock(&place, LONG);
    let keeping = keeper.begin_waiting("lock a g", &place);
    holder.ask("release g");
    // The other one was woken, but does not run.
    keeper.succeeds(keeping);
    keeper.ask("release g");
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
}

/// The same for one that found it kept, and so could not have its sign.
fn one_that_waits_beside_a_keeper_is_known() {
    let place = Place::new();
    let mut waiter = Actor::with_lock(&place, "");
    let mut keeper = keeper(&place, "");
    keeper.ask("lock a g");
    until("the sign of a keeper", || keepers(&place.lock()) == 1);
    let waiting = waiter.begin_waiting("lock a g", &place);
    waiter.signal(Signal::SIGSTOP);
    until_stopped(&waiter);
    for _ in 0..200 {
        keeper.ask("release g");
        keeper.ask("lock a g");
        assert_eq!(keepers(&place.lock()), 0);
    }
    keeper.ask("release g");
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
}

fn what_can_not_linger_says_so() {
    let place = Place::new();
    let mut actor = Actor::start();
    let path = place.lock();
    for options in ["linger=0", "linger=1 remove", "linger=1 verify=path"] {
        let refused = actor.ask_in_vain(&format!("open a {} {options}", path.display()));
        assert!(refused.contains("linger"), "{refused}");
        assert!(!path.exists());
    }
    let refused = actor.ask_in_vain(&format!("sem open s {} 3 linger=1", path.display()));
    assert!(refused.contains("linger"), "{refused}");
    // A file system that is not known to be kept by this machine alone.
    let refused = actor.ask_in_vain("open a /proc/self/oom_score_adj linger=1");
    assert!(refused.starts_with("unsupported:"), "{refused}");
}

fn is_given_up_for_a_foreign_program(peer: &Peer) {
    for is_used in [false, true] {
        let place = Place::new();
        let mut keeper = keeper(&place, "protocol=both");
        if is_used {
            // Now and then, so that one who asks now and then has a chance.
            keeper.ask("relock-in-threads a 1 1");
        }
        let mut foreign = peer.start(&place);
        for _ in 0..3 {
            if !is_used {
                keep(&mut keeper, &place);
            }
            let waiting = foreign.begin("lock exclusive");
            foreign.succeeds(waiting);
            if !is_used {
                assert!(keeper.ask_in_vain("try a g").starts_with("contended:"));
            }
            foreign.ask("release");
        }
    }
}

fn is_given_up_for_flock_1() {
    let place = Place::new();
    let mut keeper = keeper(&place, "protocol=flock");
    for _ in 0..5 {
        keep(&mut keeper, &place);
        let mut utility = std::process::Command::new("flock");
        let output = utility.arg(place.lock()).args(["echo", "ran"]).output();
        assert_eq!(output.expect("flock(1)").stdout, b"ran\n");
    }
    keeper.ask("relock-in-threads a 1");
    for _ in 0..5 {
        let mut utility = std::process::Command::new("flock");
        let output = utility.arg(place.lock()).args(["echo", "ran"]).output();
        assert_eq!(output.expect("flock(1)").stdout, b"ran\n");
    }
}
