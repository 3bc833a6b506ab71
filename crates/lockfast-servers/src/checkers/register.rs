//! A register behind a fence: it refuses the writes of holders that are not the latest.

/// A register that accepts a write if its token is not less than all tokens before.
#[derive(Clone, Debug, Default)]
pub struct Register {
    greatest: u64,
    history: Vec<Write>,
}

/// A write that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The token of the writer.
    pub token: u64,
    /// Whether the register took it.
    pub is_accepted: bool,
}

impl Register {
    /// Writes with this token; `false` if a later holder has written.
    pub fn write(&mut self, token: u64) -> bool {
        let is_accepted = token >= self.greatest;
        if is_accepted {
            self.greatest = token;
        }
        self.history.push(Write { token, is_accepted });
        is_accepted
    }

    /// All writes, in the order in which they arrived.
    pub fn history(&self) -> &[Write] {
        &self.history
    }
}

/// Checks the writes in the order in which they arrived.
///
/// # Errors
///
/// Names the write that should have been refused, or accepted.
pub fn check(history: &[Write]) -> Result<(), String> {
    let mut greatest = 0;
    for (number, write) in history.iter().enumerate() {
        if write.is_accepted != (write.token >= greatest) {
            return Err(format!("write {number}, after token {greatest}: {write:?}"));
        }
        greatest = greatest.max(write.token);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_writer_is_refused() {
        let mut register = Register::default();
        let accepted = [3, 3, 7, 3, 7].map(|token| register.write(token));
        assert_eq!(accepted, [true, true, true, false, true]);
        assert_eq!(check(register.history()), Ok(()));
    }

    #[test]
    fn a_register_without_a_fence_is_found() {
        let open = [3, 7, 3].map(|token| Write {
            token,
            is_accepted: true,
        });
        assert!(check(&open).is_err());
        let closed = [Write {
            token: 3,
            is_accepted: false,
        }];
        assert!(check(&closed).is_err());
    }
}
