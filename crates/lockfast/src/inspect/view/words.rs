//! The parts of a report as text.

use std::ffi::OsString;
use std::fmt;

use super::{Incomplete, Kind, LockMode, LockedFile, Process, Role, State};
use crate::types::text::{LONGEST_COMMAND, Shown, ShownLine};

impl Kind {
    /// Returns a short word for it: `ofd`, `classic`, `flock`, `lockfile`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ofd => "ofd",
            Self::Classic => "classic",
            Self::Flock => "flock",
            Self::LockFile => "lockfile",
        }
    }
}

impl LockMode {
    /// Returns a short word for it: `shared`, `exclusive`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}

impl Role {
    /// Returns a short word for it: `reader`, `upgradable`, `writer`, `permit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Upgradable => "upgradable",
            Self::Writer => "writer",
            Self::Permit => "permit",
        }
    }
}

impl State {
    /// Returns a short word for it: `holding`, `waiting`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::Waiting => "waiting",
        }
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

display_as_str!(Kind, LockMode, Role, State);

impl Process {
    /// Returns the command line in one line of at most 512 characters. Arguments are quoted where they need it,
    /// and nothing in it can move a terminal's cursor. Without a command line it is the short name in brackets.
    pub fn command_line(&self) -> String {
        if self.command.is_empty() {
            return format!("[{}]", Shown::word(&self.name));
        }
        let mut line = ShownLine::new(LONGEST_COMMAND);
        for (number, word) in self.command.iter().enumerate() {
            if number > 0 {
                line.push(' ');
            }
            add_quoted(word, &mut line);
            if line.is_cut() {
                break;
            }
        }
        line.end()
    }
}

/// Adds a word. It is quoted if it is empty or has characters with a meaning in a shell.
fn add_quoted(word: &OsString, line: &mut ShownLine) {
    let is_plain = |c: char| "_-./,:=@%+~[]{}#!^*?".contains(c) || std::path::is_separator(c);
    let plain = |c: char| c.is_alphanumeric() || is_plain(c);
    // The rest of a word that is too long is not shown.
    let starts_plain = |text: &str| text.chars().take(LONGEST_COMMAND).all(plain);
    match word.to_str() {
        Some(text) if !text.is_empty() && starts_plain(text) => {
            text.chars()
                .take(LONGEST_COMMAND + 1)
                .for_each(|c| line.push(c));
        }
        _ => {
            line.push('"');
            for chunk in word.as_encoded_bytes().utf8_chunks() {
                for c in chunk.valid().chars().take(LONGEST_COMMAND + 1) {
                    match c {
                        '"' => line.push_all("\\\""),
                        '\\' => line.push_all("\\\\"),
                        c => line.push(c),
                    }
                }
                for byte in chunk.invalid() {
                    line.push_all(&format!("\\x{byte:02X}"));
                }
                if line.is_cut() {
                    return;
                }
            }
            line.push('"');
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.command_line())?;
        if self.is_stopped {
            f.write_str(", stopped")?;
        }
        Ok(())
    }
}

impl fmt::Display for LockedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}", Shown::path(path))?;
        } else {
            let (major, minor) = self.device;
            write!(f, "inode {} of device {major}:{minor}", self.inode)?;
        }
        if self.is_deleted {
            f.write_str(" (deleted)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not everything could be seen: ")?;
        let mut reasons = Vec::new();
        match self.unnamed {
            0 => {}
            1 => reasons.push("the process of 1 lock was not found".to_owned()),
            n => reasons.push(format!("the processes of {n} locks were not found")),
        }
        match self.unreadable_processes {
            0 => {}
            1 => reasons.push("1 process of another user may not be looked into".to_owned()),
            n => reasons.push(format!(
                "{n} processes of other users may not be looked into"
            )),
        }
        if self.hidden_processes {
            reasons.push("/proc hides the processes of other users (hidepid)".to_owned());
        }
        if self.other_pid_namespaces {
            reasons.push("processes outside of this container are hidden".to_owned());
        }
        if self.other_machines {
            reasons.push("the locks of other machines are known to the server only".to_owned());
        }
        if self.shared_unseen {
            let why = "who has a shared lock, and who waits, is not known on this system";
            reasons.push(why.to_owned());
        }
        match self.unread_records {
            0 => {}
            1 => reasons.push("the owner record of 1 lock was not read".to_owned()),
            n => reasons.push(format!("the owner records of {n} locks were not read")),
        }
        f.write_str(&reasons.join("; "))
    }
}
