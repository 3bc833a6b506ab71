//! COMPARE.md keeps its word: where a peer is better than lockfast, its cell is bold, and nowhere else.

const PAGE: &str = include_str!("../../COMPARE.md");

/// Columns that are no peer's.
const NO_PEERS: [&str; 7] = [
    "",
    "raw",
    "lockfast",
    "lockfast run",
    "with a deadline",
    "`lockfast`",
    "`lockfast.fasteners`",
];

/// Rows of figures of which more is better.
const MORE_IS_BETTER: [&str; 5] = [
    "least / most",
    "empty section",
    "hand-overs/s",
    "acquisitions/s",
    "of the acquisitions",
];

/// Rows that say how the figures were made, so that no value of them is better.
const CIRCUMSTANCES: [&str; 2] = ["how long the 2 ms were", "exit code"];

/// A table: the names of its columns, and its rows.
struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<&'static str>>,
}

fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    let mut lines = PAGE.lines().peekable();
    while let Some(line) = lines.next() {
        let is_header =
            line.starts_with('|') && lines.peek().is_some_and(|next| next.starts_with("|-"));
        if !is_header {
            continue;
        }
        lines.next();
        let mut rows = Vec::new();
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            rows.push(cells(row));
        }
        let columns = cells(line);
        tables.push(Table { columns, rows });
    }
    tables
}

fn cells(row: &'static str) -> Vec<&'static str> {
    let inside = row.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    let inside = inside.expect("a row of a table");
    inside.split('|').map(str::trim).collect()
}

/// The number at the beginning of a cell.
fn figure(cell: &str) -> Option<f64> {
    let text = cell.trim_matches('*').replace(',', "");
    let end = text.find(|char: char| !char.is_ascii_digit() && char != '.');
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// Better than another answer: yes, rather than no or only on request.
fn rank(cell: &str) -> u8 {
    let cell = cell.trim_matches('*');
    if cell.starts_with('–') || cell.starts_with("retries") {
        0
    } else if ["on request", " only"]
        .iter()
        .any(|part| cell.contains(part))
    {
        1
    } else {
        2
    }
}

fn is_better(row: &str, theirs: &str, ours: &str) -> bool {
    if CIRCUMSTANCES.iter().any(|name| row.contains(name)) {
        return false;
    }
    match (figure(theirs), figure(ours)) {
        (Some(theirs), Some(ours)) => {
            if MORE_IS_BETTER.iter().any(|name| row.contains(name)) {
                theirs > ours
            } else {
                theirs < ours
            }
        }
        _ => rank(theirs) > rank(ours),
    }
}

#[test]
fn a_cell_is_bold_where_a_peer_is_better() {
    let mut compared = 0;
    for Table { columns, rows } in tables() {
        let ours = columns.iter().position(|name| {
            ["lockfast", "`lockfast`", "lockfast run", "`lock_async`"].contains(name)
        });
        let Some(ours) = ours else { continue };
        for row in &rows {
            for (name, cell) in columns.iter().zip(row) {
                let is_peer = !NO_PEERS.contains(name) && columns[ours] != *name;
                if !is_peer || name.starts_with("hand-over") || name.starts_with("the raw call") {
                    continue;
                }
                let is_bold = cell.starts_with("**");
                let better = is_better(row[0], cell, row[ours]);
                assert_eq!(is_bold, better, "{name} in the row {row:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 250, "{compared}");
}
