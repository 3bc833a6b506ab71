//! The signals that are caught on behalf of the command.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd;
use signal_hook::iterator::backend::{Pending, SignalDelivery};
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::Origin;

use crate::sys::{self, Start};

const SECOND: Duration = Duration::from_secs(1);

/// Signals that are passed on to the command.
pub(crate) const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Signals that are caught on behalf of the command.
#[derive(Debug)]
pub(crate) struct Signals {
    caught: SignalDelivery<UnixStream, WithOrigin>,
    /// Wakes the wait for signals, as each of them does.
    bell: UnixStream,
    /// Signals that were ignored before. The command must start with them ignored.
    ignored: Vec<Signal>,
}

impl Signals {
    /// Catches the signals to pass on, and the alarm if the command may have to end before it does by itself.
    pub(crate) fn catch(alarm: bool) -> io::Result<Self> {
        let alarm = alarm.then_some(Signal::SIGALRM);
        let wanted = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).chain(alarm);
        let ignored = wanted
            .clone()
            .filter(|&signal| sys::is_ignored(signal))
            .collect();
        let (read, write) = UnixStream::pair()?;
        let bell = write.try_clone()?;
        let caught = sys::begin_to_catch(wanted, |signals| {
            SignalDelivery::with_pipe(read, write, WithOrigin::default(), signals)
        })?;
        Ok(Self {
            caught,
            bell,
            ignored,
        })
    }

    /// Has the command start with the signal's default action, even if it was ignored.
    pub(crate) fn start_with_default(&mut self, signal: Signal) {
        self.ignored.retain(|&ignored| ignored != signal);
    }

    /// Returns the state that the command starts with.
    pub(super) fn start(&self, mask: SigSet, dies_with_parent: bool) -> Start {
        Start {
            mask,
            caught: PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect(),
            ignored: self.ignored.clone(),
            dies_with_parent,
        }
    }

    /// Returns the signals of other processes since the last call, without waiting.
    ///
    /// A list, and without those of this process: it belongs to the group that it signals, so each signal that is
    /// passed on to the group comes back.
    pub(super) fn of_others(&mut self) -> Vec<i32> {
        let pending = self.caught.pending();
        let others = pending.filter(|origin| !is_own(origin));
        others.map(|origin| origin.signal).collect()
    }

    /// Polls the future on this thread until it is ready, or drops it at a signal and returns that as the error.
    ///
    /// `meanwhile` is called each second.
    pub(crate) fn until_ready<R>(
        &mut self,
        future: impl Future<Output = R>,
        mut meanwhile: impl FnMut(),
    ) -> io::Result<Result<R, u8>> {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Bell(self.bell.try_clone()?)));
        let mut context = Context::from_waker(&waker);
        loop {
            // After each wait, because that takes the bell away.
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return Ok(Ok(result));
            }
            let Some(caught) = self.wait(Some(SECOND))? else {
                meanwhile();
                continue;
            };
            let caught: Vec<_> = caught.map(|origin| origin.signal).collect();
            let ending = PASSED_ON.into_iter().find(|&signal| {
                caught.contains(&(signal as i32)) && !self.ignored.contains(&signal)
            });
            if let Some(Ok(signal)) = ending.map(|signal| u8::try_from(signal as i32)) {
                return Ok(Err(signal));
            }
        }
    }

    /// Waits for signals, and returns them; `None` if there is none within that time.
    pub(super) fn wait(
        &mut self,
        time: Option<Duration>,
    ) -> io::Result<Option<Pending<WithOrigin>>> {
        let stream = self.caught.get_read_mut();
        if stream.read_timeout()? != time {
            stream.set_read_timeout(time)?;
        }
        loop {
            return match stream.read(&mut [0]) {
                Ok(_) => Ok(Some(self.caught.pending())),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error),
            };
        }
    }
}

/// Wakes the thread that waits for signals.
struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // The reader lives as long as the future that is polled.
        let _ = (&self.0).write(&[0]);
    }
}

/// Whether this process has sent the signal.
pub(super) fn is_own(origin: &Origin) -> bool {
    let own = unistd::getpid().as_raw();
    origin.process.is_some_and(|sender| sender.pid == own)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::Instant;

    use nix::sys::signal;

    use super::*;

    #[test]
    fn signals_of_this_process_are_not_passed_on() {
        let mut signals = Signals::catch(false).expect("caught");
        let mut others = || {
            let all = signals.of_others();
            let is_usr1 = |signal: &i32| *signal == Signal::SIGUSR1 as i32;
            all.into_iter().filter(is_usr1).count()
        };
        signal::raise(Signal::SIGUSR1).expect("sent");
        assert_eq!(others(), 0);
        let mut shell = Command::new("sh");
        let sent = shell.args(["-c", "kill -USR1 $PPID"]).status();
        assert!(sent.expect("a shell").success());
        // The thread that handles it may not have run yet.
        let deadline = Instant::now() + Duration::from_secs(300);
        while others() == 0 {
            assert!(Instant::now() < deadline, "no signal");
            thread::yield_now();
        }
    }
}
