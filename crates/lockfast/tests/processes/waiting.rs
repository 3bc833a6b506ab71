//! Promise 5: waits sleep in the kernel's queue, end when they should, and leave nothing behind.

use std::fs;

use nix::sys::signal::Signal;

use crate::asleep::{times_slept, until_asleep};
use crate::stage::{Actor, Stage, until, waiters};
use crate::{actor_signals, trials};

trials![
    waiters_sleep_until_the_release,
    a_wait_with_a_deadline_gets_the_lock_when_it_is_free,
    a_wait_that_timed_out_leaves_nothing_behind,
    a_deadline_is_met_with_every_signal_blocked,
    a_deadline_is_met_beside_handlers_of_the_program,
    a_deadline_is_met_when_the_program_uses_all_signals,
    a_signal_that_the_program_reads_is_left_to_it,
    a_fork_leaves_the_waits_of_the_parent_to_it,
    a_hundred_threads_time_out_at_once,
    a_time_out_beyond_all_clocks_waits_for_ever,
    a_time_out_of_zero_is_one_attempt,
    a_handled_signal_does_not_end_a_wait,
    a_hook_may_end_a_wait_after_a_signal,
    a_hook_may_end_a_wait_among_threads_after_a_signal,
    on_wait_is_told_once_and_names_the_holder,
    on_wait_at_an_interval_keeps_the_place_in_the_queue,
    on_wait_may_give_up_at_once_or_later,
    on_wait_may_give_up_where_nothing_can_interrupt,
    a_panic_of_on_wait_ends_the_wait_only,
    stop_and_continue_do_not_end_a_wait,
];

/// For ever, as far as a test is concerned, but with a deadline.
const LONG: &str = "for a g 3600000";

fn held(options: &str) -> (Stage, Actor, Actor) {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let waiter = Actor::with_lock(&stage, options);
    (stage, holder, waiter)
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the field").trim().to_owned()
}

/// The thread of the actor that is not its main one.
pub(crate) fn other_thread(pid: u32) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let mut others = tasks
        .map(|task| {
            task.expect("a thread")
                .file_name()
                .to_string_lossy()
                .parse()
                .expect("a tid")
        })
        .filter(|&tid| i64::from(tid) != i64::from(pid));
    let other = others.next().expect("a thread that waits");
    assert_eq!(others.next(), None, "only one thread waits");
    other
}

/// Whether the thread can be signalled.
#[allow(unsafe_code, reason = "tgkill")]
pub(crate) fn signal_thread(pid: u32, tid: i32, signal: Signal) -> bool {
    // SAFETY: the call has no memory to harm.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal as libc::c_int) };
    answer == 0
}

fn waiters_sleep_until_the_release() {
    for command in ["lock a g", LONG] {
        let (stage, mut holder, mut waiter) = held("");
        let waiting = waiter.begin_waiting(command, &stage);
        let before = until_asleep(&[&waiter]);
        // Time passes: the holder does things, and the waiter does not wake once.
        for _ in 0..500 {
            holder.ask("count fd");
        }
        assert_eq!(times_slept(&waiter), before, "{command}");
        assert_eq!(waiters(&stage.lock()), 1);
        holder.ask("release g");
        waiter.succeeds(waiting);
    }
}

fn a_wait_with_a_deadline_gets_the_lock_when_it_is_free() {
    for end in ["release g", "drop g"] {
        let (stage, mut holder, mut waiter) = held("");
        let waiting = waiter.begin_waiting(LONG, &stage);
        holder.ask(end);
        waiter.succeeds(waiting);
        assert_eq!(waiter.ask("timers"), "0");
    }
}

