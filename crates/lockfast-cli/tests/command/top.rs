//! `lockfast top` as its user sees it: in a real terminal, with real holders and waiters.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::stage::{Actor, HOLD, Stage, deadlocked, hold, outcome, run, until, until_waiting};
use crate::terminal::Terminal;
use crate::tmux::{Tmux, quoted};

// The real thing, to see what a panic leaves behind.
#[path = "../../src/top/screen.rs"]
mod screen;

/// Starts a waiter for the lock.
fn wait(lock: &Path) -> Actor {
    let mut command = run(["-q"]);
    let waiter = Actor::start(command.arg(lock).args(["--", "true"]));
    until_waiting(waiter.pid());
    waiter
}

/// Opens a window with `top`, started from a shell.
fn top(stage: &Stage, arguments: &str) -> Tmux {
    let tmux = Tmux::open(stage, &[]);
    start(&tmux, stage, arguments);
    tmux
}

/// Prints the terminal's settings before and after.
fn start(tmux: &Tmux, stage: &Stage, arguments: &str) {
    let directory = quoted(&stage.path(""));
    tmux.says(&format!(
        "clear; stty -g > {directory}/before; \"$LOCKFAST\" top {arguments} {directory}; \
         echo \"it ended with $?\"; stty -g > {directory}/after; echo 'that is all'"
    ));
    tmux.shows_when("a first picture", |screen| screen.contains("every"));
    assert_eq!(tmux.property("alternate_on"), "1");
}

/// Checks that it has ended with that code and restored the terminal.
#[track_caller]
fn is_restored(tmux: &Tmux, stage: &Stage, code: u8) {
    tmux.shows(&format!("it ended with {code}\n"));
    tmux.shows("that is all\n");
    assert_eq!(tmux.property("alternate_on"), "0");
    assert_eq!(tmux.property("cursor_flag"), "1");
    let setting = |name| std::fs::read_to_string(stage.path(name)).expect("it was written");
    assert_eq!(setting("before"), setting("after"));
}

fn row<'a>(screen: &'a str, text: &str) -> Option<&'a str> {
    screen.lines().skip(2).find(|line| line.contains(text))
}

#[test]
fn holders_and_waiters_are_shown_as_they_come_and_go() {
    let stage = Stage::new();
    let (busy, quiet) = (stage.path("busy.lock"), stage.path("quiet.lock"));
    let quiet_holder = hold(&quiet);
    let tmux = top(&stage, "");
    let screen = tmux.shows("quiet.lock");
    assert!(screen.starts_with("1 lock, 0 waiters, every "), "{screen}");

    let mut holder = hold(&busy);
    let waiters = [wait(&busy), wait(&busy)];
    let screen = tmux.shows("2 locks, 2 waiters");
    // Locks with waiters first; the second line has the titles.
    let lines: Vec<_> = screen.lines().collect();
    assert!(lines[1].starts_with("WAITERS▼"), "{screen}");
    assert!(lines[2].starts_with("2 ") && lines[2].contains("busy.lock"));
    assert!(lines[3].starts_with("0 ") && lines[3].contains("quiet.lock"));
    let pid = holder.pid().to_string();
    let words: Vec<_> = lines[2].split_whitespace().collect();
    assert_eq!((words[3], words[4]), ("writer", &*pid), "{screen}");
    // Only `top` knows how long it has been held, from its first update.
    assert!(words[2].starts_with('≥'), "{screen}");
    // The waiters are named below.
    assert!(row(&screen, "holding exclusive writer (ofd) for ≥").is_some());
    for waiter in &waiters {
        let text = format!("pid {} of ", waiter.pid());
        let line = row(&screen, &text).unwrap_or_else(|| panic!("{text}: {screen}"));
        assert!(
            line.starts_with("waiting exclusive writer (ofd) for "),
            "{line}"
        );
    }

    holder.tell("end");
    tmux.shows_when("the busy one gone", |screen| {
        screen.contains("1 lock, 0 waiters") && !screen.contains("busy.lock")
    });
    drop(quiet_holder);
    tmux.shows("no locks");
    tmux.press("q");
    is_restored(&tmux, &stage, 0);
}

