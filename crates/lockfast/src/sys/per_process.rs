//! State that belongs to one process of a line of forks.
//!
//! A forked child can't use the state of its parent: a thread that does not exist in the child may have
//! been changing it. So each process has a state of its own, found by its generation, and leaves the
//! inherited one as it is.

use crate::sys::fork;
use crate::sys::made_once::MadeOnce;

/// A `T` for each process.
///
/// It is a list: one entry for the process that made it, and one for each forked child in line that used it.
/// Entries are added and never changed, so a fork at any moment copies a whole list.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    /// The process to which the value belongs.
    generation: u64,
    value: T,
    /// The entry of a child that was forked since.
    child: MadeOnce<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// Begins with this value, for the current process.
    pub(crate) fn new(value: T) -> Self {
        Self {
            generation: fork::generation(),
            value,
            child: MadeOnce::new(),
        }
    }

    /// Returns the values of the processes before the current one, as they were when it was forked.
    pub(crate) fn inherited(&self) -> impl Iterator<Item = &T> {
        let generation = fork::generation();
        let is_before = move |link: &&Self| link.generation != generation;
        let links = std::iter::successors(Some(self), |link| link.child.get());
        // Generations grow along the list, and the current process is its last one, if it is in the list at
        // all.
        links.take_while(is_before).map(|link| &link.value)
    }

    /// Whether the current process is the one that made this, as far as is known. No call is made to find out.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        // No entry has the generation 0, which a child has until it asks. So a child is never taken for the
        // process that made this.
        self.generation == fork::known_generation()
    }

    /// Returns the value of the process that made this.
    #[inline]
    pub(crate) fn first(&self) -> &T {
        &self.value
    }

    /// Returns the value of the current process. A process that was forked since begins with `fresh`.
    #[inline]
    pub(crate) fn get(&self, fresh: impl Fn() -> T) -> &T {
        if self.is_first() {
            &self.value
        } else {
            self.later(fresh)
        }
    }

    /// Returns the value of a child, or of the first process when nobody has asked for its generation.
    #[cold]
    fn later(&self, fresh: impl Fn() -> T) -> &T {
        let generation = fork::generation();
        let mut own = self;
        while own.generation != generation {
            // The list grows by this process only: entries of processes before it stay as they were copied.
            own = own.child.get_or_make(|| Self::new(fresh()));
        }
        &own.value
    }
}
