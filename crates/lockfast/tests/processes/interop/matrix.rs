//! The table in `docs/works-with.md`: each of its cells is a test, read from the page itself.

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use super::peer::{
    CLASSIC, FASTENERS, FASTENERS_READER_WRITER, FD_LOCK, FILELOCK, FLOCK_UTILITY, FS4, JAVA,
    LOCKF, PERL, PORTALOCKER, Peer, STD,
};
use crate::stage::{Actor, Stage};

const PAGE: &str = include_str!("../../../../../docs/works-with.md");

/// The program of a row: what the page calls it, and who plays it.
const PARTIES: [(&str, Party); 16] = [
    ("lockfast with `fcntl`", Party::Lockfast("fcntl")),
    ("lockfast with `flock`", Party::Lockfast("flock")),
    ("lockfast with `both`", Party::Lockfast("both")),
    ("flock(1), the command", Party::Foreign(FLOCK_UTILITY)),
    ("Rust: `std::fs::File::lock`", Party::Foreign(STD)),
    ("Rust: fs4", Party::Foreign(FS4)),
    ("Rust: fd-lock", Party::Foreign(FD_LOCK)),
    ("Perl: `flock`", Party::Foreign(PERL)),
    ("Python: filelock's `FileLock`", Party::Foreign(FILELOCK)),
    ("Python: portalocker", Party::Foreign(PORTALOCKER)),
    ("Python: `fcntl.lockf`", Party::Foreign(LOCKF)),
    (
        "Python: fasteners' `InterProcessLock`",
        Party::Foreign(FASTENERS),
    ),
    (
        "Python: fasteners' `InterProcessReaderWriterLock`",
        Party::Foreign(FASTENERS_READER_WRITER),
    ),
    ("Java: `FileChannel.lock`", Party::Foreign(JAVA)),
    ("C: `fcntl(F_SETLK)`", Party::Foreign(CLASSIC)),
    // The command's own tests have these.
    ("`lockfast flock`", Party::OfTheCommand),
];

/// More rows that the command's tests have.
const OF_THE_COMMAND: [&str; 2] = ["`lockfast flock --fcntl`", "cargo"];

#[derive(Clone, Copy)]
enum Party {
    Lockfast(&'static str),
    Foreign(Peer),
    OfTheCommand,
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut lines = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| program |"));
    let header = cells(lines.next().expect("the page has the table"));
    let protocols: Vec<_> = header[1..]
        .iter()
        .map(|name| name.trim_matches('`'))
        .collect();
    assert_eq!(protocols, ["fcntl", "flock", "both"]);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let mut missing: Vec<_> = PARTIES.iter().map(|(name, _)| *name).collect();
    let mut trials = Vec::new();
    for row in rows {
        let cells = cells(row);
        if OF_THE_COMMAND.contains(&cells[0]) {
            continue;
        }
        missing.retain(|name| *name != cells[0]);
        let party = PARTIES.iter().find(|(name, _)| *name == cells[0]);
        let &(name, party) = party.unwrap_or_else(|| panic!("nobody plays {row}"));
        for (protocol, cell) in ["fcntl", "flock", "both"].into_iter().zip(&cells[1..]) {
            let together = match *cell {
                "yes" => true,
                "no" => false,
                _ => panic!("{row}"),
            };
            trials.extend(party.trial(name, protocol, together));
        }
    }
    assert_eq!(missing, [""; 0], "rows that the page does not have");
    trials
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

impl Party {
    fn trial(self, name: &str, protocol: &'static str, together: bool) -> Option<Trial> {
        let plain: String = name
            .chars()
            .filter(|char| !matches!(char, '`' | '\''))
            .map(|char| {
                if char.is_ascii_alphanumeric() {
                    char
                } else {
                    '_'
                }
            })
            .collect();
        let name = format!("interop::matrix::{protocol}_{plain}");
        let available = match self {
            Self::Lockfast(_) => Ok(()),
            Self::Foreign(peer) => peer.available(),
            Self::OfTheCommand => return None,
        };
        let test = move || meet(protocol, self, together);
        Some(trial_needing!(&name, available, test))
    }

    fn start(self, stage: &Stage) -> Meeting {
        match self {
            Self::Lockfast(protocol) => Meeting {
                actor: Actor::with_lock(stage, &format!("protocol={protocol}")),
                attempt: "try a g",
                release: "release g",
            },
            Self::Foreign(peer) => Meeting {
                actor: peer.start(stage),
                attempt: "try exclusive",
                release: "release",
            },
            Self::OfTheCommand => unreachable!("it has no trial"),
        }
    }
}

/// A process, with its commands for taking the lock and for giving it back.
struct Meeting {
    actor: Actor,
    attempt: &'static str,
    release: &'static str,
}

impl Meeting {
    fn gets_in(&mut self) -> bool {
        let is_in = self.actor.attempts(self.attempt);
        if !is_in {
            // Kept out, and not by some other failure.
            let refused = self.actor.ask_in_vain(self.attempt);
            let is_held = refused == "held" || refused.starts_with("contended:");
            assert!(is_held, "{refused}");
        }
        is_in
    }

    fn leaves(&mut self) {
        self.actor.ask(self.release);
    }
}

/// Whichever of the two is inside, the other one is kept out if they work together, and gets in if
/// they do not.
fn meet(protocol: &'static str, party: Party, together: bool) {
    let stage = Stage::new();
    let mut one = Party::Lockfast(protocol).start(&stage);
    let mut other = party.start(&stage);
    for _ in 0..2 {
        assert!(one.gets_in());
        let both = other.gets_in();
        assert_eq!(both, !together, "{protocol} is inside");
        if both {
            other.leaves();
        }
        one.leaves();
        assert!(other.gets_in());
        let both = one.gets_in();
        assert_eq!(both, !together, "the other one is inside");
        if both {
            one.leaves();
        }
        other.leaves();
    }
}
