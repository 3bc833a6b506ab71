//! Keys, signals and finished updates, each awaited by a thread of its own.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use lockfast::inspect::Report;
use nix::sys::signal::Signal;
use ratatui::crossterm::event::{self, KeyEvent, KeyEventKind};
use signal_hook::iterator::Signals;

use crate::inspect::Scope;
use crate::sys;

/// An event.
#[derive(Debug)]
pub(super) enum Event {
    Key(KeyEvent),
    /// The terminal changed its size.
    Resized,
    /// The result of an update, and the time it took.
    Looked(lockfast::Result<Report>, Duration),
    /// A signal that should end the program.
    Signal(u8),
    /// The program was stopped and continues.
    Continued,
    /// A thread ended unexpectedly.
    Lost,
}

/// Receiver of the events.
#[derive(Debug)]
pub(super) struct Events {
    happened: Receiver<Event>,
    look: Sender<()>,
}

impl Events {
    /// Starts the threads, and catches signals from now on.
    pub(super) fn listen(scope: Scope) -> io::Result<Self> {
        let ends = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ];
        let wanted = ends.into_iter().chain([Signal::SIGCONT]);
        let mut signals = sys::begin_to_catch(wanted, Signals::new)?;
        let (sender, happened) = mpsc::channel();
        let (look, looks) = mpsc::channel();
        start("signals", &sender, move |sender| {
            for signal in signals.forever() {
                let event = match u8::try_from(signal) {
                    Ok(signal) if i32::from(signal) != Signal::SIGCONT as i32 => {
                        Event::Signal(signal)
                    }
                    _ => Event::Continued,
                };
                if sender.send(event).is_err() {
                    return;
                }
            }
        })?;
        start("keys", &sender, read_keys)?;
        start("looks", &sender, move |sender| {
            while looks.recv().is_ok() {
                let begin = Instant::now();
                let report = scope.look_around().map(|mut report| {
                    scope.narrow(&mut report);
                    report
                });
                if sender.send(Event::Looked(report, begin.elapsed())).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { happened, look })
    }

    /// Returns the next event, or `None` if there is none before that time.
    pub(super) fn next(&self, until: Option<Instant>) -> Option<Event> {
        let next = match until {
            None => self.happened.recv().map_err(Into::into),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.happened.recv_timeout(left)
            }
        };
        match next {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Lost),
        }
    }

    /// Requests an update.
    pub(super) fn look(&self) {
        // If the thread has ended, it has sent an event.
        let _ = self.look.send(());
    }
}

/// Starts a thread that sends an event when it ends, even by a panic.
fn start(
    name: &str,
    sender: &Sender<Event>,
    act: impl FnOnce(&Sender<Event>) + Send + 'static,
) -> io::Result<()> {
    struct Farewell(Sender<Event>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            let _ = self.0.send(Event::Lost);
        }
    }
    let farewell = Farewell(sender.clone());
    let act = move || act(&farewell.0);
    thread::Builder::new().name(name.to_owned()).spawn(act)?;
    Ok(())
}

fn read_keys(sender: &Sender<Event>) {
    while let Ok(event) = event::read() {
        let event = match event {
            event::Event::Key(key) if key.kind != KeyEventKind::Release => Event::Key(key),
            event::Event::Resize(..) => Event::Resized,
            _ => continue,
        };
        if sender.send(event).is_err() {
            return;
        }
    }
}
