//! Columns of the table, and their sort orders.

use std::cmp::Ordering;

use super::locks::Lock;

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    #[default]
    Waiters,
    Wait,
    Held,
    Mode,
    Pid,
    Lock,
    Command,
}

impl Column {
    pub(super) const ALL: [Self; 7] = [
        Self::Waiters,
        Self::Wait,
        Self::Held,
        Self::Mode,
        Self::Pid,
        Self::Lock,
        Self::Command,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Waiters => "WAITERS",
            Self::Wait => "WAIT",
            Self::Held => "HELD",
            Self::Mode => "MODE",
            Self::Pid => "PID",
            Self::Lock => "LOCK",
            Self::Command => "COMMAND",
        }
    }

    /// Returns the column that many places to the right, cyclically.
    pub(super) fn shifted(self, columns: usize) -> Self {
        let at = Self::ALL.iter().position(|&column| column == self);
        let at = at.expect("it is one of them") + columns;
        Self::ALL[at % Self::ALL.len()]
    }

    /// Compares two locks. The most important comes first: most waiters, longest wait, then names
    /// in alphabetical order.
    pub(super) fn compare(self, one: &Lock, other: &Lock) -> Ordering {
        fn role(lock: &Lock) -> Option<&str> {
            Some(&lock.holder()?.role)
        }
        fn command(lock: &Lock) -> Option<&str> {
            Some(lock.holder()?.command())
        }
        let pid = |lock: &Lock| Some(lock.holder()?.processes.first()?.pid);
        let chosen = match self {
            Self::Waiters => other.waiters.len().cmp(&one.waiters.len()),
            Self::Wait => other.longest_wait().cmp(&one.longest_wait()),
            Self::Held => other.longest_hold().cmp(&one.longest_hold()),
            Self::Mode => role(one).cmp(&role(other)),
            Self::Pid => pid(one).cmp(&pid(other)),
            Self::Lock => one.place.cmp(&other.place),
            Self::Command => command(one).cmp(&command(other)),
        };
        chosen
            .then_with(|| other.waiters.len().cmp(&one.waiters.len()))
            .then_with(|| other.longest_wait().cmp(&one.longest_wait()))
            .then_with(|| one.place.cmp(&other.place))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::top::locks::samples::lock;

    #[test]
    fn each_column_decides_before_the_names_do() {
        let one = lock(1, "/srv/a.lock", 7, &[]);
        let mut other = lock(2, "/srv/b.lock", 3, &[5]);
        other.holders[0].role = "reader".to_owned();
        other.holders[0].span.length += Duration::from_secs(1);
        for column in Column::ALL {
            let names = column == Column::Lock;
            let expected = if names {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            assert_eq!(column.compare(&one, &other), expected, "{column:?}");
        }
        other.waiters.clear();
        for column in [Column::Held, Column::Mode, Column::Pid, Column::Command] {
            assert_eq!(
                column.compare(&one, &other),
                Ordering::Greater,
                "{column:?}"
            );
        }
    }
}
