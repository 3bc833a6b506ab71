//! Holders and waiters of the selected lock.

use super::text;
use crate::inspect::user_name;
use crate::top::locks::{Lock, Party};

/// A line of the detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DetailLine {
    Title(String),
    Holds(String),
    Waits(String),
    More(String),
}

/// Returns at most `height` lines, with the longest waits first.
pub(super) fn lines(lock: &Lock, height: u16) -> Vec<DetailLine> {
    let mut waiters: Vec<&Party> = lock.waiters.iter().collect();
    waiters.sort_by_key(|party| std::cmp::Reverse(party.span));
    let holds = |party| DetailLine::Holds(line("holding", party));
    let waits = |party| DetailLine::Waits(line("waiting", party));
    let all = lock.holders.len() + waiters.len();
    let parties = lock.holders.iter().map(holds);
    let parties = parties.chain(waiters.into_iter().map(waits));
    let room = usize::from(height).saturating_sub(1);
    let mut lines = vec![DetailLine::Title(lock.place.clone())];
    if all <= room {
        lines.extend(parties);
    } else {
        let shown = room.saturating_sub(1);
        lines.extend(parties.take(shown));
        lines.push(DetailLine::More(format!("and {} more", all - shown)));
    }
    lines
}

/// Formats a line: `holding exclusive writer (ofd) for ≥12s: pid 4711 of root: ./backup.sh`.
fn line(state: &str, party: &Party) -> String {
    let who: Vec<String> = party
        .processes
        .iter()
        .map(|process| {
            let user = user_name(process.user);
            format!("pid {} of {user}: {}", process.pid, process.command)
        })
        .collect();
    let who = if who.is_empty() {
        "an unknown process".to_owned()
    } else {
        who.join("; ")
    };
    let Party { manner, kind, .. } = party;
    let span = text::span(party.span);
    format!("{state} {manner} ({kind}) for {span}: {who}")
}