fn a_wait_that_timed_out_leaves_nothing_behind() {
    for options in ["", "protocol=flock", "protocol=both"] {
        let stage = Stage::new();
        let mut holder = Actor::with_lock(&stage, options);
        holder.ask("lock a g");
        let mut waiter = Actor::with_lock(&stage, options);
        let before = (waiter.ask("count fd"), waiter.ask("count task"));
        let error = waiter.ask_in_vain("for a g 20");
        assert!(error.starts_with("timed-out:"), "{error}");
        assert!(error.contains(&*stage.lock().to_string_lossy()), "{error}");
        if options.is_empty() {
            assert!(error.contains(&holder.pid().to_string()), "{error}");
        }
        assert_eq!((waiter.ask("count fd"), waiter.ask("count task")), before);
        assert_eq!(waiter.ask("timers"), "0");
        assert_eq!(waiters(&stage.lock()), 0);
        holder.ask("release g");
        Actor::with_lock(&stage, options).ask("try a g");
        waiter.ask("try a g");
    }
}

fn a_deadline_is_met_with_every_signal_blocked() {
    let (stage, mut holder, mut waiter) = held("");
    waiter.ask("signal block-all");
    let status = format!("/proc/{}/status", waiter.pid());
    let mask = || field(&fs::read_to_string(&status).expect("its status"), "SigBlk:");
    let before = mask();
    assert!(waiter.ask_in_vain("for a g 20").starts_with("timed-out:"));
    assert_eq!(mask(), before);
    let pending = field(&fs::read_to_string(&status).expect("its status"), "SigPnd:");
    assert_eq!(pending.trim_matches('0'), "");
    holder.ask("release g");
    waiter.ask("for a g 20");
    drop(stage);
}

fn a_deadline_is_met_beside_handlers_of_the_program() {
    for has_waited_before in [false, true] {
        let (stage, mut holder, mut waiter) = held("");
        if has_waited_before {
            // By a signal that is the program's from now on.
            assert!(waiter.ask_in_vain("for a g 1").starts_with("timed-out:"));
        }
        waiter.ask("signal handle all-real-time-but-one");
        let others = actor_signals::real_time().count() - 1;
        // In the kernel's queue, which is seen while it lasts ...
        let waiting = waiter.begin_waiting(LONG, &stage);
        holder.ask("release g");
        waiter.succeeds(waiting);
        waiter.ask("release g");
        // ... and until a deadline, which may be over before anybody looks.
        holder.ask("lock a g");
        assert!(waiter.ask_in_vain("for a g 20").starts_with("timed-out:"));
        assert_eq!(waiter.ask("signal handled"), "0");
        assert_eq!(waiter.ask("signal kept-handlers"), others.to_string());
    }
}

fn a_deadline_is_met_when_the_program_uses_all_signals() {
    let (_place, mut holder, mut waiter) = held("on-wait=");
    waiter.ask("signal handle all-real-time");
    let all = actor_signals::real_time().count();
    assert!(waiter.ask_in_vain("for a g 20").starts_with("timed-out:"));
    waiter.event();
    let waiting = waiter.begin(LONG);
    waiter.event();
    holder.ask("release g");
    waiter.succeeds(waiting);
    assert_eq!(waiter.ask("signal handled"), "0");
    assert_eq!(waiter.ask("signal kept-handlers"), all.to_string());
}

#[allow(
    unsafe_code,
    reason = "kill, which the crate has not for real-time signals"
)]
fn a_signal_that_the_program_reads_is_left_to_it() {
    let (stage, mut holder, mut waiter) = held("");
    waiter.ask("signal block-last-real-time");
    let waiting = waiter.begin_waiting("for a g 100000", &stage);
    let last = libc::SIGRTMAX();
    let pid = libc::pid_t::try_from(waiter.pid()).expect("a pid");
    // SAFETY: signals a process that this one has started.
    assert_eq!(unsafe { libc::kill(pid, last) }, 0);
    // Nobody has taken it, now and when the wait is over.
    let is_pending = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let pending = u64::from_str_radix(&field(&status, "ShdPnd:"), 16).expect("a set");
        pending >> (last - 1) & 1 == 1
    };
    assert!(is_pending());
    holder.ask("release g");
    waiter.succeeds(waiting);
    assert!(is_pending());
}

