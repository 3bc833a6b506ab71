//! Rules of the kernel that the promises rest on. When one of these fails, the design is wrong
//! there, not the code.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::interop::rust::record;
use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    locks_of_a_description_and_of_a_process_conflict,
    a_lock_belongs_to_the_description,
    an_unlock_through_any_copy_frees_it_for_all,
    a_classic_lock_is_lost_when_the_file_is_closed_elsewhere,
    the_holder_of_a_description_lock_is_not_named_but_its_range_is,
    an_exclusive_record_lock_needs_a_descriptor_for_writing,
    the_last_of_several_waiters_is_not_woken_by_the_first_release,
    a_query_shows_conflicting_locks_of_others,
];

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("a file")
}

fn try_lock(file: impl AsFd) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&record(libc::F_WRLCK, 0))).map(drop)
}

fn unlock(file: impl AsFd) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&record(libc::F_UNLCK, 0))).map(drop)
}

fn locks_of_a_description_and_of_a_process_conflict() {
    let stage = Stage::new();
    let file = open(&stage.lock());
    let mut classic = Actor::start();
    classic.ask(&format!("hold-open f {}", stage.lock().display()));
    classic.ask("classic f exclusive");
    assert_eq!(try_lock(&file), Err(Errno::EAGAIN));
    classic.ask("classic f shared");
    assert_eq!(try_lock(&file), Err(Errno::EAGAIN));
    classic.ask("classic f none");
    assert_eq!(try_lock(&file), Ok(()));
    assert!(
        classic
            .ask_in_vain("classic f exclusive")
            .contains("EAGAIN")
    );
}

fn a_lock_belongs_to_the_description() {
    let stage = Stage::new();
    let (one, other) = (open(&stage.lock()), open(&stage.lock()));
    assert_eq!(try_lock(&one), Ok(()));
    assert_eq!(
        try_lock(&other),
        Err(Errno::EAGAIN),
        "one process, two descriptions"
    );
    drop(open(&stage.lock()));
    assert_eq!(try_lock(&other), Err(Errno::EAGAIN), "closed elsewhere");
    let copy = one.try_clone().expect("a copy");
    assert_eq!(try_lock(&copy), Ok(()), "a copy is the same description");
    drop(one);
    assert_eq!(try_lock(&other), Err(Errno::EAGAIN), "a copy is left");
    drop(copy);
    assert_eq!(try_lock(&other), Ok(()), "the last close frees it");
}

fn an_unlock_through_any_copy_frees_it_for_all() {
    let stage = Stage::new();
    let (one, other) = (open(&stage.lock()), open(&stage.lock()));
    let copy = one.try_clone().expect("a copy");
    assert_eq!(try_lock(&one), Ok(()));
    assert_eq!(unlock(&copy), Ok(()));
    assert_eq!(try_lock(&other), Ok(()));
}

fn a_classic_lock_is_lost_when_the_file_is_closed_elsewhere() {
    let stage = Stage::new();
    let file = open(&stage.lock());
    let mut classic = Actor::start();
    classic.ask(&format!("hold-open f {}", stage.lock().display()));
    classic.ask("classic f exclusive");
    classic.ask(&format!("open-and-close {}", stage.lock().display()));
    assert_eq!(try_lock(&file), Ok(()));
}

fn the_holder_of_a_description_lock_is_not_named_but_its_range_is() {
    let stage = Stage::new();
    let (one, other) = (open(&stage.lock()), open(&stage.lock()));
    let tagged = (1 << 62) + 4711;
    fcntl(&one, FcntlArg::F_OFD_SETLK(&record(libc::F_WRLCK, tagged))).expect("locked");
    let mut answer = record(libc::F_WRLCK, 0);
    fcntl(&other, FcntlArg::F_OFD_GETLK(&mut answer)).expect("asked");
    assert_eq!(
        (answer.l_pid, answer.l_start, answer.l_len),
        (-1, 0, tagged)
    );
    // Unlocking the whole file unlocks the odd range.
    assert_eq!(unlock(&one), Ok(()));
    assert_eq!(try_lock(&other), Ok(()));
}

fn a_query_shows_conflicting_locks_of_others() {
    let stage = Stage::new();
    let (one, other) = (open(&stage.lock()), open(&stage.lock()));
    let byte = |kind, start| libc::flock {
        l_start: start,
        ..record(kind, 1)
    };
    fcntl(&one, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK, 1 << 62))).expect("locked");
    fcntl(&one, FcntlArg::F_OFD_SETLK(&byte(libc::F_RDLCK, 7))).expect("locked");
    let starts = |file: &File, kind| {
        let mut answer = record(kind, 0);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut answer)).expect("asked");
        (i32::from(answer.l_type) != libc::F_UNLCK).then_some(answer.l_start)
    };
    assert_eq!(starts(&other, libc::F_RDLCK), Some(1 << 62));
    // Any of the two, and not all.
    assert!([Some(7), Some(1 << 62)].contains(&starts(&other, libc::F_WRLCK)));
    assert_eq!(starts(&one, libc::F_WRLCK), None);
    assert_eq!(unlock(&one), Ok(()));
    assert_eq!(starts(&other, libc::F_WRLCK), None);
}

fn an_exclusive_record_lock_needs_a_descriptor_for_writing() {
    let stage = Stage::new();
    drop(open(&stage.lock()));
    let reading = File::open(stage.lock()).expect("opened");
    assert_eq!(try_lock(&reading), Err(Errno::EBADF));
}

fn the_last_of_several_waiters_is_not_woken_by_the_first_release() {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..4).map(|_| Actor::with_lock(&stage, "")).collect();
    actors[0].ask("lock a g");
    let waiting: Vec<_> = (1..4)
        .map(|number| actors[number].begin_waiting("lock a g", &stage))
        .collect();
    let switches = |actor: &Actor| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", actor.pid())).expect("it lives");
        tasks
            .map(|task| {
                let status = task.expect("a thread").path().join("status");
                std::fs::read_to_string(status).expect("its status")
            })
            .map(|status| {
                let line = status.lines().find(|line| line.starts_with("voluntary"));
                line.expect("the count").to_owned()
            })
            .collect::<Vec<_>>()
    };
    let before = switches(&actors[3]);
    actors[0].ask("release g");
    actors[1].succeeds(waiting[0]);
    assert_eq!(switches(&actors[3]), before, "it slept on");
    actors[1].ask("release g");
    actors[2].succeeds(waiting[1]);
    actors[2].ask("release g");
    actors[3].succeeds(waiting[2]);
}
