//! The JSON of names in a space; docs/json.md describes it.

use lockfast::engine::Mode;
use lockfast_space::{Entry, Kind, Party};
use serde::Serialize;

use super::show::is_free;
use crate::exit::put;
use crate::inspect::time;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    space: &'a str,
    names: Vec<Listed<'a>>,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    free: bool,
    permits: Option<u32>,
    holders: Vec<Side<'a>>,
    waiters: Vec<Side<'a>>,
}

#[derive(Debug, Serialize)]
struct Side<'a> {
    mode: Option<&'static str>,
    permits: Option<u32>,
    place: Option<u32>,
    token: Option<u64>,
    epoch: Option<u64>,
    since: Option<String>,
    host: Option<&'a str>,
    pid: Option<u32>,
    user: Option<&'a str>,
    command: Option<&'a str>,
    label: Option<&'a str>,
}

pub(super) fn print(space: &str, entries: &[Entry]) {
    let names = entries.iter().map(Listed::from).collect();
    let document = Document {
        schema: 1,
        space,
        names,
    };
    put(serde_json::to_string(&document).expect("all of it can be written"));
}

impl<'a> From<&'a Entry> for Listed<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            name: &entry.name,
            free: is_free(entry),
            permits: match entry.kind {
                Kind::Semaphore(permits) => Some(permits),
                _ => None,
            },
            holders: entry.holders.iter().map(Side::from).collect(),
            waiters: entry.waiters.iter().map(Side::from).collect(),
        }
    }
}

impl<'a> From<&'a Party> for Side<'a> {
    fn from(party: &'a Party) -> Self {
        Self {
            mode: party.mode.map(|mode| match mode {
                Mode::Read => "shared",
                Mode::Upgradable => "upgradable",
                _ => "exclusive",
            }),
            permits: (party.permits > 0).then_some(party.permits),
            place: (party.place > 0).then_some(party.place),
            token: (party.token > 0).then_some(party.token),
            epoch: (party.token > 0).then_some(party.epoch),
            since: time(party.since),
            host: party.host.as_deref(),
            pid: party.pid,
            user: party.user.as_deref(),
            command: party.command.as_deref(),
            label: party.label.as_deref(),
        }
    }
}
