//! Signals in the first process of a pid namespace, as in a container.

use std::io;
use std::process;
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;
use nix::unistd;
use signal_hook::iterator::{Handle, Signals};

use super::signals::{begin_to_catch, is_ignored};

/// Makes signals end this process as they end any other, until dropped.
///
/// The kernel does not apply default actions of signals to the first process of a pid namespace.
/// Without this it would wait for a lock and ignore requests to end.
#[derive(Debug)]
pub(crate) struct Mortality {
    /// `None` if this is not the first process.
    listening: Option<(Handle, JoinHandle<()>)>,
}

impl Mortality {
    pub(crate) fn begin(signals: &[Signal]) -> io::Result<Self> {
        if unistd::getpid().as_raw() != 1 {
            return Ok(Self { listening: None });
        }
        let wanted = signals.iter().copied();
        let wanted = wanted.filter(|&signal| !is_ignored(signal));
        let mut signals = begin_to_catch(wanted, Signals::new)?;
        let handle = signals.handle();
        let thread = thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                process::exit(128 | signal);
            }
        });
        Ok(Self {
            listening: Some((handle, thread)),
        })
    }
}

impl Drop for Mortality {
    fn drop(&mut self) {
        if let Some((handle, thread)) = self.listening.take() {
            handle.close();
            let _ = thread.join();
        }
    }
}
