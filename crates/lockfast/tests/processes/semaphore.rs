//! Semaphores: so many permits and no more, in the order in which they were asked for.

use std::fs;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;

use crate::stage::{Actor, Pending, Stage, held_at, until, waiters};
use crate::trials;
use crate::waiting::{other_thread, signal_thread};

trials![
    no_more_than_there_are,
    a_killed_holder_frees_its_permits_and_wakes_the_head,
    a_killed_head_lets_the_next_one_lead,
    processes_are_served_in_the_order_in_which_they_came,
    threads_of_one_handle_are_served_in_their_order,
    a_newcomer_does_not_overtake_the_line,
    a_handle_overtakes_the_line_once_after_it_saw_nobody,
    a_release_rings_only_for_a_line,
    another_number_is_refused_while_it_is_open,
    many_are_taken_all_or_none,
    two_collectors_of_permits_do_not_block_each_other,
    a_wait_that_times_out_leaves_nothing,
    a_callback_ends_the_wait_of_the_head,
    a_signal_is_told_to_the_head,
    a_deleted_file_is_noticed_by_the_head_and_by_the_idle,
    permits_of_a_deleted_file_stay_apart_from_the_new_ones,
    a_childs_copies_hold_nothing_and_its_handle_works,
    a_lock_excludes_all_permits,
    a_program_that_locks_the_whole_file_is_told_of,
    what_can_not_be_is_refused,
    eight_processes_never_have_more,
    killed_at_random_while_the_file_is_deleted_it_goes_on,
];

/// The byte that everybody in the line shares.
pub(crate) const WAITING: u64 = (1 << 62) + (1 << 61) + 3;
const HEAD: u64 = 1 << 61;

fn actors<const N: usize>(stage: &Stage, permits: u32, options: &str) -> [Actor; N] {
    std::array::from_fn(|_| {
        let mut actor = Actor::start();
        actor.ask(&open(stage, permits, options));
        actor
    })
}

/// Returns the command that opens the semaphore as `a`.
pub(crate) fn open(stage: &Stage, permits: u32, options: &str) -> String {
    format!("sem open a {} {permits} {options}", stage.lock().display())
        .trim_end()
        .to_owned()
}

#[track_caller]
fn is_contended(actor: &mut Actor, command: &str) {
    let told = actor.ask_in_vain(command);
    assert!(told.starts_with("contended:"), "{told}");
}

/// Has it line up, and waits until it is the head.
fn begin_leading(actor: &mut Actor, command: &str, stage: &Stage) -> Pending {
    let pending = actor.begin(command);
    until("a head", || held_at(&stage.lock(), HEAD) == 1);
    pending
}

/// Stops all its threads.
pub(crate) fn stop(actor: &Actor) {
    actor.signal(Signal::SIGSTOP);
    let tasks = format!("/proc/{}/task", actor.pid());
    until("all its threads stop", || {
        let mut tasks = fs::read_dir(&tasks).expect("its threads");
        tasks.all(|task| {
            let stat = task.expect("a thread").path().join("stat");
            fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") T "))
        })
    });
}

fn no_more_than_there_are() {
    let stage = Stage::new();
    let [mut one, mut other] = actors(&stage, 3, "");
    one.ask("sem acquire a g");
    one.ask("sem try a h");
    assert_eq!(other.ask("sem available a"), "1");
    other.ask("sem acquire a g");
    for actor in [&mut one, &mut other] {
        is_contended(actor, "sem try a x");
        let attempt = actor.begin("sem try a x");
        assert!(actor.fails(attempt).starts_with("contended:"));
        assert_eq!(actor.ask("sem available a"), "0");
    }
    // Another handle of the same process.
    one.ask(&open(&stage, 3, "").replace(" a ", " b "));
    is_contended(&mut one, "sem try b x");
    let timed_out = one.ask_in_vain("sem for b x 5");
    assert!(timed_out.starts_with("timed-out:"), "{timed_out}");
    one.ask("sem release h");
    one.ask("sem try b x");
    is_contended(&mut other, "sem try a x");
    one.ask("sem drop x");
    other.ask("sem try a x");
    assert_eq!(one.ask("sem available b"), "0");
}

