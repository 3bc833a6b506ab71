//! Byte locks, as the documentation of newer versions of flock(1) describes them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::flock::script;
use crate::stage::{AS_NOBODY, Stage, outcome, program_for_everybody};

#[test]
fn locks_of_bytes() {
    let cases = [
        // They exclude each other, and flock(2) locks do not affect them.
        ("$flock --fcntl f $flock --fcntl -n f echo in", 1, ""),
        ("$flock --fcntl f $flock -n f echo in", 0, "in"),
        ("$flock f $flock --fcntl -n f echo in", 0, "in"),
        ("$flock --fcntl -s f $flock --fcntl -sn f echo in", 0, "in"),
        ("$flock --fcntl -s f $flock --fcntl -n f echo in", 1, ""),
        (
            "$flock --fcntl f $flock --fcntl -w 0.01 -E 9 f echo in",
            9,
            "",
        ),
        ("$flock --fcntl new echo in", 0, "in"),
        // `--start` and `--length` imply `--fcntl`.
        (
            "$flock --length 10 f $flock --start 10 -n f echo in",
            0,
            "in",
        ),
        ("$flock --length 10 f $flock --start 9 -n f echo in", 1, ""),
        (
            "$flock --start 5 --length 1 f $flock --fcntl -n f echo in",
            1,
            "",
        ),
        (
            "$flock --start 1K f $flock --length 1024 -n f echo in",
            0,
            "in",
        ),
        (
            "$flock --start 1KB f $flock --length 1001 -n f echo in",
            1,
            "",
        ),
        (
            "$flock --start=0x10 f $flock --length=16 -n f echo in",
            0,
            "in",
        ),
        // By descriptor, with a release.
        (
            "exec 9>f; $flock --fcntl 9; $flock --fcntl -n f echo in",
            1,
            "",
        ),
        (
            "exec 9>f; $flock --fcntl 9; $flock --fcntl -u 9; $flock --fcntl -n f echo in",
            0,
            "in",
        ),
        // Exclusive byte locks need a file that is open for writing.
        ("exec 9<f; $flock --fcntl 9", 65, ""),
        ("$flock --fcntl . echo in", 65, ""),
        ("$flock --fcntl -s . echo in", 0, "in"),
        // Numbers.
        ("$flock --start -1 f true", 64, ""),
        ("$flock --start x f true", 64, ""),
        ("$flock --length 1.5 f true", 64, ""),
        ("$flock --length 99999999999999999999 f true", 64, ""),
        ("$flock --start 9223372036854775808 f true", 65, ""),
        (
            "$flock --start 9223372036854775807 --length 2 f true",
            65,
            "",
        ),
    ];
    for (text, code, said) in cases {
        let stage = Stage::new();
        fs::write(stage.path("f"), "").expect("a file");
        let happened = script(&stage, text);
        assert_eq!(happened.code, Some(code), "{text} {happened:?}");
        assert_eq!(happened.output.join("\n"), said, "{text}");
        let silent = matches!(code, 0 | 1 | 9);
        assert_eq!(happened.errors.is_empty(), silent, "{text} {happened:?}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_opened_to_write() {
    let stage = Stage::new();
    let program = program_for_everybody(&stage);
    let lock = stage.path("f");
    fs::write(&lock, "").expect("a file");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o222)).expect("its mode");
    // Root may read everything.
    let mut command = Command::new("env");
    if nix::unistd::geteuid().is_root() {
        command.args(AS_NOBODY);
    }
    command.arg(program).args(["flock", "--fcntl"]).arg(lock);
    let happened = outcome(command.args(["echo", "in"]));
    assert_eq!(
        (happened.code, &*happened.output),
        (Some(0), &["in".to_owned()][..]),
        "{happened:?}"
    );
}
