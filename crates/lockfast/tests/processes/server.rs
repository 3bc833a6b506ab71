//! A file system with one file, whose locks it keeps, as some servers do: nobody can wait for them, and the
//! file may be gone for those who have it open.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use fuser::BackgroundSession;

use crate::one_file::{self, Call, Locks, Present};

/// A mounted server; dropping it unmounts it.
pub(crate) struct Server {
    present: Present,
    held: Arc<Mutex<Vec<Held>>>,
    _session: BackgroundSession,
}

#[derive(Clone, Copy)]
struct Held {
    owner: u64,
    start: u64,
    /// The last byte.
    end: u64,
    is_exclusive: bool,
}

struct Answers {
    /// The error for calls that wait; 0 if they are answered as the others.
    waits: i32,
    held: Arc<Mutex<Vec<Held>>>,
}

impl Server {
    pub(crate) fn mount(directory: &Path, waits: i32) -> io::Result<Self> {
        let (present, held) = (Present::default(), Arc::default());
        let answers = Answers {
            waits,
            held: Arc::clone(&held),
        };
        let session = one_file::mount(directory, Arc::clone(&present), answers)?;
        Ok(Self {
            present,
            held,
            _session: session,
        })
    }

    /// Replaces the file, as if another client had deleted it and created it again.
    pub(crate) fn replace(&self) {
        self.present.fetch_add(1, Ordering::SeqCst);
        self.held.lock().expect("no panic").clear();
    }
}

impl Locks for Answers {
    fn set(&self, call: &Call) -> Result<(), i32> {
        let unlocks = call.sort == libc::F_UNLCK;
        // To the kernel, giving back a `flock` is a call that waits.
        if call.waits && self.waits != 0 && !unlocks {
            return Err(self.waits);
        }
        let wanted = (!unlocks).then_some(Held {
            owner: call.owner,
            start: call.start,
            end: call.end,
            is_exclusive: call.sort == libc::F_WRLCK,
        });
        let (owner, start, end) = (call.owner, call.start, call.end);
        let mut locks = self.held.lock().expect("no panic");
        let meets = |held: &Held| held.start <= end && start <= held.end;
        let conflicts = |held: &Held| {
            let may_share = wanted.is_none_or(|wanted| !wanted.is_exclusive && !held.is_exclusive);
            held.owner != owner && meets(held) && !may_share
        };
        if wanted.is_some() && locks.iter().any(conflicts) {
            return Err(libc::EAGAIN);
        }
        // What the owner has there is replaced, and what sticks out stays.
        let own = |held: &Held| held.owner == owner && meets(held);
        let replaced: Vec<_> = locks.iter().copied().filter(own).collect();
        locks.retain(|held| !own(held));
        for held in replaced {
            if held.start < start {
                locks.push(Held {
                    end: start - 1,
                    ..held
                });
            }
            if held.end > end {
                locks.push(Held {
                    start: end + 1,
                    ..held
                });
            }
        }
        locks.extend(wanted);
        Ok(())
    }
}
