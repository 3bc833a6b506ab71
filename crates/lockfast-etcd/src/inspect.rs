//! Lists of holders and waiters, and breaking a lock.

use std::collections::BTreeMap;

use lockfast::Result;
use lockfast::engine::{Mode, Operation};
use lockfast_lease::{Entry, Kind as Use};
use tokio::time::Instant;

use crate::client::Client;
use crate::core::Core;
use crate::failure::Failure;
use crate::keys::{Keys, Kind, Parsed, Range};
use crate::proto::KeyValue;
use crate::record::Record;
use crate::servers::Attempts;
use crate::stop::Stop;
use crate::txn;

impl Client {
    /// Lists the names that begin with that text and that have a holder or a waiter, in the order of the alphabet.
    ///
    /// # Errors
    ///
    /// If no server answers, or the user may not read the keys.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let blame = self.blame(Operation::Inspect)?;
        let core = self.core();
        let range = Range::of_names(&core.address.prefix, prefix);
        let entries = self
            .connection()
            .run(async move { list(&core, &range).await })?;
        entries.map_err(|failure| blame.failure(failure))
    }

    /// Takes the lock or the permits with that token from their holder, or the place from a waiter, and returns
    /// whether there was one. The holder is told at once, and may still be at work.
    ///
    /// # Errors
    ///
    /// If no server answers, or the user may not write the keys.
    pub fn break_token(&self, name: &str, token: u64) -> Result<bool> {
        let core = self.core();
        let blame = core.blame(name, Operation::Remove);
        self.connection().ensure_not_forked(&blame)?;
        let keys = Keys::of(&core.address.prefix, name)?;
        let work = async move { break_token(&core, &keys, token).await };
        let broken = self.connection().run(work)?;
        broken.map_err(|failure| blame.failure(failure))
    }
}

async fn list(core: &Core, range: &Range) -> std::result::Result<Vec<Entry>, Failure> {
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let read = vec![txn::oldest(range, 0)];
    let mut outcome = core.txn(txn::when(vec![], read, vec![]), &stop).await?;
    let mut names: BTreeMap<String, Vec<(Kind, KeyValue)>> = BTreeMap::new();
    for key in outcome.keys() {
        if let Some(parsed) = Parsed::of(&core.address.prefix, &key.key) {
            let keys = names.entry(parsed.name).or_default();
            keys.push((parsed.kind, key));
        }
    }
    let epoch = outcome.cluster;
    let entries = names.into_iter();
    Ok(entries
        .map(|(name, keys)| entry(name, &keys, epoch))
        .collect())
}

/// Tells the holders of a name from the waiters. The keys are in the order of arrival.
fn entry(name: String, keys: &[(Kind, KeyValue)], epoch: u64) -> Entry {
    let limits = keys.iter().map(|(_, key)| Record::read(key).limit);
    let limit = limits.max().unwrap_or_default();
    let is_lock = |kind| matches!(kind, Kind::Writer | Kind::Reader);
    let usage = if keys.iter().all(|(kind, _)| is_lock(*kind)) {
        Use::Lock
    } else {
        Use::Semaphore(limit)
    };
    let mut entry = Entry::new(name, usage);
    let mut is_written = false;
    for (index, (kind, key)) in keys.iter().enumerate() {
        let holds = match kind {
            Kind::Writer => index == 0,
            Kind::Reader => !is_written,
            Kind::Permits => true,
            Kind::Gate => false,
        };
        is_written |= *kind == Kind::Writer;
        let mut party = Record::read(key).party(key);
        party.epoch = epoch;
        party.mode = match kind {
            Kind::Writer => Some(Mode::Exclusive),
            Kind::Reader => Some(Mode::Read),
            Kind::Gate | Kind::Permits => None,
        };
        if holds {
            entry.holders.push(party);
        } else {
            party.place = u32::try_from(entry.waiters.len() + 1).unwrap_or(u32::MAX);
            entry.waiters.push(party);
        }
    }
    entry
}

pub(crate) async fn break_token(
    core: &Core,
    keys: &Keys,
    token: u64,
) -> std::result::Result<bool, Failure> {
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let read = vec![txn::oldest(&keys.all(), 0)];
    let mut outcome = core.txn(txn::when(vec![], read, vec![]), &stop).await?;
    let is_it = |key: &KeyValue| u64::try_from(key.create_revision) == Ok(token);
    let Some(key) = outcome.keys().into_iter().find(is_it) else {
        return Ok(false);
    };
    let request = txn::when(
        vec![txn::created(&key.key, key.create_revision)],
        vec![txn::delete(&key.key)],
        vec![],
    );
    let mut attempts = Attempts::default();
    let outcome = core.txn_counting(request, &stop, &mut attempts).await?;
    // The attempt before may have deleted it.
    Ok(outcome.succeeded || attempts.any_unknown)
}

#[cfg(test)]
mod tests {
    use lockfast_lease::Party;

    use super::*;

    fn entry_of(kinds: &[Kind]) -> Entry {
        let keys: Vec<_> = kinds
            .iter()
            .zip(1..)
            .map(|(kind, create_revision)| {
                let key = KeyValue {
                    create_revision,
                    value: br#"{"limit":3,"count":1}"#.to_vec(),
                    ..KeyValue::default()
                };
                (*kind, key)
            })
            .collect();
        entry("a".to_owned(), &keys, 9)
    }

    fn tokens(parties: &[Party]) -> Vec<u64> {
        parties.iter().map(|party| party.token).collect()
    }

    #[test]
    fn readers_before_the_first_writer_hold_together() {
        use Kind::{Gate, Permits, Reader, Writer};
        let cases: [(&[Kind], &[u64], &[u64]); 5] = [
            (&[Writer, Reader, Writer], &[1], &[2, 3]),
            (&[Reader, Reader, Writer, Reader], &[1, 2], &[3, 4]),
            (&[Reader], &[1], &[]),
            (&[Permits, Gate, Permits, Gate], &[1, 3], &[2, 4]),
            (&[Gate], &[], &[1]),
        ];
        for (kinds, holders, waiters) in cases {
            let entry = entry_of(kinds);
            assert_eq!(tokens(&entry.holders), holders, "{kinds:?}");
            assert_eq!(tokens(&entry.waiters), waiters, "{kinds:?}");
            let places: Vec<_> = entry.waiters.iter().map(|party| party.place).collect();
            let expected: Vec<_> = (1..).take(waiters.len()).collect();
            assert_eq!(places, expected);
            assert!(entry.holders.iter().all(|party| party.place == 0));
            assert!(entry.waiters.iter().all(|party| party.epoch == 9));
        }
        assert_eq!(entry_of(&[Gate]).kind, Use::Semaphore(3));
        assert_eq!(entry_of(&[Reader]).kind, Use::Lock);
    }
}
