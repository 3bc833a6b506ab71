//! All options for all primitives, for interfaces whose users choose at run time.

use std::time::Duration;

use super::Options;
use crate::protocol::Protocol;

/// The options that a semaphore does not have, for any primitive; `open` refuses them.
pub trait AnyOptions: Sized {
    /// See [`Options::protocol`].
    #[must_use]
    fn set_protocol(self, protocol: Protocol) -> Self;
    /// See [`Options::remove_on_release`].
    #[must_use]
    fn set_remove_on_release(self, remove_on_release: bool) -> Self;
    /// See [`Options::owner_record`].
    #[must_use]
    fn set_owner_record(self, owner_record: bool) -> Self;
    /// See [`Options::label`].
    #[must_use]
    fn set_label(self, label: impl Into<String>) -> Self;
    /// See [`Options::linger`].
    #[must_use]
    fn set_linger(self, time: Duration) -> Self;
}

impl<L> AnyOptions for Options<L> {
    fn set_protocol(mut self, protocol: Protocol) -> Self {
        self.settings.protocol = protocol;
        self
    }

    fn set_remove_on_release(mut self, remove_on_release: bool) -> Self {
        self.settings.remove_on_release = remove_on_release;
        self
    }

    fn set_owner_record(mut self, owner_record: bool) -> Self {
        self.settings.owner_record = owner_record;
        self
    }

    fn set_label(mut self, label: impl Into<String>) -> Self {
        self.settings.label = label.into();
        self
    }

    fn set_linger(mut self, time: Duration) -> Self {
        self.settings.linger = Some(time);
        self
    }
}
