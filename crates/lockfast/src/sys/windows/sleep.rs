//! The sleep of a thread, which its alarms end.

use std::cell::OnceCell;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CreateWaitableTimerExW, INFINITE, SetWaitableTimer,
    TIMER_ALL_ACCESS, WaitForMultipleObjects,
};

use super::alarm;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The handle with this number was signalled.
    By(usize),
    /// The instant passed.
    TimedOut,
    /// An alarm of this thread rang.
    Interrupted,
}

/// The number of handles that a thread can sleep on, besides its alarms and its timer.
pub(super) const MOST: usize = 48;

/// Sleeps until one of the handles is signalled, until the instant, or until an alarm of this thread.
/// A handle that is signalled counts before everything else.
pub(super) fn sleep(on: &[HANDLE], until: Option<Instant>) -> io::Result<Woken> {
    assert!(on.len() <= MOST, "the kernel waits for 64 objects at most");
    loop {
        // Of several signalled handles the kernel reports the first one, so their order decides.
        let mut handles = on.to_vec();
        let due = alarm::due(&mut handles);
        let alarms = handles.len();
        let wake = until.into_iter().chain(due).min();
        let left = wake.map(|wake| wake.saturating_duration_since(Instant::now()));
        let mut timeout = left.map_or(INFINITE, milliseconds);
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            // It stands last, so that all others count before it.
            if let Some(timer) = start_timer(left) {
                handles.push(timer);
                timeout = INFINITE;
            }
        }
        match wait(&handles, timeout)? {
            Some(number) if number < on.len() => return Ok(Woken::By(number)),
            Some(number) if number < alarms => return Ok(Woken::Interrupted),
            // The timer or the timeout ended it, for one instant or the other.
            _ => {
                let now = Instant::now();
                if alarm::is_due(now) {
                    return Ok(Woken::Interrupted);
                }
                if until.is_some_and(|until| until <= now) {
                    return Ok(Woken::TimedOut);
                }
            }
        }
    }
}

/// Returns the number of the signalled handle; `None` when the time is over.
fn wait(handles: &[HANDLE], milliseconds: u32) -> io::Result<Option<usize>> {
    let count = u32::try_from(handles.len()).expect("at most 64");
    if count == 0 {
        // The kernel takes no empty list. Without alarms, nobody could end the sleep anyway.
        std::thread::sleep(Duration::from_millis(milliseconds.into()));
        return Ok(None);
    }
    // SAFETY: so many handles are in the slice, and they are open: they are the caller's, or of alarms
    // and of the timer of this thread.
    let answer = unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds) };
    match answer {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        WAIT_TIMEOUT => Ok(None),
        number => Ok(Some((number - WAIT_OBJECT_0) as usize)),
    }
}

/// Rounds up, so that the sleep does not end before the instant, again and again.
fn milliseconds(left: Duration) -> u32 {
    u32::try_from(left.as_micros().div_ceil(1000))
        .map_or(INFINITE - 1, |left| left.min(INFINITE - 1))
}

/// Starts this thread's timer, which is more precise than a timeout: a timeout ends with a tick of the
/// system's clock, and there may be 64 of them in a second.
fn start_timer(left: Duration) -> Option<HANDLE> {
    thread_local! {
        static TIMER: OnceCell<Option<OwnedHandle>> = const { OnceCell::new() };
    }
    let timer = TIMER.try_with(|timer| {
        let timer = timer.get_or_init(|| {
            new_timer(CREATE_WAITABLE_TIMER_HIGH_RESOLUTION).or_else(|| new_timer(0))
        });
        timer.as_ref().map(AsRawHandle::as_raw_handle)
    });
    let timer = timer.ok().flatten()?;
    // A negative number is a time from now, in units of 100 ns.
    let due = -i64::try_from(left.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
    // SAFETY: the handle is a timer's, the instant is read during the call, and nothing is called back.
    let answer = unsafe { SetWaitableTimer(timer, &raw const due, 0, None, std::ptr::null(), 0) };
    (answer != 0).then_some(timer)
}

fn new_timer(flags: u32) -> Option<OwnedHandle> {
    // SAFETY: no attributes, no name; the call answers a new handle, or null.
    let handle = unsafe {
        CreateWaitableTimerExW(std::ptr::null(), std::ptr::null(), flags, TIMER_ALL_ACCESS)
    };
    // SAFETY: the handle is new, and nobody else's.
    (!handle.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

#[cfg(test)]
mod tests {
    use super::super::event::WakeEvent;
    use super::*;

    #[test]
    fn an_event_comes_before_an_instant_that_has_passed() {
        let (one, other) = (WakeEvent::new(), WakeEvent::new());
        let (one, other) = (one.expect("an event"), other.expect("an event"));
        let both = [one.handle(), other.handle()];
        let now = Instant::now();
        assert_eq!(sleep(&both, Some(now)).expect("no error"), Woken::TimedOut);
        other.set();
        assert_eq!(sleep(&both, Some(now)).expect("no error"), Woken::By(1));
    }

    #[test]
    fn an_instant_is_met_and_not_passed_by_much() {
        for millis in [1, 3, 7] {
            let until = Instant::now() + Duration::from_millis(millis);
            assert_eq!(sleep(&[], Some(until)).expect("no error"), Woken::TimedOut);
            let late = until.elapsed();
            assert!(late < Duration::from_millis(500), "{late:?}");
        }
    }
}
