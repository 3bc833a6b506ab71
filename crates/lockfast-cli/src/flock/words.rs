//! Options and operands in the syntax of `getopt_long`.
//!
//! clap is not compatible: it rejects abbreviations that `getopt_long` accepts, reads `-E-1`
//! differently and has other error messages. Scripts depend on all of these.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::options::{Definition, Key, OPTIONS};

/// The rest of the command line.
#[derive(Debug)]
pub(super) struct Words {
    rest: std::vec::IntoIter<OsString>,
    /// The rest of a word of short options.
    bundle: Vec<u8>,
}

/// An invalid option. Its message is that of the C library.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    UnknownShort(u8),
    /// `-?`, which `getopt_long` does not tell apart from an unknown option.
    Question,
    UnknownLong(OsString),
    Ambiguous(OsString, Vec<&'static str>),
    ShortNeedsValue(u8),
    LongNeedsValue(&'static str),
    TakesNoValue(&'static str),
}

impl Words {
    pub(super) fn new(words: Vec<OsString>) -> Self {
        Self {
            rest: words.into_iter(),
            bundle: Vec::new(),
        }
    }

    /// Returns the next option, with its value if it has one; `None` before the first operand.
    pub(super) fn option(&mut self) -> Result<Option<(Key, OsString)>, Wrong> {
        if !self.bundle.is_empty() {
            return self.short().map(Some);
        }
        let Some(word) = self.rest.as_slice().first() else {
            return Ok(None);
        };
        match word.as_bytes() {
            b"--" => {
                self.rest.next();
                Ok(None)
            }
            [b'-', b'-', text @ ..] => {
                let text = OsStr::from_bytes(text).to_owned();
                self.rest.next();
                self.long(&text).map(Some)
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                self.bundle = letters.to_vec();
                self.rest.next();
                self.short().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns the words after the options.
    pub(super) fn operands(self) -> Vec<OsString> {
        self.rest.collect()
    }

    fn short(&mut self) -> Result<(Key, OsString), Wrong> {
        let letter = self.bundle.remove(0);
        let has_letter = |option: &&Definition| option.short.bytes().any(|known| known == letter);
        let Some(found) = OPTIONS.iter().find(has_letter) else {
            return Err(match letter {
                b'?' => Wrong::Question,
                letter => Wrong::UnknownShort(letter),
            });
        };
        if found.value.is_none() {
            return Ok((found.key, OsString::new()));
        }
        let value = match std::mem::take(&mut self.bundle) {
            empty if empty.is_empty() => self.rest.next(),
            rest => Some(OsString::from_vec(rest)),
        };
        Ok((found.key, value.ok_or(Wrong::ShortNeedsValue(letter))?))
    }

    fn long(&mut self, text: &OsStr) -> Result<(Key, OsString), Wrong> {
        let bytes = text.as_bytes();
        let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
            Some(equals) => (&bytes[..equals], Some(&bytes[equals + 1..])),
            None => (bytes, None),
        };
        let (long, option) = find(name, text)?;
        let value = match (option.value.is_some(), value) {
            (false, Some(_)) => return Err(Wrong::TakesNoValue(long)),
            (false, None) => OsString::new(),
            (true, Some(value)) => OsStr::from_bytes(value).to_owned(),
            (true, None) => self.rest.next().ok_or(Wrong::LongNeedsValue(long))?,
        };
        Ok((option.key, value))
    }
}

/// Finds the option with this long name, or with an abbreviation of it.
fn find(name: &[u8], text: &OsStr) -> Result<(&'static str, &'static Definition), Wrong> {
    const ALL: &[Definition] = &OPTIONS;
    let names = ALL
        .iter()
        .flat_map(|option| [Some(option.long), option.alias].map(|long| (long, option)));
    let names = names.filter_map(|(long, option)| Some((long?, option)));
    if let Some(exact) = names.clone().find(|(long, _)| long.as_bytes() == name) {
        return Ok(exact);
    }
    let mut candidates = names.filter(|(long, _)| long.as_bytes().starts_with(name));
    let Some(first) = candidates.next() else {
        return Err(Wrong::UnknownLong(text.to_owned()));
    };
    let others: Vec<_> = candidates
        .filter(|(_, other)| other.key != first.1.key)
        .collect();
    if others.is_empty() {
        return Ok(first);
    }
    let names = std::iter::once(first).chain(others).map(|(long, _)| long);
    Err(Wrong::Ambiguous(text.to_owned(), names.collect()))
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question => write!(f, "invalid option -- '?'"),
            Self::UnknownShort(letter) => {
                write!(f, "invalid option -- '{}'", char::from(*letter))
            }
            Self::UnknownLong(text) => {
                write!(f, "unrecognized option '--{}'", Path::new(text).display())
            }
            Self::Ambiguous(text, names) => {
                let text = Path::new(text).display();
                write!(f, "option '--{text}' is ambiguous; possibilities:")?;
                names.iter().try_for_each(|name| write!(f, " '--{name}'"))
            }
            Self::ShortNeedsValue(letter) => {
                let letter = char::from(*letter);
                write!(f, "option requires an argument -- '{letter}'")
            }
            Self::LongNeedsValue(name) => write!(f, "option '--{name}' requires an argument"),
            Self::TakesNoValue(name) => write!(f, "option '--{name}' doesn't allow an argument"),
        }
    }
}
