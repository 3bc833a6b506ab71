//! Beside the flock(1) of the system: the same scripts, the same outcome.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::lockless;
use crate::stage::{Outcome, Stage, outcome};

/// Each runs in a directory of its own, where `f` is a file and `d` a directory.
const SCRIPTS: &[&str] = &[
    // What is asked for.
    "flock",
    "flock --",
    "flock -n",
    "flock -y f true",
    "flock -ny f true",
    "flock -?",
    "flock --foo",
    "flock --foo=bar",
    "flock --no f true",
    "flock --n f true",
    "flock --nonb f echo in",
    "flock --nonblock f echo in",
    "flock --nonblocking f echo in",
    "flock --nb f echo in",
    "flock --sh f echo in",
    "flock --e f echo in",
    "flock --unl f echo in",
    "flock --shared=3 f true",
    "flock -w",
    "flock --timeout",
    "flock --conflict-exit-code f true",
    "flock -c true",
    "flock -xn f echo in",
    "flock -sen f echo in",
    "flock -nw1 f echo in",
    "flock -n -- f echo in",
    "flock f -- echo in",
    "flock f -n",
    "flock -oF f true",
    "flock -Fo f true",
    "flock - true; test -e ./-",
    "flock --exclusive --nonblock --close f echo in",
    "flock --exclusive f flock --shared --nonblock f echo in",
    "flock --no-fork f flock --no-fork --nonblock f echo in",
    "flock --close --no-fork f echo in",
    "flock --unlock f flock --nonblock f echo in",
    "flock --exclusiv f true; flock --cl f echo in; flock --no- f echo in; flock --c f true",
    // Of several the last one counts.
    "flock -s -x f flock -sn f echo in",
    "flock -x -s f flock -sn f echo in",
    "flock -u -x f flock -sn f echo in",
    "flock f flock -w 100 -w 0.01 f echo in",
    "flock f flock -n -E 3 -E 4 f echo in",
    "flock -o -o -n -n f echo in",
    // Numbers.
    "flock -w abc f true",
    "flock -w '' f true",
    "flock -w '1 ' f true",
    "flock -w ' 1' f echo in",
    "flock -w 1e0 f echo in",
    "flock -w 0x1 f echo in",
    "flock -n -w -1 f true",
    "flock -w nan f true",
    "flock -w inf f true",
    "flock -w -1 f true",
    "flock -w -0.5 f true",
    "flock -w -0 f echo in",
    "flock -w 1e30 f true",
    "flock -w 9223372036854775807 f true",
    "flock -w 1000000000 f echo in",
    "flock -E 256 f true",
    "flock -E -1 f true",
    "flock -E-1 f true",
    "flock -E x f true",
    "flock -E 2147483648 f true",
    "flock -E 99999999999999999999 f true",
    "flock -E ' +5' f flock -n -E ' +5' f true",
    // The command, and its end.
    "flock f echo a 'b c'",
    "flock f sh -c 'exit 42'",
    "flock f sh -c 'kill -9 $$'",
    "flock f sh -c 'kill -TERM $$'",
    "flock -F f sh -c 'exit 42'",
    "flock -o f sh -c 'exit 42'",
    "flock f -c 'echo in; exit 3'",
    "flock f --command 'echo $0'",
    "SHELL=/bin/echo flock f -c hello",
    "SHELL= flock f -c 'echo hello'",
    "flock f -c",
    "flock f --command",
    "flock f -c a b",
    "flock f -c ''",
    "flock -o f -c 'exit 4'",
    "flock -F f -c 'exit 4'",
    "flock -n f --command='echo in'",
    "flock f --command 'exit 3' more",
    "flock f echo -n -- --verbose",
    "flock f /nonexistent/program",
    "flock f ./f",
    "flock -F f ./f",
    "flock f 'echo hi'",
    "flock f ''",
    "echo 'echo no interpreter $1' >s; chmod +x s; flock f ./s line; flock -F f ./s line",
    "flock f cat <f",
    "echo text | flock f cat",
    // The first 32 signals; above are those of the C library.
    "env --ignore-signal=CHLD,HUP flock f sed -n 's/^SigIgn:.*\\(........\\)$/\\1/p' /proc/self/status",
    "env --ignore-signal=CHLD,HUP flock -F f sed -n 's/^SigIgn:.*\\(........\\)$/\\1/p' /proc/self/status",
    "env --block-signal=TERM,CHLD flock f grep SigBlk /proc/self/status",
    // What is locked.
    "flock new echo in; ls -l new | cut -c1-10",
    "umask 077; flock new echo in; ls -l new | cut -c1-10",
    "flock d echo in",
    "flock . flock -n . echo in",
    "flock /nonexistent/f true",
    "flock f/f true",
    "flock new/ true",
    "flock '' true",
    "ln -s target link; flock link echo in; test -e target",
    "ln -s loop loop; flock loop true",
    "flock /dev/null echo in",
    "chmod 0 f; flock f echo in",
    "flock f cat f; echo text >f; flock f cat f",
    "flock /proc/self/status echo in",
    "flock /proc/new true",
    // Who gets in.
    "flock f flock -n f echo in",
    "flock f flock -n -E 0 f echo in",
    "flock f flock -n -E 255 f echo in",
    "flock f flock -w 0 f echo in",
    "flock f flock -w 0.01 f echo in",
    "flock f flock -w 0.0000001 f echo in",
    "flock f flock --timeout=0.01 -E 7 f echo in",
    "flock f flock --wait 0.01 --conflict-exit-code 7 f echo in",
    "flock f flock -w 100 -n f echo in",
    "flock f flock -sn f echo in",
    "flock -s f flock -sn f echo in",
    "flock -s f flock -n f echo in",
    "flock -s f flock -xn f echo in",
    "flock -s f flock -en f echo in",
    "flock -x f flock -sn f echo in",
    "flock -u f flock -n f echo in",
    "flock -u f echo in",
    "flock d flock -n d echo in",
    "flock f sh -c 'exec 9>f; flock -n 9; echo $?'",
    "ln f g; flock f flock -n g echo in",
    // Who keeps it.
    "mkfifo p; flock f sh -c 'exec 3<>p; cat <&3 >/dev/null 2>&1 & echo $! >pid'; flock -n f echo free; kill $(cat pid)",
    "mkfifo p; flock -o f sh -c 'exec 3<>p; cat <&3 >/dev/null 2>&1 & echo $! >pid'; flock -n f echo free; kill $(cat pid)",
    "flock f sh -c 'ls -l /proc/self/fd | grep -c /f$'",
    "flock -o f sh -c 'ls -l /proc/self/fd | grep -c /f$'",
    "flock -F f sh -c 'ls -l /proc/self/fd | grep -c /f$'",
    "flock -F f flock -n f echo in",
    "flock -o f flock -n f echo in",
    "flock f flock -u 3; flock f sh -c 'flock -u 3; flock -n f echo in'",
    // The descriptor's form.
    "exec 9>f; flock 9; flock -n f echo in; flock -u 9; flock -n f echo in",
    "exec 9>f; flock -n 9 && echo mine; flock -n 9 && echo still",
    "exec 9<f; flock 9; flock -n f echo in",
    "exec 9<>f; flock -s 9; flock -sn f echo both; flock -n f echo in",
    "exec 9>f 8>f; flock 9; flock -n 8; echo $?; flock -w 0.01 8; echo $?; flock -n -E 7 8; echo $?",
    "exec 9>f; flock 9; exec 9>&-; flock -n f echo free",
    "exec 9>f; (flock 9); flock -n f echo in",
    "exec 9>f; flock 9; flock -s 9; flock -sn f echo both",
    "(flock -n 9 || exit 1; echo in; flock -n f echo twice) 9>f",
    "exec 9<d; flock 9; flock -n d echo in",
    "flock 77",
    "flock -- -1",
    "flock abc",
    "flock ' 77'",
    "flock 99999999999",
    "flock f",
    "flock ./f",
    "exec 9</dev/null; flock 9; echo $?",
    "exec 9>f; flock 9 echo in; ls",
    "exec 9>f; flock -o 9; flock -n f echo in",
    "exec 9>f; flock -F 9; flock -n f echo in",
    "exec 9>f; flock -oF 9",
    "exec 9>f; flock -u 9; flock -u -n 9; flock -n f echo in",
    "exec 9>f; flock -n 9 -c 'echo in'",
    "exec 9>f; flock 9 -n",
    "exec 9>f 8>f; flock -s 9; flock -s 8; flock -xn 9; echo $?; flock -u 8; flock -xn 9; echo $?",
    // What is told.
    "flock --verbose f echo in",
    "flock --verb f flock --verbose -n f echo in",
    "flock f flock --verbose -w 0.01 f echo in",
    "flock f flock --verbose -w 0 f echo in",
    "exec 9>f; flock --verbose 9",
    "flock --verbose -u f echo in",
    "flock --verbose f -c 'exit 5'",
    // Not with -F: what flock(1) says into a pipe is lost when it becomes the command.
    "flock --verbose -o f echo in",
    "flock --verbose -s f flock --verbose -n f echo in",
    "exec 9>f 8>f; flock 9; flock --verbose -n 8; echo $?; flock --verbose -w 0.01 8; echo $?",
    "exec 9>f; flock --verbose -u 9",
    "flock --verbose f /nonexistent/program",
    // Its environment.
    "exec 1>&-; flock f true",
    "[ \"$LOCKED\" ] || exec env LOCKED=1 flock -en f sh -c 'flock -n f echo in; echo $LOCKED'",
];

