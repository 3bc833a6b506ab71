//! The number of an advisory lock, made from the readable name.

use sha2::{Digest, Sha256};

/// The longest name, in bytes.
const LONGEST: usize = 1024;

/// The key of an advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(i64);

impl Key {
    /// Returns the first 64 bits of SHA-256 over the namespace, a zero byte and the name.
    ///
    /// Every version computes the same number, and so can SQL: see `docs/design/postgres.md`.
    pub(crate) fn of(namespace: &str, name: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(namespace);
        digest.update([0]);
        digest.update(name);
        let digest = digest.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(first))
    }

    /// Returns the number as SQL has it.
    pub(crate) fn number(self) -> i64 {
        self.0
    }

    /// Returns a further key of the same name: a semaphore has several.
    pub(crate) fn plus(self, index: u32) -> Self {
        Self(self.0.wrapping_add(i64::from(index)))
    }
}

/// Checks whether a lock can have this name; returns the reason if it can't.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name can't be empty");
    }
    if name.contains('\0') {
        return Err("a name can't have a NUL character");
    }
    if name.len() > LONGEST {
        return Err("a name can have at most 1024 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_in_every_version() {
        // select ('x' || left(encode(sha256('\x00'::bytea || 'nightly'::bytea), 'hex'), 16))::bit(64)::bigint
        assert_eq!(Key::of("", "nightly").number(), -1_864_142_320_913_996_910);
        assert_ne!(Key::of("a", "b"), Key::of("", "ab"));
        assert_ne!(Key::of("a", "b"), Key::of("ab", ""));
    }

    #[test]
    fn names_that_no_lock_can_have_are_refused() {
        for name in ["", "a\0b", &"x".repeat(1025)] {
            assert!(check_name(name).is_err());
        }
        for name in ["a", "jobs/nightly", "Ärger", &"x".repeat(1024)] {
            assert_eq!(check_name(name), Ok(()));
        }
    }
}