/// The child has neither the threads that wait nor their timers, but copies of all that tells of them.
fn a_fork_leaves_the_waits_of_the_parent_to_it() {
    for kind in ["libc", "raw"] {
        for wait in [LONG, "under-token lock a g", "task tokio a g"] {
            let (stage, mut holder, mut waiter) = held("");
            let waiting = waiter.begin_waiting(wait, &stage);
            let mut child = waiter.fork(kind);
            assert_eq!(child.ask("timers"), "0");
            let told = child.ask_in_vain("for a g 1");
            assert!(told.starts_with("timed-out:"), "{kind} {wait} {told}");
            let cancelled = child.begin_waiting("under-token lock a g", &stage);
            child.ask("cancel");
            assert!(child.fails(cancelled).starts_with("cancelled:"));
            assert_eq!(child.ask("task-dropped a"), "true");
            assert!(!waiter.has_answered(waiting), "{kind} {wait}");
            holder.ask("release g");
            waiter.succeeds(waiting);
            let told = child.ask_in_vain("try a g");
            assert!(told.starts_with("contended:"), "{kind} {wait} {told}");
        }
    }
}

fn a_hundred_threads_time_out_at_once() {
    let (_place, _holder, mut waiter) = held("");
    let before = (waiter.ask("count fd"), waiter.ask("count task"));
    assert_eq!(waiter.ask("many-timed a 100 50"), "100");
    assert_eq!((waiter.ask("count fd"), waiter.ask("count task")), before);
    assert_eq!(waiter.ask("timers"), "0");
}

fn a_time_out_beyond_all_clocks_waits_for_ever() {
    let (stage, mut holder, mut waiter) = held("");
    let waiting = waiter.begin_waiting(&format!("for a g {}", u64::MAX), &stage);
    holder.ask("release g");
    waiter.succeeds(waiting);
}

fn a_time_out_of_zero_is_one_attempt() {
    let (_place, mut holder, mut waiter) = held("");
    assert!(waiter.ask_in_vain("for a g 0").starts_with("timed-out:"));
    holder.ask("release g");
    waiter.ask("for a g 0");
}

fn a_handled_signal_does_not_end_a_wait() {
    for command in ["lock a g", LONG] {
        let (stage, mut holder, mut waiter) = held("on-interrupt=");
        waiter.ask("signal handle usr1");
        let waiting = waiter.begin_waiting(command, &stage);
        for handled in 1..=3 {
            assert!(signal_thread(
                waiter.pid(),
                other_thread(waiter.pid()),
                Signal::SIGUSR1
            ));
            assert_eq!(waiter.event(), "interrupted");
            assert_eq!(waiter.ask("signal handled"), handled.to_string());
            until("the waiter in the queue again", || {
                waiters(&stage.lock()) == 1
            });
        }
        holder.ask("release g");
        waiter.succeeds(waiting);
    }
}

fn a_hook_may_end_a_wait_after_a_signal() {
    for command in ["lock a g", LONG] {
        let (stage, mut holder, mut waiter) = held("on-interrupt=1");
        waiter.ask("signal handle usr1");
        let waiting = waiter.begin_waiting(command, &stage);
        assert!(signal_thread(
            waiter.pid(),
            other_thread(waiter.pid()),
            Signal::SIGUSR1
        ));
        assert!(waiter.fails(waiting).starts_with("cancelled:"));
        assert_eq!(waiters(&stage.lock()), 0);
        holder.ask("release g");
        Actor::with_lock(&stage, "").ask("try a g");
    }
}

fn a_hook_may_end_a_wait_among_threads_after_a_signal() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "on-interrupt=2 on-wait=");
    actor.ask("signal handle usr1");
    actor.ask("lock a g");
    let waiting = actor.begin("lock a h");
    assert!(actor.event().starts_with("waiting"));
    let thread = other_thread(actor.pid());
    let status = format!("/proc/{}/task/{thread}/status", actor.pid());
    for _ in 0..2 {
        until("the thread asleep", || {
            let status = fs::read_to_string(&status).expect("its status");
            field(&status, "State:").starts_with('S')
        });
        assert!(signal_thread(actor.pid(), thread, Signal::SIGUSR1));
        assert_eq!(actor.event(), "interrupted");
    }
    assert!(actor.fails(waiting).starts_with("cancelled:"));
    actor.ask("release g");
    actor.ask("try a g");
}

