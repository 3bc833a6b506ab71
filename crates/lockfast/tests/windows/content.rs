//! The content of the file stays, and owner records can be read.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::windows::fs::symlink_file;

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    content_stays_and_can_be_read_but_for_the_first_byte,
    a_record_is_read_while_the_lock_is_held,
    a_holder_that_died_is_known,
    foreign_content_gets_no_record,
    paths_that_are_no_files_are_refused,
];

fn content_stays_and_can_be_read_but_for_the_first_byte() {
    let stage = Stage::new();
    fs::write(stage.lock(), "content").expect("written");
    let mut actor = Actor::with("lock", &stage, "");
    actor.ask("take a g");
    let mut file = fs::File::open(stage.lock()).expect("it can be opened");
    let mut text = String::new();
    file.seek(SeekFrom::Start(1)).expect("sought");
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "ontent");
    actor.ask("release g");
    assert_eq!(fs::read_to_string(stage.lock()).expect("read"), "content");
}

fn a_record_is_read_while_the_lock_is_held() {
    let stage = Stage::new();
    let [mut one, mut other] = [0; 2].map(|_| Actor::with("lock", &stage, "record"));
    one.ask("take a g");
    assert_eq!(one.ask("record g"), "Some(1) None");
    let error = other.ask_in_vain("try a g");
    assert!(error.contains(&one.pid().to_string()), "{error}");
    one.ask("release g");
    other.ask("take a g");
    assert_eq!(other.ask("record g"), "Some(2) None");
}

fn a_holder_that_died_is_known() {
    let stage = Stage::new();
    let [mut one, mut other] = [0; 2].map(|_| Actor::with("lock", &stage, "record"));
    one.ask("take a g");
    let pid = one.pid();
    one.kill();
    other.ask("take a g");
    assert_eq!(other.ask("record g"), format!("Some(2) Some({pid})"));
}

fn foreign_content_gets_no_record() {
    let stage = Stage::new();
    fs::write(stage.lock(), "mine").expect("written");
    let mut actor = Actor::start();
    let open = format!("lock a {} record", stage.lock().display());
    assert!(actor.ask_in_vain(&open).starts_with("invalid-path"));
    assert_eq!(fs::read_to_string(stage.lock()).expect("read"), "mine");
}

fn paths_that_are_no_files_are_refused() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let mut refused = |path: &str, why: &str| {
        let error = actor.ask_in_vain(&format!("lock a {path}"));
        assert!(
            error.starts_with("invalid-path") && error.contains(why),
            "{error}"
        );
    };
    refused(&stage.directory().display().to_string(), "directory");
    refused("NUL", "device");
    fs::write(stage.lock(), "").expect("written");
    let link = stage.path("link");
    let linked = symlink_file(stage.lock(), &link);
    // Wine makes none and says that it did; Windows asks for a privilege.
    if linked.is_ok() && link.is_symlink() {
        refused(&link.display().to_string(), "symbolic link");
        actor.ask(&format!("lock a {} follow", link.display()));
    } else {
        lockfast_testing::skip!("no symbolic links here, so none is tested: {linked:?}");
    }
}
