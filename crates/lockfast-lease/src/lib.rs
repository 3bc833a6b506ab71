//! Leases of locks that a server keeps: deadline, state and the signal of a lost lock.
