//! Fencing tokens with their epoch.

use std::env;
use std::fmt;

use lockfast::engine::Engine;
use lockfast::{
    LockGuard, MemberGuard, ReentrantLockGuard, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard, SemaphorePermit,
};

/// A fencing token with its epoch.
///
/// # Examples
///
/// ```
/// use lockfast_space::Token;
///
/// let (early, late) = (Token { epoch: 7, number: 1 }, Token { epoch: 7, number: 2 });
/// assert_eq!(late.is_older_than(early), Some(false));
/// assert_eq!(late.is_older_than(Token { epoch: 8, number: 1 }), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The epoch: tokens of different epochs can't be compared.
    pub epoch: u64,
    /// The number, which is greater in each later hold.
    pub number: u64,
}

/// Guards that may have a fencing token.
pub trait Fenced {
    /// The token with its epoch, if the engine has tokens for such a hold.
    fn fencing_token(&self) -> Option<Token>;
}

impl Token {
    /// Whether this is of an earlier hold than that; `None` if they are of different epochs.
    pub fn is_older_than(self, other: Self) -> Option<bool> {
        (self.epoch == other.epoch).then_some(self.number < other.number)
    }

    /// Returns the token that `lockfast run --on` passes to its command by `LOCKFAST_TOKEN` and `LOCKFAST_EPOCH`.
    pub fn from_env() -> Option<Self> {
        let number = |name| env::var(name).ok()?.parse().ok();
        Some(Self {
            epoch: number("LOCKFAST_EPOCH")?,
            number: number("LOCKFAST_TOKEN")?,
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of epoch {}", self.number, self.epoch)
    }
}

impl Fenced for Token {
    fn fencing_token(&self) -> Option<Token> {
        Some(*self)
    }
}

macro_rules! fenced {
    ($($guard:ident),*) => {$(
        impl<E: Engine> Fenced for $guard<E> {
            fn fencing_token(&self) -> Option<Token> {
                let number = self.token()?;
                Some(Token { epoch: self.epoch(), number })
            }
        }
    )*};
}

fenced!(
    LockGuard,
    RwLockReadGuard,
    RwLockUpgradableReadGuard,
    RwLockWriteGuard,
    SemaphorePermit,
    MemberGuard,
    ReentrantLockGuard
);
