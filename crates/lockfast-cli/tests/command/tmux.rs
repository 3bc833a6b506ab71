//! A real terminal: a window of `tmux`, with key presses and a readable screen.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::stage::{DEADLINE, Stage};

/// A window with a shell. Its server is private and ends with it.
#[derive(Debug)]
pub(crate) struct Tmux {
    name: String,
    /// Path of the server's socket.
    directory: PathBuf,
}

impl Tmux {
    /// Opens a window in which `$LOCKFAST` is the program.
    pub(crate) fn open(stage: &Stage, environment: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tmux = Self {
            name: format!("lockfast-{}-{number}", std::process::id()),
            directory: stage.path(""),
        };
        let mut command = tmux.command();
        command.args(["new-session", "-d", "-x", "80", "-y", "24"]);
        command.env("LOCKFAST", env!("CARGO_BIN_EXE_lockfast"));
        command.env_remove("NO_COLOR");
        command.envs(environment.iter().copied());
        // As for users, regardless of the signals that the test runner ignores.
        command.arg("exec env --default-signal sh -i");
        succeed(&mut command);
        tmux.shows_when("a prompt", |screen| !screen.trim().is_empty());
        tmux
    }

    /// Types text and the enter key.
    pub(crate) fn says(&self, text: &str) {
        succeed(self.command().args(["send-keys", "-l", "--", text]));
        self.press("Enter");
    }

    /// Presses a key by its name, or types other text.
    pub(crate) fn press(&self, key: &str) {
        succeed(self.command().args(["send-keys", "--", key]));
    }

    /// Returns the visible text.
    pub(crate) fn screen(&self) -> String {
        self.captured(&[])
    }

    /// Returns the visible text with colour codes.
    pub(crate) fn coloured_screen(&self) -> String {
        self.captured(&["-e"])
    }

    fn captured(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        let output = succeed(command.args(["capture-pane", "-p"]).args(arguments));
        String::from_utf8(output.stdout).expect("tmux speaks UTF-8")
    }

    /// Waits until the text is visible.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.shows_when(text, |screen| screen.contains(text))
    }

    /// Waits until the screen meets the condition.
    #[track_caller]
    pub(crate) fn shows_when(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what:?} in:\n{screen}");
            // Leaves the processor to the programs under test.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns a property of the window, for example `alternate_on`.
    pub(crate) fn property(&self, name: &str) -> String {
        let mut command = self.command();
        let format = format!("#{{{name}}}");
        let output = succeed(command.args(["display-message", "-p", &format]));
        let text = String::from_utf8(output.stdout).expect("plain text");
        text.trim().to_owned()
    }

    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        let size = [columns, lines].map(|number| number.to_string());
        let [columns, lines] = &size;
        succeed(
            self.command()
                .args(["resize-window", "-x", columns, "-y", lines]),
        );
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-L", &self.name, "-f", "/dev/null"])
            .env("TMUX_TMPDIR", &self.directory)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX");
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}

/// Whether `tmux` is installed, without which these tests can't run; `cargo xtask test` installs
/// it.
#[track_caller]
fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("tmux: {error}; `cargo xtask setup` installs it"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// Quotes a text for the shell of a window.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_str().expect("a plain path"))
}
