//! Text of others, as it may reach a terminal.
//!
//! Paths, labels, process names and command lines come from other users and programs. In messages they
//! take one line of bounded length, and nothing in them can move the cursor, change colours or reverse
//! the direction of what follows.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::path::Path;

/// The most characters of a path that are shown: of any that a system takes, escaped or not, all.
const LONGEST_PATH: usize = 16_384;

/// The most characters of a name, a label or a word that are shown.
const LONGEST_WORD: usize = 256;

/// The most characters of a command line that are shown.
#[cfg(feature = "inspect")]
pub(crate) const LONGEST_COMMAND: usize = 512;

/// The most characters of a message that are shown.
const LONGEST_MESSAGE: usize = 2 * LONGEST_PATH;

/// Stands for the part that is not shown.
const CUT: &str = "...";

/// Text in one line: what is not printable is escaped, and what is too long is cut.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    text: &'a OsStr,
    longest: usize,
}

impl<'a> Shown<'a> {
    /// A path.
    pub fn path(path: &'a Path) -> Self {
        Self {
            text: path.as_os_str(),
            longest: LONGEST_PATH,
        }
    }

    /// A message, which may have several of them in it.
    pub fn message(text: &'a str) -> Self {
        Self {
            text: text.as_ref(),
            longest: LONGEST_MESSAGE,
        }
    }

    /// A name, a label or a word.
    pub fn word(word: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self {
            text: word.as_ref(),
            longest: LONGEST_WORD,
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = ShownLine::new(self.longest);
        for chunk in self.text.as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                line.push(c);
            }
            for byte in chunk.invalid() {
                line.push_all(&format!("\\x{byte:02x}"));
            }
        }
        f.pad(&line.end())
    }
}

/// Whether a terminal shows the character, and nothing else happens.
fn is_printable(c: char) -> bool {
    // Quotes and backslashes, which are escaped in strings, and the accents of names from macOS.
    let is_shown = matches!(c, '"' | '\'' | '\\' | '\u{300}'..='\u{36f}');
    is_shown || c.escape_debug().len() == 1
}

/// Text that is put together up to a length, and cut there.
#[derive(Debug)]
pub(crate) struct ShownLine {
    text: String,
    room: usize,
    is_cut: bool,
}

impl ShownLine {
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            text: String::new(),
            room: longest,
            is_cut: false,
        }
    }

    /// Adds a character, escaped if need be.
    pub(crate) fn push(&mut self, c: char) {
        if is_printable(c) {
            self.push_all(c.encode_utf8(&mut [0; 4]));
        } else {
            self.push_all(&c.escape_default().to_string());
        }
    }

    /// Adds printable text, all of it or nothing.
    pub(crate) fn push_all(&mut self, text: &str) {
        let length = text.chars().count();
        if self.is_cut || length > self.room {
            self.is_cut = true;
            return;
        }
        self.room -= length;
        self.text.push_str(text);
    }

    #[cfg(feature = "inspect")]
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn end(mut self) -> String {
        if self.is_cut {
            let _ = self.text.write_str(CUT);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_printable_characters_of_one_line() {
        for (text, shown) in [
            ("/srv/a b.lock", "/srv/a b.lock"),
            ("Jürgen's \"büro\"\\x", "Jürgen's \"büro\"\\x"),
            ("\u{1b}[2Ja\nb\tc\u{7f}\r", "\\u{1b}[2Ja\\nb\\tc\\u{7f}\\r"),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                "a\\u{202e}b\\u{2066}c\\u{200f}",
            ),
            ("\u{9b}31m\u{2028}", "\\u{9b}31m\\u{2028}"),
        ] {
            assert_eq!(Shown::word(text).to_string(), shown);
            assert_eq!(Shown::path(Path::new(text)).to_string(), shown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_text_are_shown_by_their_numbers() {
        use std::os::unix::ffi::OsStrExt;

        let name = OsStr::from_bytes(b"a\xffb\x9b");
        assert_eq!(Shown::word(name).to_string(), "a\\xffb\\x9b");
    }

    #[test]
    fn a_long_text_is_cut_but_not_within_an_escape() {
        let long = "x".repeat(LONGEST_WORD);
        assert_eq!(Shown::word(&long).to_string(), long);
        let longer = format!("{}\u{1b}y", "x".repeat(LONGEST_WORD - 1));
        let shown = Shown::word(&longer).to_string();
        assert_eq!(shown, format!("{}...", "x".repeat(LONGEST_WORD - 1)));
        let huge = "y".repeat(3_000_000);
        assert!(Shown::path(Path::new(&huge)).to_string().len() < 2 * LONGEST_PATH);
    }
}
