//! All handles of this process, to find a thread that would wait for itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::handle::Handle;
use crate::sys::made_once::MadeOnce;
use crate::sys::per_process::PerProcess;

type Handles = Mutex<Vec<Weak<Handle>>>;

/// Remembers a handle for as long as it lives.
pub(crate) fn remember(handle: &Arc<Handle>) {
    let mut handles = handles();
    if handles.len() == handles.capacity() {
        handles.retain(|handle| handle.strong_count() > 0);
    }
    handles.push(Arc::downgrade(handle));
}

/// The handles that were opened and may still live.
pub(crate) fn all() -> Vec<Weak<Handle>> {
    handles().clone()
}

/// Is there such a handle?
pub(crate) fn any(is_it: impl Fn(&Handle) -> bool) -> bool {
    // A handle may be dropped here for the last time, which must not happen under the mutex.
    let all: Vec<_> = handles().iter().filter_map(Weak::upgrade).collect();
    all.iter().any(|handle| is_it(handle))
}

fn handles() -> MutexGuard<'static, Vec<Weak<Handle>>> {
    static HANDLES: MadeOnce<PerProcess<Handles>> = MadeOnce::new();
    HANDLES
        .get_or_make(|| PerProcess::new(Handles::default()))
        .get(Handles::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}
