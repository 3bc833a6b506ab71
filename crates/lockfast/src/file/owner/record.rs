//! A record as a line.

use std::time::SystemTime;

use super::author::Author;
use super::time;
use crate::sys::hash::fnv1a;

/// The record of one hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) token: u64,
    pub(super) is_held: bool,
    pub(super) since: SystemTime,
    pub(super) author: Author,
}

/// The line above both records.
pub(super) const HEADER: &str =
    "# lockfast owner record 1: of the two lines below, the one with the higher token is true\n";

/// The length of a line with its end: room for the longest names.
pub(super) const LENGTH: usize = 384;

/// The longest label, in bytes.
pub(crate) const MAX_LABEL: usize = 100;

impl Record {
    pub(super) fn to_line(&self) -> Vec<u8> {
        let Author {
            pid,
            started,
            boot,
            host,
            label,
        } = &self.author;
        let state = if self.is_held { "held" } else { "released" };
        let since = time::write(self.since);
        let text = format!(
            "token={} state={state} since={since} pid={pid} started={started} boot={boot} \
             host={host} label={}",
            self.token, label
        );
        // A write may be torn anywhere, so the sum covers all that is read.
        let check = fnv1a(text.as_bytes().iter());
        let mut line = format!("check={check:016x} {text}").into_bytes();
        line.resize(LENGTH - 1, b' ');
        line.push(b'\n');
        line
    }

    /// Reads a line; `None` if it is torn.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        // This cuts the padding alone, as no label ends with a space (`is_label`).
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let (check, text) = line.strip_prefix("check=")?.split_once(' ')?;
        if u64::from_str_radix(check, 16).ok()? != fnv1a(text.as_bytes().iter()) {
            return None;
        }
        let (fields, label) = text.split_once(" label=")?;
        let mut fields = fields.split(' ').map(|field| field.split_once('='));
        let mut next = |name: &str| match fields.next()?? {
            (found, value) if found == name => Some(value),
            _ => None,
        };
        Some(Self {
            token: next("token")?.parse().ok()?,
            is_held: next("state")? == "held",
            since: time::read(next("since")?)?,
            author: Author {
                pid: next("pid")?.parse().ok()?,
                started: next("started")?.parse().ok()?,
                boot: next("boot")?.to_owned(),
                host: next("host")?.to_owned(),
                label: label.to_owned(),
            },
        })
    }
}