/// A circle that appears in one update only, from several moments, is not reported.
#[test]
fn a_deadlock_is_shown_after_two_updates() {
    let stage = Stage::new();
    let (one, other) = (stage.path("one.lock"), stage.path("other.lock"));
    let _actors = deadlocked([&one, &other], &["-q"]);
    let mut search = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    search.args(["ls", "--deadlocks"]).arg(&one);
    until("the deadlock", || outcome(&mut search).code == Some(75));
    let tmux = top(&stage, "--interval 1h");
    let screen = tmux.shows("2 locks, 2 waiters, every 1h");
    assert!(!screen.contains("deadlock"), "{screen}");
    tmux.press("q");
    is_restored(&tmux, &stage, 0);
    start(&tmux, &stage, "--interval 100ms");
    tmux.shows("  1 deadlock: see lockfast ls --deadlocks");
}

/// An owner record shows the duration, even if it began before the first update.
#[test]
fn a_record_shows_the_duration_of_the_hold() {
    let stage = Stage::new();
    let mut command = run(["--record"]);
    command.arg(stage.path("job.lock"));
    let holder = Actor::start(command.args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let tmux = top(&stage, "");
    let screen = tmux.shows("job.lock");
    let line = row(&screen, "job.lock").expect("a row");
    let held = line.split_whitespace().nth(2).expect("a column");
    assert!(held.starts_with(|c: char| c.is_ascii_digit()), "{screen}");
}

#[test]
fn keys_sort_select_filter_and_help() {
    let stage = Stage::new();
    let names = ["a.lock", "b.lock", "c.lock"];
    let _holders = names.map(|name| hold(stage.path(name)));
    let _waiter = wait(&stage.path("b.lock"));
    let tmux = top(&stage, "");
    let comes = |order: [&'static str; 3]| {
        move |screen: &str| {
            let lines: Vec<_> = screen.lines().skip(2).take(3).collect();
            let pairs = lines.iter().zip(order);
            lines.len() == 3 && pairs.into_iter().all(|(line, name)| line.contains(name))
        }
    };
    tmux.shows_when("b, a, c", comes(["b.lock", "a.lock", "c.lock"]));
    // By the fifth column to the right: by path.
    tmux.press(">>>>>");
    tmux.shows("LOCK▼");
    tmux.shows_when("a, b, c", comes(["a.lock", "b.lock", "c.lock"]));
    tmux.press("r");
    tmux.shows("LOCK▲");
    tmux.shows_when("c, b, a", comes(["c.lock", "b.lock", "a.lock"]));
    // The detail belongs to the selected lock; its first line is the path.
    let detailed = |name: &str| {
        let path = stage.path(name).to_str().expect("plain").to_owned();
        move |screen: &str| screen.lines().any(|line| line == path)
    };
    tmux.shows_when("details of the first", detailed("c.lock"));
    tmux.press("Down");
    tmux.shows_when("details of the second", detailed("b.lock"));
    tmux.press("Up");
    tmux.shows_when("details of the first", detailed("c.lock"));
    tmux.press("d");
    tmux.shows_when("no details", |screen| !screen.contains("holding"));
    tmux.press("d");
    tmux.shows("holding");

    tmux.press("/");
    tmux.shows("filter: _");
    tmux.press("B.LO");
    tmux.shows("filter: B.LO_");
    let screen = tmux.shows("1 lock, 1 waiter,");
    assert!(row(&screen, "a.lock").is_none(), "{screen}");
    tmux.press("Enter");
    tmux.shows("only \"B.LO\"");
    tmux.press("Escape");
    tmux.shows("3 locks, 1 waiter,");

    tmux.press("?");
    tmux.shows("sort by another column");
    tmux.press("x");
    tmux.shows("LOCK▲");
    tmux.press("C-c");
    is_restored(&tmux, &stage, 0);
}

#[test]
fn a_pause_keeps_the_screen() {
    let stage = Stage::new();
    let mut holder = hold(stage.path("job.lock"));
    let tmux = top(&stage, "--interval 100ms");
    tmux.shows("job.lock");
    tmux.press("Space");
    tmux.shows("1 lock, 0 waiters, paused");
    // With an interval ten times as long it is still noticed.
    let witness = Stage::new();
    let other = Tmux::open(&witness, &[]);
    let directory = quoted(&stage.path(""));
    other.says(&format!("clear; \"$LOCKFAST\" top {directory}"));
    other.shows("job.lock");
    holder.tell("end");
    holder.end();
    other.shows("no locks");
    let screen = tmux.screen();
    assert!(row(&screen, "job.lock").is_some(), "{screen}");
    tmux.press("Space");
    tmux.shows("no locks");
}

#[test]
fn every_end_gives_the_terminal_back() {
    let stage = Stage::new();
    let _holder = hold(stage.path("job.lock"));
    let tmux = Tmux::open(&stage, &[]);
    let endings = [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
    ];
    for (signal, code) in endings {
        start(&tmux, &stage, "");
        signal::kill(shown_program(&tmux), signal).expect("it runs");
        is_restored(&tmux, &stage, code);
    }
}

/// Returns the program in the foreground of the window: the child of its shell.
fn shown_program(tmux: &Tmux) -> Pid {
    let shell = tmux.property("pane_pid");
    let children = format!("/proc/{shell}/task/{shell}/children");
    let children = std::fs::read_to_string(children).expect("the shell runs");
    Pid::from_raw(children.trim().parse().expect("it has one child"))
}

#[test]
fn it_can_be_stopped_and_goes_on() {
    let stage = Stage::new();
    let _holder = hold(stage.path("job.lock"));
    let tmux = top(&stage, "");
    tmux.shows("job.lock");
    tmux.press("C-z");
    tmux.shows_when("the shell", |screen| {
        screen.to_lowercase().contains("stopped")
    });
    assert_eq!(tmux.property("alternate_on"), "0");
    assert_eq!(tmux.property("cursor_flag"), "1");
    tmux.says("clear; fg; echo \"then it ended with $?\"");
    tmux.shows("every ");
    tmux.shows("job.lock");
    assert_eq!(tmux.property("alternate_on"), "1");
    tmux.press("q");
    tmux.shows("then it ended with 0\n");
    assert_eq!(tmux.property("alternate_on"), "0");
}

/// Not a test by itself: the program that the test below runs in a terminal.
#[test]
#[ignore = "the other process of the next test"]
fn panics_on_the_screen_if_it_is_asked_to() {
    if std::env::var_os("LOCKFAST_TEST_PANIC").is_none() {
        return;
    }
    let mut screen = screen::Screen::open().expect("a terminal");
    screen
        .draw(|frame| frame.render_widget("a picture", frame.area()))
        .expect("it is drawn");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    panic!("what went wrong");
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    let stage = Stage::new();
    let itself = std::env::current_exe().expect("this program");
    let environment = [("LOCKFAST_TEST_PANIC", "1"), ("RUST_BACKTRACE", "0")];
    let tmux = Tmux::open(&stage, &environment);
    let directory = quoted(&stage.path(""));
    tmux.says(&format!(
        "clear; stty -g > {directory}/before; {} --nocapture --ignored --exact \
         top::panics_on_the_screen_if_it_is_asked_to; echo \"it ended with $?\"; \
         stty -g > {directory}/after; echo 'that is all'",
        quoted(&itself)
    ));
    tmux.shows("a picture");
    assert_eq!(tmux.property("alternate_on"), "1");
    // In raw mode the enter key ends no line, but this does.
    tmux.press("C-j");
    tmux.shows("what went wrong");
    is_restored(&tmux, &stage, 101);
}

#[test]
fn small_windows_are_no_problem() {
    let stage = Stage::new();
    let _holders = ["a.lock", "b.lock"].map(|name| hold(stage.path(name)));
    let _waiter = wait(&stage.path("b.lock"));
    let tmux = top(&stage, "");
    tmux.shows("b.lock");
    for (columns, lines) in [
        (40, 10),
        (24, 6),
        (10, 3),
        (2, 2),
        (1, 1),
        (60, 5),
        (200, 50),
    ] {
        tmux.resize(columns, lines);
        if columns >= 24 {
            tmux.shows_when("a picture of that size", |screen| {
                screen.contains("b.lock") && screen.contains("WAITERS▼")
            });
        }
    }
    tmux.resize(80, 24);
    tmux.shows("2 locks, 1 waiter, every ");
    tmux.press("q");
    is_restored(&tmux, &stage, 0);
}

#[test]
fn the_machine_is_shown_unless_paths_are_given() {
    let stage = Stage::new();
    let _holder = hold(stage.path("far-from-here.lock"));
    let tmux = Tmux::open(&stage, &[]);
    tmux.says("cd /; clear; \"$LOCKFAST\" top");
    tmux.shows(", every");
    tmux.press("/");
    tmux.shows("filter: _");
    tmux.press("far-from-here");
    tmux.shows("1 lock, 0 waiters");
    tmux.press("Enter");
    tmux.press("q");
    // Cleared first: earlier input would be lost with the view.
    tmux.shows_when("the shell", |screen| screen.trim().len() == 1);
    let missing = quoted(&stage.path("missing"));
    tmux.says(&format!(
        "clear; \"$LOCKFAST\" top {missing}; echo \"code $?\""
    ));
    let screen = tmux.shows("code 66");
    assert!(screen.contains("cannot list"), "{screen}");
}

#[test]
fn colours_unless_they_are_not_wanted() {
    let stage = Stage::new();
    let _holder = hold(stage.path("job.lock"));
    let _waiter = wait(&stage.path("job.lock"));
    for (environment, colours) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let tmux = Tmux::open(&stage, environment);
        start(&tmux, &stage, "");
        tmux.shows("1 lock, 1 waiter");
        let screen = tmux.coloured_screen();
        let is_colour = |code: &str| {
            let code = code.split('m').next().unwrap_or_default();
            // The terminal itself sends these two.
            code.split(';')
                .filter(|part| !["39", "49"].contains(part))
                .any(|part| part.len() == 2 && part.starts_with(['3', '4', '9']))
        };
        let has_colours = screen.split("\u{1b}[").skip(1).any(is_colour);
        assert_eq!(has_colours, colours, "{screen:?}");
        tmux.press("q");
        is_restored(&tmux, &stage, 0);
    }
}

