//! The layout of the keys.
//!
//! ```text
//! {prefix}/v1/{name}/q/x/{id}    a ticket of a writer      {prefix}/v1/{name}/q/s/{id}    of a reader
//! {prefix}/v1/{name}/sem/g/{id}  a ticket for the gate     {prefix}/v1/{name}/sem/h/{id}  permits that are held
//! ```
//!
//! The name is percent-encoded, so that no name is part of another. The id is new for each *acquisition*: a request
//! can be repeated when its answer was lost, and two threads never share a ticket.

use lockfast::engine::{Cause, Mode, Operation};
use lockfast::{Error, Resource, Result};

const VERSION: &str = "v1";
const LONGEST_NAME: usize = 1024;

/// The keys of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    base: String,
}

/// A range of keys: those that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Writer,
    Reader,
    Gate,
    Permits,
}

/// A key, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Keys {
    /// Returns the keys of that name.
    ///
    /// # Errors
    ///
    /// If a lock can't have that name.
    pub(crate) fn of(prefix: &str, name: &str) -> Result<Self> {
        let why = if name.is_empty() {
            "a name has at least one character"
        } else if name.contains('\0') {
            "a name has no NUL character"
        } else if name.len() > LONGEST_NAME {
            "a name has at most 1024 bytes"
        } else {
            let base = format!("{prefix}/{VERSION}/{}/", encoded(name));
            return Ok(Self { base });
        };
        let resource = Resource::named(name);
        Err(Error::new(
            resource,
            Operation::Name,
            Cause::InvalidPath(why),
        ))
    }

    /// A new key for an acquisition.
    pub(crate) fn ticket(&self, kind: Kind, id: u128) -> Vec<u8> {
        format!("{}{}{id:032x}", self.base, kind.folder()).into_bytes()
    }

    /// The tickets that are in the way of such a ticket, if they came before it.
    pub(crate) fn in_the_way_of(&self, kind: Kind) -> Range {
        Range::below(&match kind {
            Kind::Writer => format!("{}q/", self.base),
            Kind::Reader => format!("{}q/x/", self.base),
            Kind::Gate | Kind::Permits => format!("{}sem/g/", self.base),
        })
    }

    /// The tickets of a lock of that name.
    pub(crate) fn queue(&self) -> Range {
        self.in_the_way_of(Kind::Writer)
    }

    /// All keys of a semaphore of that name.
    pub(crate) fn semaphore(&self) -> Range {
        Range::below(&format!("{}sem/", self.base))
    }

    /// The permits that are held.
    pub(crate) fn permits(&self) -> Range {
        Range::below(&format!("{}sem/h/", self.base))
    }

    /// All keys of the name.
    pub(crate) fn all(&self) -> Range {
        Range::below(&self.base)
    }
}

impl Range {
    fn below(prefix: &str) -> Self {
        let start = prefix.as_bytes().to_vec();
        let mut end = start.clone();
        // Each prefix here ends with a character of ASCII, which has a next one.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        Self { start, end }
    }

    /// The keys of the names that begin with that text.
    pub(crate) fn of_names(prefix: &str, begin: &str) -> Self {
        Self::below(&format!("{prefix}/{VERSION}/{}", encoded(begin)))
    }

    /// A key of no name, to try whether it can be written.
    pub(crate) fn trial(prefix: &str, id: u128) -> Vec<u8> {
        format!("{prefix}/{VERSION}//trial/{id:032x}").into_bytes()
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::Writer, Self::Reader, Self::Gate, Self::Permits];

    /// The kind of the ticket for that mode; `None` for a mode that etcd does not have.
    pub(crate) fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Exclusive | Mode::Write => Some(Self::Writer),
            Mode::Read => Some(Self::Reader),
            Mode::Upgradable => None,
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Writer => "q/x/",
            Self::Reader => "q/s/",
            Self::Gate => "sem/g/",
            Self::Permits => "sem/h/",
        }
    }
}

impl Parsed {
    /// Takes a key apart; `None` if it is none of ours.
    pub(crate) fn of(prefix: &str, key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        let rest = key.strip_prefix(prefix)?.strip_prefix('/')?;
        let rest = rest.strip_prefix(VERSION)?.strip_prefix('/')?;
        let (name, rest) = rest.split_once('/')?;
        let is = |kind: &Kind| rest.starts_with(kind.folder());
        let kind = Kind::ALL.into_iter().find(is)?;
        let name = decoded(name)?;
        Some(Self { name, kind })
    }
}

/// Encodes all but letters, digits and a few signs, so that a name is one part of a key.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])),
            );
        }
    }
    text
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty()).then_some(name)
}

/// Returns a number that nobody else has.
pub(crate) fn random() -> std::io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use lockfast::ErrorKind;

    use super::*;

    fn keys(name: &str) -> Keys {
        Keys::of("p", name).expect("a good name")
    }

    fn contains(range: &Range, key: &[u8]) -> bool {
        &*range.start <= key && key < &*range.end
    }

    #[test]
    fn no_name_is_part_of_another() {
        let odd = ["a", "a/q/x", "ab", "a%2F", "ä/ö", "a b", "..", "a/"];
        for name in odd {
            let own = keys(name).ticket(Kind::Writer, 1);
            assert_eq!(
                Parsed::of("p", &own),
                Some(Parsed {
                    name: name.to_owned(),
                    kind: Kind::Writer
                })
            );
            for other in odd.iter().filter(|other| **other != name) {
                assert!(!contains(&keys(other).all(), &own), "{name} {other}");
            }
        }
    }

    #[test]
    fn writers_wait_for_all_and_readers_for_writers() {
        let keys = keys("a");
        let [writer, reader, gate, permits] = Kind::ALL.map(|kind| keys.ticket(kind, 7));
        let in_the_way = |of, key: &[u8]| contains(&keys.in_the_way_of(of), key);
        assert!(in_the_way(Kind::Writer, &writer) && in_the_way(Kind::Writer, &reader));
        assert!(in_the_way(Kind::Reader, &writer) && !in_the_way(Kind::Reader, &reader));
        assert!(in_the_way(Kind::Gate, &gate) && !in_the_way(Kind::Gate, &permits));
        assert!(!in_the_way(Kind::Writer, &gate) && contains(&keys.semaphore(), &permits));
        assert!(contains(&Range::of_names("p", ""), &writer));
        assert!(!contains(&Range::of_names("p", "b"), &writer));
    }

    #[test]
    fn refuses_names_that_a_lock_cannot_have() {
        for name in ["", "a\0b", &"x".repeat(4096)] {
            let error = Keys::of("p", name).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidPath);
        }
    }

    #[test]
    fn other_keys_are_not_ours() {
        for key in [
            "p/v1/a",
            "p/v2/a/q/x/1",
            "q/v1/a/q/x/1",
            "p/v1//trial/1",
            "p/v1/%/q/x/1",
        ] {
            assert_eq!(Parsed::of("p", key.as_bytes()), None, "{key}");
        }
    }
}