fn a_killed_holder_frees_its_permits_and_wakes_the_head() {
    let stage = Stage::new();
    let [mut holder, mut waiter, mut next] = actors(&stage, 2, "");
    holder.ask("sem acquire a g 2");
    let waiting = begin_leading(&mut waiter, "sem acquire a g", &stage);
    let timed = next.begin_waiting("sem for a g 3600000", &stage);
    holder.kill();
    waiter.succeeds(waiting);
    next.succeeds(timed);
}

fn a_killed_head_lets_the_next_one_lead() {
    let stage = Stage::new();
    let [mut holder, mut head, mut next] = actors(&stage, 2, "");
    holder.ask("sem acquire a g");
    // It has collected one when it dies.
    begin_leading(&mut head, "sem acquire a g 2", &stage);
    let waiting = next.begin_waiting("sem acquire a g", &stage);
    head.kill();
    next.succeeds(waiting);
}

fn processes_are_served_in_the_order_in_which_they_came() {
    let stage = Stage::new();
    let mut all: [_; 6] = actors(&stage, 1, "");
    let [holder, waiters @ ..] = &mut all;
    holder.ask("sem acquire a g");
    let mut pending = Vec::new();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let command = if number % 2 == 0 {
            "sem acquire a g"
        } else {
            "sem for a g 3600000"
        };
        pending.push(if number == 0 {
            begin_leading(waiter, command, &stage)
        } else {
            waiter.begin_waiting(command, &stage)
        });
    }
    holder.ask("sem release g");
    for number in 0..pending.len() {
        waiters[number].succeeds(pending[number]);
        for later in number + 1..pending.len() {
            assert!(!waiters[later].has_answered(pending[later]));
        }
        waiters[number].ask("sem release g");
    }
}

fn threads_of_one_handle_are_served_in_their_order() {
    let stage = Stage::new();
    let [mut holder] = actors(&stage, 1, "");
    let [mut actor] = actors(&stage, 1, "on-wait=");
    holder.ask("sem acquire a g");
    let mut pending = Vec::new();
    for number in 0..5 {
        pending.push(actor.begin(&format!("sem acquire a g{number}")));
        actor.event();
    }
    holder.ask("sem release g");
    for number in 0..pending.len() {
        actor.succeeds(pending[number]);
        for &later in &pending[number + 1..] {
            assert!(!actor.has_answered(later));
        }
        actor.ask(&format!("sem release g{number}"));
    }
}

fn a_newcomer_does_not_overtake_the_line() {
    let stage = Stage::new();
    let [mut holder, mut head, mut late] = actors(&stage, 1, "");
    holder.ask("sem acquire a g");
    let waiting = begin_leading(&mut head, "sem acquire a g", &stage);
    // While it is stopped, the permit is free and it is the head's.
    stop(&head);
    holder.ask("sem release g");
    assert_eq!(late.ask("sem available a"), "1");
    is_contended(&mut late, "sem try a g");
    is_contended(&mut holder, "sem try a g");
    let lining_up = late.begin_waiting("sem acquire a g", &stage);
    assert!(!late.has_answered(lining_up));
    head.signal(Signal::SIGCONT);
    head.succeeds(waiting);
    head.ask("sem release g");
    late.succeeds(lining_up);
}

fn a_handle_overtakes_the_line_once_after_it_saw_nobody() {
    let stage = Stage::new();
    let [mut holder, mut head, mut quick] = actors(&stage, 2, "");
    quick.ask("sem acquire a g");
    quick.ask("sem release g");
    holder.ask("sem acquire a g 2");
    let waiting = begin_leading(&mut head, "sem acquire a g", &stage);
    stop(&head);
    holder.ask("sem release g");
    quick.ask("sem try a g");
    is_contended(&mut quick, "sem try a h");
    quick.ask("sem release g");
    is_contended(&mut quick, "sem try a g");
    head.signal(Signal::SIGCONT);
    head.succeeds(waiting);
}