fn on_wait_is_told_once_and_names_the_holder() {
    let (stage, mut holder, mut waiter) = held("on-wait=");
    let waiting = waiter.begin_waiting("lock a g", &stage);
    assert_eq!(waiter.event(), format!("waiting pid {}", holder.pid()));
    assert!(waiter.ask_in_vain("try a h").starts_with("contended:"));
    holder.ask("release g");
    waiter.succeeds(waiting);
    waiter.ask("release g");
    // Not held: nothing to tell.
    waiter.ask("lock a g");
    assert!(!waiter.has_events());
}

fn on_wait_at_an_interval_keeps_the_place_in_the_queue() {
    for command in ["lock a g", LONG] {
        let (stage, mut holder, mut first) = held("on-wait= interval=1");
        let before = first.ask("count task");
        let waiting = first.begin_waiting(command, &stage);
        let mut second = Actor::with_lock(&stage, "");
        let later = second.begin_waiting("lock a g", &stage);
        for _ in 0..5 {
            assert_eq!(first.event(), format!("waiting pid {}", holder.pid()));
        }
        holder.ask("release g");
        first.succeeds(waiting);
        assert!(!second.has_answered(later));
        until("the helper thread gone", || {
            first.ask("count task") == before
        });
        first.ask("release g");
        second.succeeds(later);
    }
}

fn on_wait_may_give_up_at_once_or_later() {
    for (options, calls) in [("on-wait=1", 1), ("on-wait=3 interval=1", 3)] {
        for command in ["lock a g", LONG] {
            let (stage, mut holder, mut waiter) = held(options);
            let before = waiter.ask("count task");
            assert!(waiter.ask_in_vain(command).starts_with("cancelled:"));
            for _ in 0..calls {
                waiter.event();
            }
            assert!(!waiter.has_events());
            assert_eq!(waiter.ask("count task"), before);
            assert_eq!(waiter.ask("timers"), "0");
            assert_eq!(waiters(&stage.lock()), 0);
            holder.ask("release g");
            Actor::with_lock(&stage, "").ask("try a g");
        }
    }
}

fn on_wait_may_give_up_where_nothing_can_interrupt() {
    // Among threads, and polling because the program uses all signals.
    let (_place, mut holder, mut waiter) = held("on-wait=3 interval=1");
    waiter.ask("signal handle all-real-time");
    assert!(waiter.ask_in_vain("lock a g").starts_with("cancelled:"));
    holder.ask("release g");

    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "on-wait=3 interval=1");
    actor.ask("lock a g");
    assert!(actor.ask_in_vain("lock a h").starts_with("cancelled:"));
    actor.ask("release g");
    actor.ask("try a g");
}

fn a_panic_of_on_wait_ends_the_wait_only() {
    let (stage, mut holder, mut waiter) = held("on-wait-panic");
    let panicked = waiter.ask_in_vain("lock-catching a");
    assert!(panicked.contains("told"), "{panicked}");
    assert_eq!(waiters(&stage.lock()), 0);
    holder.ask("release g");
    waiter.ask("try a g");
}

fn stop_and_continue_do_not_end_a_wait() {
    let (stage, mut holder, mut waiter) = held("");
    let waiting = waiter.begin_waiting("lock a g", &stage);
    let status = format!("/proc/{}/stat", waiter.pid());
    waiter.signal(Signal::SIGSTOP);
    until("the waiter stopped", || {
        fs::read_to_string(&status)
            .expect("its state")
            .contains(") T ")
    });
    waiter.signal(Signal::SIGCONT);
    until("the waiter in the queue", || waiters(&stage.lock()) == 1);
    assert!(!waiter.has_answered(waiting));
    holder.ask("release g");
    waiter.succeeds(waiting);
}
