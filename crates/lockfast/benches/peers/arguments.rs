//! The arguments of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Outcome;

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) python: Option<PathBuf>,
    pub(crate) lockfast: Option<PathBuf>,
    pub(crate) inspect: Option<PathBuf>,
    pub(crate) before: Option<PathBuf>,
    pub(crate) out: PathBuf,
    pub(crate) quick: bool,
    /// The name of the part that is measured, if not all are.
    pub(crate) only: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Outcome<Self> {
        let (mut python, mut lockfast, mut inspect) = (None, None, None);
        let (mut before, mut out) = (None, None);
        let (mut only, mut quick) = (None, false);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let option = word.to_string_lossy();
            let value = match &*option {
                "--python" => &mut python,
                "--lockfast" => &mut lockfast,
                "--inspect" => &mut inspect,
                "--before" => &mut before,
                "--out" => &mut out,
                "--only" => &mut only,
                "--quick" => {
                    quick = true;
                    continue;
                }
                // What `cargo bench` says to every benchmark.
                "--bench" => continue,
                _ => return Err(format!("no such argument: {option}").into()),
            };
            let given = words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            *value = Some(PathBuf::from(given));
        }
        let out = match out {
            Some(out) => out,
            None => beside_the_build()?,
        };
        Ok(Self {
            python,
            lockfast,
            inspect,
            before,
            out,
            quick,
            only: only.map(|only| only.to_string_lossy().into_owned()),
        })
    }
}

/// `bench` in the target directory: this program is `release/deps/peers-HASH` there.
fn beside_the_build() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).ok_or("no target directory")?;
    Ok(target.join("bench"))
}
