//! Options and operands in the syntax of `getopt_long`.
//!
//! clap is not compatible: it rejects abbreviations that `getopt_long` accepts, reads `-E-1`
//! differently and has other error messages. Scripts depend on all of these.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// A long option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<K> {
    pub(super) long: &'static str,
    pub(super) key: K,
    pub(super) has_value: bool,
}

/// The known options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grammar<K: 'static> {
    pub(super) long: &'static [Name<K>],
    pub(super) short: &'static [(u8, K, bool)],
}

/// The rest of the command line.
#[derive(Debug)]
pub(super) struct Words<K: 'static> {
    grammar: Grammar<K>,
    rest: std::vec::IntoIter<OsString>,
    /// The rest of a word of short options.
    bundle: Vec<u8>,
}

/// An invalid option. Its message is that of the C library.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    UnknownShort(u8),
    UnknownLong(OsString),
    Ambiguous(OsString, Vec<&'static str>),
    ShortNeedsValue(u8),
    LongNeedsValue(&'static str),
    TakesNoValue(&'static str),
}

impl<K: Copy + PartialEq> Words<K> {
    pub(super) fn new(grammar: Grammar<K>, words: Vec<OsString>) -> Self {
        Self {
            grammar,
            rest: words.into_iter(),
            bundle: Vec::new(),
        }
    }

    /// Returns the next option, with its value if it has one; `None` before the first operand.
    pub(super) fn option(&mut self) -> Result<Option<(K, OsString)>, Wrong> {
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

    fn short(&mut self) -> Result<(K, OsString), Wrong> {
        let letter = self.bundle.remove(0);
        let known = self.grammar.short.iter().find(|known| known.0 == letter);
        let &(_, key, has_value) = known.ok_or(Wrong::UnknownShort(letter))?;
        if !has_value {
            return Ok((key, OsString::new()));
        }
        let value = match std::mem::take(&mut self.bundle) {
            empty if empty.is_empty() => self.rest.next(),
            rest => Some(OsString::from_vec(rest)),
        };
        Ok((key, value.ok_or(Wrong::ShortNeedsValue(letter))?))
    }

    fn long(&mut self, text: &OsStr) -> Result<(K, OsString), Wrong> {
        let bytes = text.as_bytes();
        let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
            Some(equals) => (&bytes[..equals], Some(&bytes[equals + 1..])),
            None => (bytes, None),
        };
        let found = self.find(name, text)?;
        let value = match (found.has_value, value) {
            (false, Some(_)) => return Err(Wrong::TakesNoValue(found.long)),
            (false, None) => OsString::new(),
            (true, Some(value)) => OsStr::from_bytes(value).to_owned(),
            (true, None) => self.rest.next().ok_or(Wrong::LongNeedsValue(found.long))?,
        };
        Ok((found.key, value))
    }

    fn find(&self, name: &[u8], text: &OsStr) -> Result<Name<K>, Wrong> {
        let long = self.grammar.long;
        if let Some(exact) = long.iter().find(|known| known.long.as_bytes() == name) {
            return Ok(*exact);
        }
        let mut candidates = long
            .iter()
            .filter(|known| known.long.as_bytes().starts_with(name));
        let Some(first) = candidates.next() else {
            return Err(Wrong::UnknownLong(text.to_owned()));
        };
        let others: Vec<_> = candidates.filter(|other| other.key != first.key).collect();
        if others.is_empty() {
            return Ok(*first);
        }
        let names = std::iter::once(first).chain(others).map(|known| known.long);
        Err(Wrong::Ambiguous(text.to_owned(), names.collect()))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
