//! Progress messages while a lock is waited for.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockfast::command_support::Shown;
use lockfast::{Options, Waiting};
use unicode_width::UnicodeWidthStr;

use crate::exit::say;
use crate::sys;

/// Shorter waits are not reported.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two lines without a terminal.
const REPEAT: Duration = Duration::from_secs(30);

/// Time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Frames of the spinner.
const FRAMES: [char; 8] = ['⠁', '⠂', '⠄', '⡀', '⢀', '⠠', '⠐', '⠈'];

/// Reports waits: with a spinner on a terminal, with lines elsewhere, or not at all.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Option<Arc<Mutex<Display>>>,
    interval: Duration,
}

#[derive(Debug)]
struct Display {
    spinner: Spinner,
    /// Time within this wait when the next line is due.
    next_line: Duration,
}

/// State of the spinner.
#[derive(Debug)]
enum Spinner {
    /// Not a terminal, or one that can't move its cursor.
    Unavailable,
    Hidden,
    Shown {
        frame: usize,
        /// Rows of the screen that the frame takes.
        rows: usize,
    },
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let on_terminal = !quiet && can_draw();
        let (spinner, interval) = if on_terminal {
            (Spinner::Hidden, FRAME)
        } else {
            (Spinner::Unavailable, PATIENCE)
        };
        let display = Display {
            spinner,
            next_line: PATIENCE,
        };
        Self {
            display: (!quiet).then(|| Arc::new(Mutex::new(display))),
            interval,
        }
    }

    /// Makes the locks opened with these options report their waits.
    pub(crate) fn watch<L>(&self, options: Options<L>, wanted: Wanted) -> Options<L> {
        let Some(display) = &self.display else {
            return options;
        };
        let display = Arc::clone(display);
        options
            .wait_interval(self.interval)
            .on_wait(move |waiting| {
                let mut display = display.lock().unwrap_or_else(PoisonError::into_inner);
                display.show(&Wait { waiting, wanted });
                ControlFlow::Continue(())
            })
    }

    /// Removes the spinner from the screen.
    pub(crate) fn clear(&self) {
        if let Some(display) = &self.display {
            let mut display = display.lock().unwrap_or_else(PoisonError::into_inner);
            display.spinner.hide();
        }
    }
}

impl Display {
    fn show(&mut self, wait: &Wait<'_>) {
        let waiting = wait.waiting;
        if waiting.waited().is_zero() {
            // A new wait begins, for the next one of several locks.
            self.spinner.hide();
            self.next_line = PATIENCE;
        }
        if waiting.waited() < PATIENCE {
            return;
        }
        if self.spinner.show(wait) {
            return;
        }
        if waiting.waited() >= self.next_line {
            self.next_line = waiting.waited() + REPEAT;
            say(wait);
        }
    }
}

impl Spinner {
    /// Draws the next frame; `false` if there can be none.
    fn show(&mut self, wait: &Wait<'_>) -> bool {
        if !sys::is_in_foreground(io::stderr()) {
            self.leave();
            return false;
        }
        let frame = match self {
            Self::Unavailable => return false,
            Self::Hidden => 0,
            Self::Shown { frame, .. } => (*frame + 1) % FRAMES.len(),
        };
        let Some(columns) = sys::columns(io::stderr()) else {
            self.hide();
            *self = Self::Unavailable;
            return false;
        };
        let text = format!("{} {wait}", FRAMES[frame]);
        draw(&format!("{}{text}", self.erasure()));
        let rows = text.width().div_ceil(columns);
        *self = Self::Shown { frame, rows };
        true
    }

    fn hide(&mut self) {
        if let Self::Shown { .. } = self {
            if sys::is_in_foreground(io::stderr()) {
                draw(&self.erasure());
            }
            self.leave();
        }
    }

    /// Stops drawing: another process group has the terminal now.
    fn leave(&mut self) {
        if let Self::Shown { .. } = self {
            *self = Self::Hidden;
        }
    }

    /// Returns the text that erases the rows of the last frame.
    fn erasure(&self) -> String {
        const ROW: &str = "\r\u{1b}[2K";
        match self {
            Self::Shown { rows, .. } => {
                ROW.to_owned() + &"\u{1b}[1A\u{1b}[2K".repeat(rows.saturating_sub(1))
            }
            Self::Hidden | Self::Unavailable => ROW.to_owned(),
        }
    }
}

fn draw(text: &str) {
    // Nobody is left to read it if standard error is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whether standard error is a terminal that understands escape sequences.
fn can_draw() -> bool {
    let is_dumb = || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stderr().is_terminal() && (cfg!(windows) || !is_dumb())
}

/// The object of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Lock,
    Permit,
}

/// A wait, formatted with its path, duration and holder.
struct Wait<'a> {
    waiting: &'a Waiting<'a>,
    wanted: Wanted,
}

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, wanted } = self;
        let seconds = Duration::from_secs(waiting.waited().as_secs());
        let waited = humantime::format_duration(seconds);
        let path = Shown::path(waiting.path());
        match wanted {
            Wanted::Lock => write!(f, "waiting for lock {path} ({waited}): it is held")?,
            Wanted::Permit => {
                write!(
                    f,
                    "waiting for a permit of {path} ({waited}): too few are free"
                )?;
            }
        }
        match waiting.holder() {
            Some(holder) => write!(f, " by {holder}"),
            None => Ok(()),
        }
    }
}
