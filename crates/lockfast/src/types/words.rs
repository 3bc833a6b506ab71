//! The interface that the text of an error speaks for.
//!
//! The texts name options by their Rust methods. A binding or a command declares once which interface
//! its users see, and the texts then name what those users can type.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};

/// The interface that the program's user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Methods of the Rust library; unless declared otherwise.
    Rust,
    /// Keyword arguments of the Python package.
    Python,
    /// Options of the command.
    Command,
}

static SPOKEN: AtomicU8 = AtomicU8::new(0);

/// Declares the interface of this process.
pub fn speak(words: Words) {
    // Relaxed: it only chooses words, and is set once when a binding or the command begins.
    SPOKEN.store(words as u8, Ordering::Relaxed);
}

/// Each phrase as Rust, Python and the command have it.
const PHRASES: &[[&str; 3]] = &[
    [
        "create it, set create_dirs(true), or name another",
        "create it, set create_dirs=True, or name another",
        "create it, or name another",
    ],
    [
        "name its target, or set follow_symlinks(true)",
        "name its target, or set follow_symlinks=True",
        "name its target, or use --follow-symlinks",
    ],
    [
        "open a lock at a path by `open`",
        "a path is for the class itself, not for named()",
        "a path is no name",
    ],
    [
        "open the lock again in the forked process",
        "open the lock again in the forked process",
        "run the command again",
    ],
    ["Protocol::Fcntl", "protocol=\"fcntl\"", "--protocol fcntl"],
    ["Protocol::Flock", "protocol=\"flock\"", "--protocol flock"],
    ["Protocol::Both", "protocol=\"both\"", "--protocol both"],
    ["Fairness::Fifo", "fairness=\"fifo\"", "--fifo"],
    ["Verify::Path", "verify=\"path\"", "the check of the path"],
    ["remove_on_release", "remove_on_release", "--remove"],
];

impl Words {
    /// The words that were declared.
    pub(crate) fn spoken() -> Self {
        match SPOKEN.load(Ordering::Relaxed) {
            1 => Self::Python,
            2 => Self::Command,
            _ => Self::Rust,
        }
    }

    /// The text in these words.
    pub(crate) fn of(self, text: &str) -> Cow<'_, str> {
        if self == Self::Rust {
            return Cow::Borrowed(text);
        }
        let mut text = Cow::Borrowed(text);
        for phrase in PHRASES {
            if text.contains(phrase[0]) {
                text = Cow::Owned(text.replace(phrase[0], phrase[self as usize]));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_keeps_the_words_of_rust() {
        for [rust, python, command] in PHRASES {
            assert_eq!(Words::Rust.of(rust), *rust);
            assert_eq!(Words::Python.of(rust), *python);
            assert_eq!(Words::Command.of(rust), *command);
            for other in [python, command] {
                assert!(
                    !other.contains("::") && !other.contains("(true)"),
                    "{other}"
                );
            }
        }
    }

    /// All texts of this crate that name something of Rust are known here.
    #[test]
    fn every_error_text_has_a_form_for_each_interface() {
        let of_rust = [
            "(true)",
            "Protocol::",
            "Fairness::",
            "Verify::",
            "`open`",
            "(false)",
        ];
        let mut files = vec![std::path::PathBuf::from("src")];
        let mut seen = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("the sources are there");
                files.extend(entries.map(|entry| entry.expect("it can be listed").path()));
                continue;
            }
            if path.ends_with("words.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("it is text");
            for literal in literals(&source) {
                let said = Words::Python.of(&literal).into_owned();
                seen += usize::from(said != literal);
                for word in of_rust {
                    assert!(!said.contains(word), "{}: {said:?}", path.display());
                }
            }
        }
        assert!(seen > 5, "the texts were looked at");
    }

    /// The string literals outside of comments and attributes, as far as this crate writes them.
    fn literals(source: &str) -> Vec<String> {
        let code: Vec<_> = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//") && !line.contains("#["))
            .take_while(|line| !line.starts_with("mod tests"))
            .collect();
        let code = code.join("\n");
        let mut literals = Vec::new();
        let mut rest = code.as_str();
        while let Some(begin) = rest.find('"') {
            let mut literal = String::new();
            let mut characters = rest[begin + 1..].char_indices();
            let mut end = rest.len();
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        end = begin + 1 + at + 1;
                        break;
                    }
                    '\\' => {
                        characters.next();
                    }
                    other => literal.push(other),
                }
            }
            literals.push(literal.split_whitespace().collect::<Vec<_>>().join(" "));
            rest = &rest[end..];
        }
        literals
    }
}
