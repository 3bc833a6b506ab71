//! Checkers of what the clients of an engine saw. Each returns the first violation, as text for people.
//!
//! | checker | refuses |
//! |---|---|
//! | [`beliefs`] | two clients that both found their lock valid at one instant |
//! | [`grants`] | a token that is used twice, or not greater than those before |
//! | [`register`] | a write that a fence let through although it had seen a greater token |
//! | [`linearizable`] | answers that no lock gives, in whatever order they took effect |
//! | [`liveness`] | a waiter that was left waiting |

pub mod beliefs;
pub mod grants;
pub mod linearizable;
pub mod liveness;
mod moment;
pub mod register;

pub use moment::Moment;