fn a_release_rings_only_for_a_line() {
    let stage = Stage::new();
    let [mut holder, mut waiter] = actors(&stage, 1, "");
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).expect("a watch");
    watch
        .add_watch(&stage.lock(), AddWatchFlags::IN_CLOSE)
        .expect("a watch");
    holder.ask("sem acquire a g");
    holder.ask("sem release g");
    assert!(watch.read_events().is_err(), "nobody was in the line");
    holder.ask("sem acquire a g");
    let waiting = begin_leading(&mut waiter, "sem acquire a g", &stage);
    stop(&waiter);
    holder.ask("sem release g");
    assert!(!watch.read_events().expect("a ring").is_empty());
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
    // The head in another thread of the same handle.
    let waiting = begin_leading(&mut waiter, "sem acquire a h", &stage);
    waiter.ask("sem release g");
    assert!(!watch.read_events().expect("a ring").is_empty());
    waiter.succeeds(waiting);
}

fn another_number_is_refused_while_it_is_open() {
    let stage = Stage::new();
    let [mut one, mut other] = actors(&stage, 4, "");
    let mut third = Actor::start();
    for number in [1, 3, 5, 1024] {
        let told = third.ask_in_vain(&open(&stage, number, ""));
        let both = format!("{number} permits here and 4 where others have it open");
        assert!(told.contains(&both), "{told}");
    }
    one.ask("sem acquire a g");
    one.ask("sem close a");
    other.kill();
    // A permit keeps it open too.
    third.ask_in_vain(&open(&stage, 5, ""));
    one.ask("sem release g");
    third.ask(&open(&stage, 5, ""));
    let told = one.ask_in_vain(&open(&stage, 4, ""));
    assert!(told.contains("4 permits here and 5 where"), "{told}");
}

fn many_are_taken_all_or_none() {
    let stage = Stage::new();
    let [mut one, mut other] = actors(&stage, 5, "");
    one.ask("sem acquire a g 2");
    is_contended(&mut other, "sem try a g 4");
    assert_eq!(one.ask("sem available a"), "3");
    let told = other.ask_in_vain("sem for a g 10 4");
    assert!(told.starts_with("timed-out:"), "{told}");
    assert_eq!(one.ask("sem available a"), "3");
    let waiting = begin_leading(&mut other, "sem acquire a g 4", &stage);
    one.ask("sem release g");
    other.succeeds(waiting);
    assert_eq!(one.ask("sem available a"), "1");
    other.ask("sem release g");
    assert_eq!(one.ask("sem available a"), "5");
    one.ask("sem try a g 5");
}

fn two_collectors_of_permits_do_not_block_each_other() {
    let stage = Stage::new();
    let [mut holder, mut one, mut other] = actors(&stage, 4, "");
    holder.ask("sem acquire a g");
    holder.ask("sem acquire a h");
    let first = begin_leading(&mut one, "sem acquire a g 3", &stage);
    let second = other.begin_waiting("sem acquire a g 3", &stage);
    holder.ask("sem release g");
    one.succeeds(first);
    assert!(!other.has_answered(second));
    holder.ask("sem release h");
    one.ask("sem release g");
    other.succeeds(second);
}

fn a_wait_that_times_out_leaves_nothing() {
    let stage = Stage::new();
    let [mut holder, mut head, mut behind] = actors(&stage, 1, "");
    holder.ask("sem acquire a g");
    let threads = behind.ask("count task");
    let mut before = None;
    for _ in 0..5 {
        // As the head, and behind it.
        for actor in [&mut head, &mut behind] {
            let told = actor.ask_in_vain("sem for a x 5");
            assert!(told.starts_with("timed-out:"), "{told}");
        }
        let leading = begin_leading(&mut head, "sem for a x 3600000", &stage);
        let told = behind.ask_in_vain("sem for a x 5");
        assert!(told.starts_with("timed-out:"), "{told}");
        holder.ask("sem release g");
        head.succeeds(leading);
        head.ask("sem release x");
        holder.ask("sem acquire a g");
        assert_eq!(held_at(&stage.lock(), WAITING), 0);
        let now = [
            head.ask("count fd"),
            behind.ask("count fd"),
            behind.ask("timers"),
        ];
        assert_eq!(&now, before.get_or_insert(now.clone()));
        until("no thread is left", || behind.ask("count task") == threads);
    }
}

