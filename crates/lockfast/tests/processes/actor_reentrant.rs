//! Commands about reentrant locks. Their guards stay in the thread of the commands, which
//! a forked child has a copy of.

use std::cell::RefCell;
use std::collections::HashMap;

use lockfast::{ReentrantLock, ReentrantLockGuard};
use lockfast_testing::Answer;

#[derive(Default)]
struct Reentrant {
    locks: HashMap<String, ReentrantLock>,
    guards: HashMap<String, ReentrantLockGuard>,
}

thread_local! {
    static PROPS: RefCell<Reentrant> = RefCell::default();
}

/// The commands about reentrant locks, which begin with `re`.
pub(crate) fn perform(words: &[&str]) -> Answer {
    PROPS.with_borrow_mut(|props| {
        match *words {
            ["open", name, path] => {
                let opened = ReentrantLock::open(path)?;
                props.locks.insert(name.to_owned(), opened);
            }
            ["lock", name, guard] => {
                let taken = props.locks[name].lock()?;
                props.guards.insert(guard.to_owned(), taken);
            }
            ["try", name, guard] => {
                let taken = props.locks[name].try_lock()?;
                props.guards.insert(guard.to_owned(), taken);
            }
            ["drop", guard] => drop(props.guards.remove(guard).ok_or("no such guard")?),
            ["release", guard] => {
                let guard = props.guards.remove(guard);
                guard.ok_or("no such guard")?.release()?;
            }
            _ => return Err(format!("unknown command {words:?}").into()),
        }
        Ok(String::new())
    })
}
