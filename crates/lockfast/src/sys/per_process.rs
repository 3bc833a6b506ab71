//! State that belongs to one process of a line of forks.
//!
//! A forked child can't use its parent's: a thread that does not exist in the child may have been
//! in the middle of it. So each process has its own, found by its generation; what it inherited is
//! left as it is.

use crate::sys::fork;
use crate::sys::made_once::MadeOnce;

/// A `T` for each process.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u64,
    value: T,
    child: MadeOnce<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// With that value in the process that runs now.
    pub(crate) fn new(value: T) -> Self {
        Self {
            generation: fork::generation(),
            value,
            child: MadeOnce::new(),
        }
    }

    /// Those of the processes before the one that runs now, as they were when it was forked.
    pub(crate) fn inherited(&self) -> impl Iterator<Item = &T> {
        let generation = fork::generation();
        let is_before = move |link: &&Self| link.generation != generation;
        let links = std::iter::successors(Some(self), |link| link.child.get());
        links.take_while(is_before).map(|link| &link.value)
    }

    /// Does the process run now for which this was made, as far as is known? No call is made to find out.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        self.generation == fork::known_generation()
    }

    /// That of the process for which this was made.
    #[inline]
    pub(crate) fn first(&self) -> &T {
        &self.value
    }

    /// That of the process that runs now; one that was forked since begins with `fresh`.
    #[inline]
    pub(crate) fn get(&self, fresh: impl Fn() -> T) -> &T {
        let generation = fork::generation();
        let mut own = self;
        while own.generation != generation {
            own = own.child.get_or_make(|| Self::new(fresh()));
        }
        &own.value
    }
}