fn a_callback_ends_the_wait_of_the_head() {
    let stage = Stage::new();
    let [mut holder] = actors(&stage, 1, "");
    holder.ask("sem acquire a g");
    for (options, calls) in [("on-wait=1", 1), ("interval=1 on-wait=4", 4)] {
        let [mut waiter] = actors(&stage, 1, options);
        let told = waiter.ask_in_vain("sem acquire a g");
        assert!(told.starts_with("cancelled:"), "{told}");
        for _ in 0..calls {
            assert_eq!(waiter.event(), "waiting unknown");
        }
        assert!(!waiter.has_events());
        assert_eq!(held_at(&stage.lock(), WAITING), 0);
    }
}

fn a_signal_is_told_to_the_head() {
    let stage = Stage::new();
    let [mut holder] = actors(&stage, 1, "");
    let [mut waiter] = actors(&stage, 1, "on-interrupt=1");
    holder.ask("sem acquire a g");
    waiter.ask("signal handle usr1");
    let waiting = begin_leading(&mut waiter, "sem acquire a g", &stage);
    let tid = other_thread(waiter.pid());
    // A signal that comes between two naps is for nobody.
    until("it is told", || {
        !signal_thread(waiter.pid(), tid, Signal::SIGUSR1)
    });
    assert!(waiter.fails(waiting).starts_with("cancelled:"));
}

fn a_deleted_file_is_noticed_by_the_head_and_by_the_idle() {
    let changes: [fn(&Stage); 3] = [
        |stage| fs::remove_file(stage.lock()).expect("removed"),
        |stage| fs::rename(stage.lock(), stage.path("b")).expect("renamed"),
        |stage| {
            fs::write(stage.path("c"), "").expect("written");
            fs::rename(stage.path("c"), stage.lock()).expect("replaced");
        },
    ];
    for change in changes {
        let stage = Stage::new();
        let [mut holder, mut head, mut behind, mut idle] = actors(&stage, 1, "");
        idle.ask("sem acquire a g");
        idle.ask("sem release g");
        holder.ask("sem acquire a g");
        let leading = begin_leading(&mut head, "sem acquire a g", &stage);
        let waiting = behind.begin_waiting("sem acquire a g", &stage);
        change(&stage);
        // Whichever comes first has the only permit of the new file.
        until("one of them", || {
            head.has_answered(leading) || behind.has_answered(waiting)
        });
        is_contended(&mut idle, "sem try a g");
        if head.has_answered(leading) {
            assert!(!behind.has_answered(waiting));
            head.ask("sem release g");
            behind.succeeds(waiting);
            behind.ask("sem release g");
        } else {
            behind.ask("sem release g");
            head.succeeds(leading);
            head.ask("sem release g");
        }
        idle.ask("sem acquire a g");
    }
}

fn permits_of_a_deleted_file_stay_apart_from_the_new_ones() {
    let stage = Stage::new();
    let [mut one, mut other] = actors(&stage, 2, "");
    one.ask("sem acquire a g");
    fs::remove_file(stage.lock()).expect("removed");
    one.ask("sem acquire a h 2");
    one.ask("sem release g");
    is_contended(&mut one, "sem try a g");
    is_contended(&mut other, "sem try a g");
    one.ask("sem release h");
    other.ask("sem try a g 2");
    // On a new file others may have agreed on another number.
    fs::remove_file(stage.lock()).expect("removed");
    let [mut third] = actors(&stage, 3, "");
    for command in ["sem acquire a x", "sem try a x", "sem available a"] {
        let told = one.ask_in_vain(command);
        assert!(told.contains("2 permits here and 3 where"), "{told}");
    }
    third.ask("sem close a");
    one.ask("sem acquire a x");
}