#[test]
fn a_path_need_not_be_text_on_a_screen() {
    let stage = Stage::new();
    let _holder = hold(stage.path(OsString::from_vec(b"caf\xe9\x1b.lock".to_vec())));
    let tmux = top(&stage, "");
    let screen = tmux.shows("caf\\xe9\\u{1b}.lock");
    assert!(screen.contains("1 lock"), "{screen}");
}

#[test]
fn without_a_terminal_the_other_command_is_named() {
    let stage = Stage::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let told = outcome(command.arg("top").arg(stage.path("")));
    assert_eq!(told.code, Some(64), "{told:?}");
    assert!(told.errors.contains("terminal"), "{told:?}");
    assert!(told.errors.contains("`lockfast ls`"), "{told:?}");
    assert_eq!(told.output, [""; 0]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let mut dumb = Terminal::run(command.arg("top").env("TERM", "dumb"));
    assert_eq!(dumb.end(), Some(64));
    assert!(dumb.seen().contains("`lockfast ls`"), "{}", dumb.seen());
}

/// Between two updates it does nothing.
#[test]
fn nothing_is_done_between_two_looks() {
    let stage = Stage::new();
    let _holder = hold(stage.path("job.lock"));
    let tmux = top(&stage, "--interval 1d");
    tmux.shows("job.lock");
    let pid = shown_program(&tmux);
    let tasks = format!("/proc/{pid}/task");
    // Voluntary and involuntary context switches of its threads.
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(&tasks).expect("it runs").flatten();
        let status = tasks.map(|task| std::fs::read_to_string(task.path().join("status")));
        let status: String = status.map(|text| text.expect("it runs")).collect();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = counts.filter_map(|line| line.split_whitespace().nth(1));
        counts
            .map(|count| count.parse::<u64>().expect("a number"))
            .sum()
    };
    // At rest, the count stays the same while another process takes a hundred turns.
    let mut before = switches();
    until("rest", || {
        for _ in 0..100 {
            drop(tmux.property("alternate_on"));
        }
        let now = switches();
        std::mem::replace(&mut before, now) == now
    });
}
