//! Holders, as far as the system shows them: processes with the file open, and bytes that can't be read.

use lockfast::inspect::{self, LockMode, Report, Role, State};

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    a_file_that_is_open_nowhere_is_free,
    the_only_process_with_the_file_open_is_the_holder,
    of_several_the_holder_is_not_known_but_by_its_record,
    a_reader_looks_like_a_process_that_only_has_the_file_open,
    an_upgradable_reader_shows_that_somebody_reads,
    permits_show_one_by_one,
    a_program_that_locks_byte_0_shows,
    a_look_takes_nothing_and_leaves_nothing,
    an_error_names_the_processes_with_the_file_open,
    the_machine_is_not_known,
];

fn look(stage: &Stage) -> Report {
    inspect::path(stage.lock()).expect("the system tells")
}

fn holders(report: &Report) -> Vec<u32> {
    let holders = report.holders().flat_map(|lock| &lock.processes);
    holders.map(|process| process.pid).collect()
}

fn openers(report: &Report) -> Vec<u32> {
    let openers = report.openers.iter();
    let mut pids: Vec<_> = openers.map(|opener| opener.process.pid).collect();
    pids.sort_unstable();
    pids
}

fn sorted<const N: usize>(actors: [&Actor; N]) -> Vec<u32> {
    let mut pids = actors.map(|actor| actor.pid()).to_vec();
    pids.sort_unstable();
    pids
}

fn a_file_that_is_open_nowhere_is_free() {
    let stage = Stage::new();
    assert!(look(&stage).is_free(), "there is no file");
    std::fs::write(stage.lock(), "content").expect("written");
    let report = look(&stage);
    assert!(report.is_free() && report.incomplete.is_none());
    let directory = inspect::path(stage.directory()).expect("the system tells");
    assert!(directory.is_free());
}

fn the_only_process_with_the_file_open_is_the_holder() {
    for content in ["", "content"] {
        let stage = Stage::new();
        std::fs::write(stage.lock(), content).expect("written");
        let mut actor = Actor::with("lock", &stage, "");
        let report = look(&stage);
        assert!(!report.is_free() && report.locks.is_empty());
        assert_eq!(openers(&report), [actor.pid()]);
        actor.ask("take a g");
        let report = look(&stage);
        assert_eq!(holders(&report), [actor.pid()]);
        assert_eq!(report.openers, []);
        let lock = &report.locks[0];
        assert_eq!(
            (lock.state, lock.mode),
            (State::Holding, LockMode::Exclusive)
        );
        assert_eq!(lock.file.path, Some(stage.lock()));
        let process = &lock.processes[0];
        assert_eq!(process.parent, Some(std::process::id()));
        assert!(process.threads > 0 && process.started.is_some());
        let program = std::env::current_exe().expect("this program");
        let name = program.file_name().expect("a name").to_string_lossy();
        assert!(process.command_line().contains(&*name), "{process}");
        actor.ask("release g");
        assert!(look(&stage).locks.is_empty());
    }
}

fn of_several_the_holder_is_not_known_but_by_its_record() {
    for (options, known) in [("", false), ("record", true)] {
        let stage = Stage::new();
        let [mut one, other] = [0; 2].map(|_| Actor::with("lock", &stage, options));
        one.ask("take a g");
        let report = look(&stage);
        assert_eq!(report.holders().count(), 1);
        if known {
            assert_eq!(holders(&report), [one.pid()]);
            assert!(report.locks[0].since.is_some());
            assert_eq!(openers(&report), [other.pid()]);
        } else {
            assert_eq!(holders(&report), []);
            assert_eq!(openers(&report), sorted([&one, &other]));
            let incomplete = report.incomplete.expect("that is not everything");
            assert_eq!(incomplete.unnamed, 1);
        }
    }
}

fn a_reader_looks_like_a_process_that_only_has_the_file_open() {
    let stage = Stage::new();
    let [mut one, other] = [0; 2].map(|_| Actor::with("rw", &stage, ""));
    one.ask("read a r");
    let report = look(&stage);
    assert_eq!(report.locks.len(), 0);
    assert!(!report.is_free());
    assert_eq!(openers(&report), sorted([&one, &other]));
    assert!(report.incomplete.is_some_and(|why| why.shared_unseen));
}

fn an_upgradable_reader_shows_that_somebody_reads() {
    let stage = Stage::new();
    let mut actor = Actor::with("rw", &stage, "");
    actor.ask("upgradable a u");
    let report = look(&stage);
    assert_eq!(report.locks[0].mode, LockMode::Shared);
    assert_eq!(holders(&report), [actor.pid()]);
    actor.ask("convert up u");
    assert_eq!(look(&stage).locks[0].mode, LockMode::Exclusive);
}

fn permits_show_one_by_one() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    actor.ask(&format!("sem a {} 60", stage.lock().display()));
    for number in 0..3 {
        actor.ask(&format!("try-acquire a {number}"));
    }
    let report = look(&stage);
    assert_eq!(holders(&report), [actor.pid(); 3]);
    assert!(
        report
            .locks
            .iter()
            .all(|lock| lock.role == Some(Role::Permit))
    );
    actor.ask("release 0");
    assert_eq!(look(&stage).holders().count(), 2);
}

fn a_program_that_locks_byte_0_shows() {
    let stage = Stage::new();
    let mut foreign = Actor::start();
    foreign.ask(&format!("foreign f {}", stage.lock().display()));
    assert_eq!(foreign.ask("foreign-try f exclusive"), "true");
    let report = look(&stage);
    assert_eq!(holders(&report), [foreign.pid()]);
    assert_eq!(report.locks[0].role, None);
}

fn a_look_takes_nothing_and_leaves_nothing() {
    let stage = Stage::new();
    let mut actor = Actor::with("lock", &stage, "");
    look(&stage);
    // This process has it open no more, and had no lock of it.
    assert_eq!(openers(&look(&stage)), [actor.pid()]);
    actor.ask("try a g");
    look(&stage);
    actor.ask("release g");
    assert_eq!(std::fs::read(stage.lock()).expect("readable"), b"");
}

fn an_error_names_the_processes_with_the_file_open() {
    let stage = Stage::new();
    let mut actor = Actor::with("lock", &stage, "");
    actor.ask("take a g");
    let lock = lockfast::Lock::open(stage.lock()).expect("it is there");
    let error = lock.try_lock().expect_err("it is held");
    let text = error.explain().to_string();
    let (own, other) = (std::process::id(), actor.pid());
    assert!(
        text.contains("one of the processes that have it open"),
        "{text}"
    );
    assert!(text.contains(&format!("pid {other} (")), "{text}");
    assert!(
        text.contains(&format!("this process (pid {own})")),
        "{text}"
    );
}

fn the_machine_is_not_known() {
    let error = inspect::machine().expect_err("nobody knows");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("name the lock files"), "{error}");
}
