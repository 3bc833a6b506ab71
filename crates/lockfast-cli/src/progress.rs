//! Progress messages while a lock is waited for.

use std::fmt;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockfast::command_support::Shown;
use lockfast::{Options, Waiting};

use crate::exit::say;
use crate::sys;

/// Shorter waits are not reported.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two lines without a terminal.
const REPEAT: Duration = Duration::from_secs(30);

/// Time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

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
    Shown(ProgressBar),
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let on_terminal = !quiet && io::stderr().is_terminal();
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
    /// Moves the spinner; `false` if there can be none.
    fn show(&mut self, wait: &Wait<'_>) -> bool {
        if !sys::is_in_foreground(io::stderr()) {
            self.leave();
            return false;
        }
        if let Self::Hidden = self {
            let bar = ProgressBar::new_spinner().with_style(style());
            *self = if bar.is_hidden() {
                Self::Unavailable
            } else {
                Self::Shown(bar)
            };
        }
        let Self::Shown(bar) = self else {
            return false;
        };
        bar.set_message(wait.to_string());
        bar.tick();
        true
    }

    fn hide(&mut self) {
        if !sys::is_in_foreground(io::stderr()) {
            self.leave();
        }
        if let Self::Shown(bar) = self {
            bar.finish_and_clear();
            *self = Self::Hidden;
        }
    }

    /// Stops drawing: another process group has the terminal now.
    fn leave(&mut self) {
        if let Self::Shown(bar) = self {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            *self = Self::Hidden;
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}").expect("a template that is a constant")
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
