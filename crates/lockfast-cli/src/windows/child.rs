//! The child process that runs the command: its start and its end.

use std::io;
use std::pin::pin;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::{self, OnLost};
use crate::exit::{Exit, say};
use crate::sys;

#[path = "../child/loss.rs"]
mod loss;

pub(crate) use self::loss::Loss;

/// Time between two looks at a lock that may be lost.
const LOOK: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

/// Makes this process survive console events.
///
/// The command gets the same events, as both share the console and the group. The command decides
/// what to do, and this process ends when it ends.
#[derive(Debug)]
pub(crate) struct Signals(());

impl Signals {
    pub(crate) fn catch(_alarm: bool) -> io::Result<Self> {
        sys::outlive_console_events().map(Self)
    }

    /// Polls the future until it is ready. A console event ends this process meanwhile.
    #[allow(clippy::unused_self, reason = "as on the other side")]
    pub(crate) fn until_ready<R>(
        &mut self,
        future: impl Future<Output = R>,
        mut meanwhile: impl FnMut(),
    ) -> io::Result<Result<R, u8>> {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut second = Instant::now() + SECOND;
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return Ok(Ok(result));
            }
            thread::park_timeout(second.saturating_duration_since(Instant::now()));
            if Instant::now() >= second {
                meanwhile();
                second += SECOND;
            }
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Signals that are passed on: there are none.
pub(crate) const PASSED_ON: [u32; 0] = [];

/// The time limit, which is not available: there is no way to ask a process to end.
#[derive(Debug)]
pub(crate) enum Limit {}

impl Limit {
    pub(crate) fn of(arguments: &args::Run) -> Result<Option<Self>, &'static str> {
        match arguments.time_limit {
            None => Ok(None),
            Some(_) => Err("--time-limit is not available on Windows"),
        }
    }
}

/// Runs the command until it ends. With `dies_with_parent` the system kills it when this process ends.
///
/// # Errors
///
/// If it cannot be started.
pub(crate) fn run(
    command: &mut Command,
    _signals: &mut Signals,
    _limit: Option<&Limit>,
    mut loss: Option<Loss<'_>>,
    dies_with_parent: bool,
) -> io::Result<Exit> {
    if dies_with_parent {
        sys::kill_with_parent()?;
    }
    let mut child = command.spawn()?;
    let mut is_lost = false;
    let status = match &mut loss {
        None => child.wait(),
        Some(loss) => loop {
            match child.try_wait() {
                Ok(None) => thread::sleep(LOOK),
                Ok(Some(status)) => break Ok(status),
                Err(error) => break Err(error),
            }
            if !is_lost && let Some(lost) = loss.look() {
                say(lost);
                // There is no way to ask a process to end.
                if loss.action() != OnLost::Warn {
                    is_lost = true;
                    let _ = child.kill();
                }
            }
        },
    };
    // The command has ended; processes that it left running may continue.
    sys::let_live();
    Ok(match status {
        Ok(_) if is_lost => Exit::LOST,
        Ok(status) => exit_of(status),
        Err(error) => {
            say(format_args!("cannot wait for the command: {error}"));
            Exit::SYSTEM
        }
    })
}

/// Converts a 32-bit exit code; larger ones become 255.
fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().map(u8::try_from);
    match code {
        Some(Ok(code)) => Exit::code(code),
        _ => Exit::code(u8::MAX),
    }
}