/// The texts of errors are those of the C library, and so is what it does with a program that is none.
fn has_the_c_library_of_flock() -> bool {
    let has = !cfg!(target_env = "musl");
    if !has {
        println!("left out: this system's flock(1) has another C library than this command");
    }
    has
}

#[test]
fn does_what_flock_does() {
    if !has_the_c_library_of_flock() {
        return;
    }
    let mut differences = Vec::new();
    for script in SCRIPTS {
        let (theirs, ours) = (performed(script, false), performed(script, true));
        if theirs != ours {
            differences.push(format!("{script}\n  flock: {theirs}\n  ours:  {ours}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The kernel's refusals, which network file systems and odd ones have.
#[test]
fn refusals_end_as_they_do_with_flock() {
    if !has_the_c_library_of_flock() {
        return;
    }
    let errors = [
        libc::ENOLCK,
        libc::ENOMEM,
        libc::ENOSYS,
        libc::EOPNOTSUPP,
        libc::EINVAL,
        libc::EIO,
        libc::EBADF,
    ];
    for errno in errors {
        for options in ["", "-s", "-n --verbose", "-w 1 --verbose", "-E 9", "-u"] {
            let script = format!("flock {options} f echo in");
            let (theirs, ours) = (
                refused(errno, &script, false),
                refused(errno, &script, true),
            );
            assert_eq!(ours, theirs, "{script} {errno}");
        }
    }
    // Newer versions than those of today's systems take this for a conflict, as SMB clients mean it.
    let conflict = refused(libc::EACCES, "flock -E 9 f echo in", true);
    assert_eq!(conflict, "Some(9) [] \"\"");
}

/// What the script comes to where the kernel answers every attempt with that.
fn refused(errno: i32, script: &str, ours: bool) -> String {
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let session = lockless::mount(&directory, errno).expect("a file system");
    let performed = performed_in(&stage, &directory, script, ours);
    drop(session);
    performed
}

/// What the script comes to with the system's flock(1), or ours in its place.
fn performed(script: &str, ours: bool) -> String {
    let stage = Stage::new();
    fs::write(stage.path("f"), "").expect("a file");
    fs::create_dir(stage.path("d")).expect("a directory");
    performed_in(&stage, &stage.path(""), script, ours)
}

fn performed_in(stage: &Stage, directory: &Path, script: &str, ours: bool) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(directory);
    command.env("SHELL", "/bin/sh").env("LC_ALL", "C");
    if ours {
        command.env("PATH", path_with_ours(stage));
    }
    let Outcome {
        code,
        mut output,
        errors,
    } = outcome(&mut command);
    // flock(1) writes its lines when it ends, if no terminal reads them, and a time is a time.
    for line in &mut output {
        if line.contains("getting lock took") {
            *line = line.replace(|digit: char| digit.is_ascii_digit(), "0");
        }
    }
    output.sort_unstable();
    format!("{code:?} {output:?} {errors:?}")
}

/// The path of programs, with ours as `flock`.
fn path_with_ours(stage: &Stage) -> OsString {
    let directory = stage.path(".bin");
    fs::create_dir(&directory).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_lockfast"), directory.join("flock")).expect("a link");
    let mut path = directory.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").expect("a path of programs"));
    path
}
