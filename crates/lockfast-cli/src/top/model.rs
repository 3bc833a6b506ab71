//! The state on display, and the effects of keys.

use std::time::{Duration, SystemTime};

use lockfast::inspect::{Deadlock, Incomplete, Report};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::column::Column;
use super::locks::{self, Lock, LockId};
use super::memory::Memory;

/// Everything that the screen shows.
#[derive(Debug, Default)]
pub(super) struct Model {
    memory: Memory,
    /// All locks, in display order.
    locks: Vec<Lock>,
    selected: Option<LockId>,
    sorting: Column,
    is_reversed: bool,
    filter: String,
    mode: Mode,
    is_paused: bool,
    hides_detail: bool,
    looked: Option<Looked>,
    /// Pids of the deadlocks in the last update.
    circles: Vec<Vec<u32>>,
}

/// The last update.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) interval: Duration,
    pub(super) deadlocks: usize,
    pub(super) incomplete: Option<Incomplete>,
}

/// The meaning of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Table,
    /// Keys edit the filter.
    Filter,
    Help,
}

/// A task for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    GoOn,
    /// Redraw the whole screen.
    Redraw,
    Suspend,
    Quit,
}

impl Model {
    /// Takes in the result of an update.
    pub(super) fn update(&mut self, report: &Report, interval: Duration, now: SystemTime) {
        let locks = locks::of(report, &mut self.memory, now);
        let certain = report.deadlocks.iter().filter(|found| found.is_certain);
        let circles: Vec<Vec<u32>> = certain.map(circle).collect();
        // A circle in only one update may be an artefact of reading at several moments.
        let lasting = |found: &&Vec<u32>| self.circles.contains(found);
        let looked = Looked {
            interval,
            deadlocks: circles.iter().filter(lasting).count(),
            incomplete: report.incomplete.clone(),
        };
        self.circles = circles;
        self.show(locks, looked);
    }

    pub(super) fn show(&mut self, locks: Vec<Lock>, looked: Looked) {
        self.locks = locks;
        self.looked = Some(looked);
        self.sort();
    }

    /// Returns the last update; `None` before the first.
    pub(super) fn looked(&self) -> Option<&Looked> {
        self.looked.as_ref()
    }

    /// Returns the locks that match the filter, in order.
    pub(super) fn locks(&self) -> Vec<&Lock> {
        let matching = |lock: &&Lock| self.filter.is_empty() || lock.matches(&self.filter);
        self.locks.iter().filter(matching).collect()
    }

    /// Returns the position of the selected lock among these; the first if it is gone.
    pub(super) fn selection(&self, locks: &[&Lock]) -> Option<usize> {
        if locks.is_empty() {
            return None;
        }
        let is_selected = |lock: &&Lock| Some(lock.id) == self.selected;
        Some(locks.iter().position(is_selected).unwrap_or(0))
    }

    pub(super) fn sorting(&self) -> (Column, bool) {
        (self.sorting, self.is_reversed)
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn shows_detail(&self) -> bool {
        !self.hides_detail
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Action::Quit,
                KeyCode::Char('l') => Action::Redraw,
                KeyCode::Char('z') => Action::Suspend,
                _ => Action::GoOn,
            };
        }
        match self.mode {
            Mode::Table => return self.press_in_table(key.code),
            Mode::Filter => self.press_in_filter(key.code),
            Mode::Help => match key.code {
                KeyCode::Char('q') => return Action::Quit,
                _ => self.mode = Mode::Table,
            },
        }
        Action::GoOn
    }

    fn press_in_table(&mut self, key: KeyCode) -> Action {
        const PAGE: usize = 10;
        match key {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.select(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(|at, _| at + 1),
            KeyCode::PageUp => self.select(|at, _| at.saturating_sub(PAGE)),
            KeyCode::PageDown => self.select(|at, _| at + PAGE),
            KeyCode::Home => self.select(|_, _| 0),
            KeyCode::End => self.select(|_, last| last),
            KeyCode::Char('>') | KeyCode::Right => self.sort_by(self.sorting.shifted(1)),
            KeyCode::Char('<') | KeyCode::Left => {
                self.sort_by(self.sorting.shifted(Column::ALL.len() - 1));
            }
            KeyCode::Char('r') => {
                self.is_reversed = !self.is_reversed;
                self.sort();
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char(' ' | 'p') => self.is_paused = !self.is_paused,
            KeyCode::Char('d') | KeyCode::Enter => self.hides_detail = !self.hides_detail,
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
        Action::GoOn
    }

    fn press_in_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.mode = Mode::Table,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Table;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
    }

    fn select(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let locks = self.locks();
        let Some(at) = self.selection(&locks) else {
            return;
        };
        let last = locks.len() - 1;
        self.selected = Some(locks[to(at, last).min(last)].id);
    }

    fn sort_by(&mut self, column: Column) {
        self.sorting = column;
        self.is_reversed = false;
        self.sort();
    }

    fn sort(&mut self) {
        let column = self.sorting;
        self.locks.sort_by(|one, other| column.compare(one, other));
        if self.is_reversed {
            self.locks.reverse();
        }
    }
}

fn circle(deadlock: &Deadlock) -> Vec<u32> {
    let steps = deadlock.steps.iter();
    steps.map(|step| step.process.pid).collect()
}

#[cfg(test)]
mod tests;
