//! Findings about a server, for `lockfast doctor`.

/// A finding about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The thing that was tried, in a word or two.
    pub name: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// The finding, and what to do about it.
    pub text: String,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Locks work, and something could be better.
    Warn,
    /// Locks do not work, or not safely.
    Fail,
}

impl Check {
    /// Returns a finding that all is well.
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, text)
    }

    /// Returns a finding that something could be better.
    pub fn warn(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warn, text)
    }

    /// Returns a finding that locks do not work.
    pub fn fail(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Verdict::Fail, text)
    }

    fn new(name: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name,
            verdict,
            text,
        }
    }
}