fn a_childs_copies_hold_nothing_and_its_handle_works() {
    let stage = Stage::new();
    let [mut parent, mut other] = actors(&stage, 2, "");
    parent.ask("sem acquire a g");
    let mut child = parent.fork("libc");
    child.ask("sem release g");
    assert_eq!(other.ask("sem available a"), "1");
    child.ask("sem try a h");
    is_contended(&mut child, "sem try a x");
    is_contended(&mut parent, "sem try a x");
    child.ask("sem release h");
    parent.kill();
    until("the parent's permit", || {
        other.ask("sem available a") == "2"
    });
    child.ask("sem try a h 2");
    is_contended(&mut other, "sem try a x");
}

fn a_lock_excludes_all_permits() {
    let stage = Stage::new();
    let [mut pool, mut other] = actors(&stage, 2, "");
    let mut alone = Actor::with_lock(&stage, "");
    pool.ask("sem acquire a g");
    is_contended(&mut alone, "try a g");
    pool.ask("sem release g");
    alone.ask("lock a g");
    assert_eq!(pool.ask("sem available a"), "0");
    is_contended(&mut pool, "sem try a g");
    let waiting = other.begin_waiting("sem acquire a g", &stage);
    alone.ask("release g");
    other.succeeds(waiting);
}

fn a_program_that_locks_the_whole_file_is_told_of() {
    let stage = Stage::new();
    fs::write(stage.lock(), "").expect("written");
    let mut foreign = Actor::start();
    foreign.ask(&format!("hold-open f {}", stage.lock().display()));
    for kind in ["exclusive", "shared"] {
        foreign.ask(&format!("classic f {kind}"));
        is_contended(&mut Actor::start(), &open(&stage, 2, ""));
    }
    foreign.ask("classic f none");
    let [mut pool] = actors(&stage, 2, "");
    pool.ask("sem try a g");
}

fn what_can_not_be_is_refused() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for (permits, options, why) in [
        (0, "", "at least 1 permit and at most 1024"),
        (1025, "", "at least 1 permit and at most 1024"),
        (u32::MAX, "", "at least 1 permit and at most 1024"),
        (2, "remove", "remove_on_release is not for semaphores"),
        (2, "protocol=flock", "permits are locks of bytes"),
        (2, "protocol=both", "permits are locks of bytes"),
    ] {
        let told = actor.ask_in_vain(&open(&stage, permits, options));
        assert!(told.contains(why), "{told}");
        assert_eq!(told.starts_with("unsupported:"), options.contains('='));
    }
    assert!(!stage.lock().exists());
    actor.ask(&open(&stage, 2, ""));
    for (count, why) in [(0, "at least 1"), (3, "3 at once, of 2")] {
        for how in [
            format!("acquire a g {count}"),
            format!("try a g {count}"),
            format!("for a g 5 {count}"),
        ] {
            let told = actor.ask_in_vain(&format!("sem {how}"));
            assert!(told.contains(why), "{told}");
        }
    }
    actor.ask("sem try a g 2");
}

fn eight_processes_never_have_more() {
    let stage = Stage::new();
    let hammer = format!("sem hammer {} 3 400", stage.lock().display());
    let mut running: Vec<_> = (0..8)
        .map(|_| {
            let mut actor = Actor::start();
            let pending = actor.begin(&hammer);
            (actor, pending)
        })
        .collect();
    for (actor, pending) in &mut running {
        actor.succeeds(*pending);
    }
    assert_eq!(waiters(&stage.lock()), 0);
    let [mut last] = actors(&stage, 3, "");
    last.ask("sem try a g 3");
}

fn killed_at_random_while_the_file_is_deleted_it_goes_on() {
    // What is out on the deleted file excludes nobody who comes later, so nobody counts.
    let stage = Stage::new();
    let mut running: Vec<_> = (0..4).map(|_| hammering(&stage)).collect();
    for kill in 0..60 {
        let _ = fs::remove_file(stage.lock());
        let victim = kill % running.len();
        let (mut actor, _) = std::mem::replace(&mut running[victim], hammering(&stage));
        actor.kill();
    }
    drop(running);
    let [mut last] = actors(&stage, 3, "");
    last.ask("sem try a g 3");
}

fn hammering(stage: &Stage) -> (Actor, Pending) {
    let mut actor = Actor::start();
    let hammer = format!("sem hammer {} 3 1000000", stage.lock().display());
    let pending = actor.begin(&hammer);
    (actor, pending)
}
