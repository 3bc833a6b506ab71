//! The table of locks.

use ratatui::layout::Constraint;
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row, Table};

use super::text;
use crate::top::column::Column;
use crate::top::locks::{Lock, Party};

/// Returns the columns that fit, by importance.
fn columns(width: u16) -> &'static [Column] {
    match width {
        70.. => &Column::ALL,
        50.. => &[
            Column::Waiters,
            Column::Wait,
            Column::Held,
            Column::Pid,
            Column::Lock,
            Column::Command,
        ],
        30.. => &[Column::Waiters, Column::Wait, Column::Held, Column::Lock],
        _ => &[Column::Waiters, Column::Lock],
    }
}

fn width(column: Column, all: u16) -> u16 {
    const GAP: u16 = 1;
    let fixed = |column| match column {
        Column::Waiters | Column::Pid => 8,
        Column::Wait | Column::Held => 7,
        Column::Mode => 10,
        Column::Lock | Column::Command => 0,
    };
    match column {
        Column::Lock | Column::Command => {
            let columns = columns(all);
            let taken: u16 = columns.iter().map(|&column| fixed(column) + GAP).sum();
            let left = all.saturating_sub(taken);
            if columns.contains(&Column::Command) {
                left / 2
            } else {
                left
            }
        }
        column => fixed(column),
    }
}

pub(super) fn table(
    locks: &[&Lock],
    (sorting, is_reversed): (Column, bool),
    all: u16,
    waiting: Style,
) -> Table<'static> {
    let columns = columns(all);
    let titles = columns.iter().map(|&column| {
        let mark = match (column == sorting, is_reversed) {
            (false, _) => "",
            (true, false) => "▼",
            (true, true) => "▲",
        };
        format!("{}{mark}", column.title())
    });
    let rows = locks.iter().map(|lock| {
        let cells = columns.iter().map(|&column| cell(lock, column, all));
        let style = if lock.waiters.is_empty() {
            Style::new()
        } else {
            waiting
        };
        Row::new(cells).style(style)
    });
    let widths = columns
        .iter()
        .map(|&column| Constraint::Length(width(column, all)));
    Table::new(rows, widths)
        .header(Row::new(titles).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

fn cell(lock: &Lock, column: Column, all: u16) -> Cell<'static> {
    let width = usize::from(width(column, all));
    let holder = lock.holder();
    let spanned = |span: Option<_>| span.map_or_else(|| "-".to_owned(), text::span);
    let text = match column {
        Column::Waiters => lock.waiters.len().to_string(),
        Column::Wait => spanned(lock.longest_wait()),
        Column::Held => spanned(lock.longest_hold()),
        Column::Mode => holder.map_or_else(|| "-".to_owned(), |party| party.role.clone()),
        Column::Pid => pids(lock),
        Column::Lock => text::tail(&lock.place, width),
        Column::Command => holder.map_or("-", Party::command).to_owned(),
    };
    Cell::new(Text::from(text))
}

/// Formats the pid of a holder, and the number of other holders.
fn pids(lock: &Lock) -> String {
    let Some(holder) = lock.holder() else {
        return "-".to_owned();
    };
    let first = holder.processes.first();
    let first = first.map_or_else(|| "?".to_owned(), |process| process.pid.to_string());
    match lock.holders.len() {
        ..=1 => first,
        count => format!("{first}+{}", count - 1),
    }
}
