//! The files that are shown, and the form of their paths.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

use crate::inspect::{json, lockfast};
use crate::stage::{Stage, hold, outcome};
use crate::terminal::Terminal;

#[test]
fn ls_looks_below_directories_and_nowhere_else() {
    let stage = Stage::new();
    let (inside, outside) = (stage.path("in/deep/a.lock"), stage.path("out.lock"));
    let _holders = [hold(&inside), hold(&outside)];
    let lines = |command: &mut Command| {
        let told = outcome(command);
        assert_eq!((told.code, told.errors.as_str()), (Some(0), ""));
        told.output
    };
    let below = lines(lockfast(["ls"]).arg(stage.path("in")));
    assert_eq!(below.len(), 1, "{below:?}");
    assert!(below[0].starts_with(&format!("{}\tholding\t", inside.display())));
    let here = lines(lockfast(["ls"]).current_dir(stage.path("in")));
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].split('\t').count(), 8);
    let both = lines(lockfast(["ls"]).args([&inside, &outside]));
    assert_eq!(both.len(), 2);
    let all = lines(&mut lockfast(["ls", "--all"]));
    for path in [&inside, &outside] {
        let path = path.display().to_string();
        assert!(all.iter().any(|line| line.starts_with(&path)), "{all:?}");
    }
    let missing = outcome(lockfast(["ls"]).arg(stage.path("missing")));
    assert_eq!(missing.code, Some(66));
    assert!(missing.errors.contains("missing"), "{missing:?}");
    assert_eq!(outcome(&mut lockfast(["ls", "--all", "x"])).code, Some(64));
    assert_eq!(outcome(&mut lockfast(["status"])).code, Some(64));
}

#[test]
fn a_file_without_a_name_any_more_is_called_deleted() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    fs::remove_file(&path).expect("it was there");
    let status = outcome(lockfast(["status"]).arg(&path));
    assert_eq!(status.code, Some(0), "{status:?}");
    let told = outcome(lockfast(["ls"]).arg(stage.path("")));
    let expected = format!("{} (deleted)\tholding", path.display());
    assert!(told.output[0].starts_with(&expected), "{told:?}");
    let document = json(lockfast(["ls"]).arg(stage.path("")));
    assert_eq!(document["locks"][0]["deleted"], true);
    assert_eq!(document["locks"][0]["path"], path.to_str().expect("plain"));
}

/// The kernel's mark on files without a name.
#[test]
fn a_name_that_ends_with_deleted_is_a_name() {
    let stage = Stage::new();
    let path = stage.path("job.lock (deleted)");
    let _holder = hold(&path);
    let document = json(lockfast(["ls"]).arg(stage.path("")));
    assert_eq!(document["locks"][0]["deleted"], false, "{document}");
    assert_eq!(document["locks"][0]["path"], path.to_str().expect("plain"));
}

#[test]
fn a_path_need_not_be_text() {
    let stage = Stage::new();
    let path = stage.path(OsString::from_vec(b"caf\xe9\n.lock".to_vec()));
    let _holder = hold(&path);
    let told = outcome(lockfast(["ls"]).arg(&path));
    assert_eq!(told.output.len(), 1, "{told:?}");
    assert!(
        told.output[0].contains("caf\\xe9\\n.lock\tholding"),
        "{told:?}"
    );
    let document = json(lockfast(["status"]).arg(&path));
    let bytes: Vec<u8> = document["status"][0]["path_bytes"]
        .as_array()
        .expect("bytes")
        .iter()
        .map(|byte| u8::try_from(byte.as_u64().expect("a number")).expect("a byte"))
        .collect();
    assert_eq!(bytes, path.as_os_str().as_bytes());
    assert_eq!(document["status"][0]["free"], false);
    assert_eq!(outcome(lockfast(["status"]).arg(&path)).code, Some(75));
}

#[test]
fn a_terminal_gets_a_table_and_colours_unless_they_are_not_wanted() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let mut terminal = Terminal::run(lockfast(["ls"]).arg(&path));
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.seen().contains("COMMAND"), "{}", terminal.seen());
    assert!(terminal.seen().contains("\u{1b}["), "{}", terminal.seen());
    let mut terminal = Terminal::run(lockfast(["ls"]).arg(&path).env("NO_COLOR", "1"));
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.seen().contains("COMMAND"), "{}", terminal.seen());
    assert!(!terminal.seen().contains('\u{1b}'), "{}", terminal.seen());
    let piped = outcome(lockfast(["ls"]).arg(&path)).output.join("\n");
    assert!(
        !piped.contains("COMMAND") && !piped.contains('\u{1b}'),
        "{piped}"
    );
}
