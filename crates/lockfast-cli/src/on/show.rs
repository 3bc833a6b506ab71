//! `lockfast status --on` and `lockfast ls --on`: holders and waiters of names.

use lockfast::command_support::Shown;
use lockfast::engine::Mode;
use lockfast_space::{Entry, Kind, Party};

use super::{failed, json, open};
use crate::args;
use crate::exit::{Exit, put, say};
use crate::inspect::ago;

pub(crate) fn status(arguments: &args::Status, url: &str) -> Exit {
    let space = match open(url) {
        Ok(space) => space,
        Err(exit) => return exit,
    };
    let mut found = Vec::new();
    let mut end = None;
    for name in &arguments.locks {
        let Some(name) = name.to_str() else {
            say("the name of a lock must be UTF-8");
            return Exit::USAGE;
        };
        match space.holders(name) {
            Ok(entry) => found.push(entry.unwrap_or_else(|| Entry::new(name, Kind::Lock))),
            Err(error) => end = Some(failed(error)),
        }
    }
    if arguments.json {
        json::print(space.url(), &found);
    } else {
        found.iter().for_each(print);
    }
    end.unwrap_or(if found.iter().all(is_free) {
        Exit::SUCCESS
    } else {
        Exit::HELD
    })
}

pub(crate) fn list(arguments: &args::Ls, url: &str) -> Exit {
    if arguments.all || arguments.deadlocks {
        say(
            "--all and --deadlocks are for lock files, and not for a space of names (--on, LOCKFAST_SPACE)",
        );
        return Exit::USAGE;
    }
    let prefixes: Option<Vec<_>> = arguments.paths.iter().map(|path| path.to_str()).collect();
    let Some(mut prefixes) = prefixes else {
        say("the name of a lock must be UTF-8");
        return Exit::USAGE;
    };
    if prefixes.is_empty() {
        prefixes.push("");
    }
    let found = open(url).and_then(|space| {
        let mut found = Vec::new();
        for prefix in prefixes {
            found.extend(space.list(prefix).map_err(failed)?);
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found.dedup_by(|one, other| one.name == other.name);
        Ok((space, found))
    });
    match found {
        Ok((space, found)) if arguments.json => json::print(space.url(), &found),
        Ok((_, found)) => found.iter().for_each(print_rows),
        Err(exit) => return exit,
    }
    Exit::SUCCESS
}

pub(super) fn is_free(entry: &Entry) -> bool {
    entry.holders.is_empty()
}

fn print(entry: &Entry) {
    let state = if is_free(entry) { "free" } else { "held" };
    put(format_args!("{}: {state}", Shown::word(&entry.name)));
    for party in &entry.holders {
        put(format_args!("  holding {}", sentence(party, entry)));
    }
    for party in &entry.waiters {
        put(format_args!("  waiting {}", sentence(party, entry)));
    }
}

/// Formats a party: `exclusive: pid 4711 on web-1 (./backup.sh) of root, token 12, for 12s`.
fn sentence(party: &Party, entry: &Entry) -> String {
    let what = party.label.as_ref().or(party.command.as_ref());
    let user = party.user.as_ref();
    let details = [
        what.map(|what| format!(" ({})", Shown::word(what))),
        user.map(|user| format!(" of {}", Shown::word(user))),
        (party.place > 0).then(|| format!(", place {}", party.place)),
        (party.token > 0).then(|| format!(", token {}", party.token)),
        ago(party.since).map(|time| format!(", for {time}")),
    ];
    let text = format!("{}: {}", manner(party, entry), process(party));
    let details = details.into_iter().flatten();
    details.fold(text, |text, detail| text + &detail)
}

/// Prints a row for each party: name, state, manner, token, machine, pid, user, since, command.
fn print_rows(entry: &Entry) {
    let holders = entry.holders.iter().map(|party| ("holding", party));
    let waiters = entry.waiters.iter().map(|party| ("waiting", party));
    for (state, party) in holders.chain(waiters) {
        let text =
            |text: Option<&String>| text.map_or("?".into(), |text| Shown::word(text).to_string());
        let row = [
            Shown::word(&entry.name).to_string(),
            state.to_owned(),
            manner(party, entry),
            (party.token > 0)
                .then_some(party.token)
                .map_or("-".to_owned(), |it| it.to_string()),
            text(party.host.as_ref()),
            party.pid.map_or("?".to_owned(), |pid| pid.to_string()),
            text(party.user.as_ref()),
            ago(party.since).unwrap_or_else(|| "-".to_owned()),
            text(party.label.as_ref().or(party.command.as_ref())),
        ];
        put(row.join("\t"));
    }
}

/// Formats the way in which it holds or waits: `exclusive`, `shared`, `2 of 4 permits`.
fn manner(party: &Party, entry: &Entry) -> String {
    match (entry.kind, party.mode) {
        (Kind::Semaphore(of), _) => format!("{} of {of} permits", party.permits),
        (_, Some(Mode::Read)) => "shared".to_owned(),
        (_, Some(Mode::Upgradable)) => "upgradable".to_owned(),
        _ => "exclusive".to_owned(),
    }
}

fn process(party: &Party) -> String {
    match (party.pid, &party.host) {
        (Some(pid), Some(host)) => format!("pid {pid} on {}", Shown::word(host)),
        (Some(pid), None) => format!("pid {pid}"),
        (None, Some(host)) => format!("a process on {}", Shown::word(host)),
        (None, None) => "an unknown process".to_owned(),
    }
}
