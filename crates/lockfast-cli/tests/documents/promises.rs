//! Sentences that were once in the pages and are not true.

use libtest_mimic::Trial;

use crate::page::{OTHERS, PAGES};
use crate::trial;

/// Each with the reason.
const UNTRUE: [(&str, &str); 7] = [
    (
        "nothing polls",
        "where a system has no wait with a deadline, the lock is asked for again and again",
    ),
    (
        "lets nobody in twice",
        "whoever deletes the file while it is held lets the next one in",
    ),
    (
        "never go on together",
        "whoever deletes the file while it is held lets the next one in",
    ),
    (
        "never truncated or written to",
        "an owner record is written into it",
    ),
    (
        "frees the lock at once",
        "the kernel first gives back the memory of a dead process, and writes its core",
    ),
    (
        "gives its permit back at once",
        "the kernel first gives back the memory of a dead process, and writes its core",
    ),
    (
        "excludes fasteners",
        "the two work together: each waits for the other",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let pages = PAGES.iter().chain(&OTHERS);
    pages
        .map(|page| {
            let name = format!("promises::{}", page.name);
            trial(&name, || {
                // A sentence may go over several lines, of a comment too.
                let words = page.text.split_whitespace();
                let words = words.filter(|word| !matches!(*word, "//!" | "///" | "#"));
                let text = words.collect::<Vec<_>>().join(" ").to_lowercase();
                for (sentence, reason) in UNTRUE {
                    assert!(!text.contains(sentence), "\"{sentence}\": {reason}");
                }
            })
        })
        .collect()
}
