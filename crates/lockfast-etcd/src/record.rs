//! The process record in a ticket: information for people, which no lock relies on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockfast::Holder;
use lockfast_lease::{Party, Process};
use serde::{Deserialize, Serialize};

use crate::proto::KeyValue;

/// The version of the format.
const VERSION: u32 = 1;
/// A text longer than that is cut, so that a value stays below 1 KiB.
const LONGEST_TEXT: usize = 128;

/// The value of a key, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    v: u32,
    /// The number of permits of the semaphore; 0 for a lock.
    pub(crate) limit: u32,
    /// The number of permits that are held or wanted.
    pub(crate) count: u32,
    host: String,
    boot: String,
    pid: u32,
    user: String,
    command: String,
    label: Option<String>,
    /// The version of this library.
    lib: String,
    /// Milliseconds since 1970 by the wall clock of that machine.
    since: u64,
}

impl Record {
    /// Returns the record of this process.
    pub(crate) fn of(process: &Process) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
        Self {
            v: VERSION,
            limit: 0,
            count: 0,
            host: cut(&process.host),
            boot: cut(&process.boot),
            pid: process.pid,
            user: cut(&process.user),
            command: cut(&process.command),
            label: process.label.as_deref().map(cut),
            lib: env!("CARGO_PKG_VERSION").to_owned(),
            since: 0,
        }
    }

    /// The value of a key that is written now.
    pub(crate) fn now(&self, limit: u32, count: u32) -> Vec<u8> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_millis());
        let record = Self {
            limit,
            count,
            since: u64::try_from(since).unwrap_or(u64::MAX),
            ..self.clone()
        };
        record.to_json()
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and numbers are JSON")
    }

    /// Reads the value of a key; what is not understood is left out.
    pub(crate) fn read(key: &KeyValue) -> Self {
        serde_json::from_slice(&key.value).unwrap_or_default()
    }

    pub(crate) fn party(&self, key: &KeyValue) -> Party {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let mut party = Party::default();
        party.permits = self.count;
        party.token = u64::try_from(key.create_revision).unwrap_or_default();
        party.since = UNIX_EPOCH.checked_add(Duration::from_millis(self.since));
        party.host = text(&self.host);
        party.pid = (self.pid != 0).then_some(self.pid);
        party.user = text(&self.user);
        party.command = text(&self.command);
        party.label.clone_from(&self.label);
        party
    }

    /// The holder of a key, as errors name it.
    pub(crate) fn holder(key: &KeyValue) -> Option<Holder> {
        Self::read(key).party(key).holder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_names_the_process() {
        let mut process = Process::current();
        process.label = Some("nightly \"backup\"".to_owned());
        process.command = "x".repeat(5000);
        let value = Record::of(&process).now(3, 2);
        assert!(value.len() < 1024);
        let key = KeyValue {
            value,
            create_revision: 7,
            ..KeyValue::default()
        };
        let party = Record::read(&key).party(&key);
        assert_eq!((party.token, party.permits), (7, 2));
        assert_eq!(party.pid, Some(std::process::id()));
        let holder = Record::holder(&key).expect("named");
        assert_eq!(holder.label(), process.label.as_deref());
        assert_eq!(Record::read(&key).limit, 3);
    }

    #[test]
    fn other_values_say_nothing() {
        for value in ["", "null", "[1]", "{\"v\":2,\"new\":{}}"] {
            let key = KeyValue {
                value: value.as_bytes().to_vec(),
                ..KeyValue::default()
            };
            assert_eq!(Record::holder(&key), None, "{value}");
        }
    }
}
