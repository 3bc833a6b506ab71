//! Sentences and examples that were once in the pages and were misleading.

use libtest_mimic::Trial;
use lockfast_testing::trial;

use crate::block::{Block, blocks};
use crate::page::{DESIGN, OTHERS, PAGES, Page, WORKS_WITH};

/// The sentences, each with the reason.
const UNTRUE: [(&str, &str); 9] = [
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
    (
        "excludes flock",
        "the two work together: each waits for the other",
    ),
    (
        "excludes both",
        "they work together: each waits for the other",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let pages = PAGES.iter().chain(&DESIGN).chain(&OTHERS);
    let sentences = pages.map(|page| {
        let name = format!("promises::{}", page.name);
        trial(&name, || has_no_untrue_sentence(page))
    });
    // Unless the page shows the result.
    let pages = PAGES.iter().filter(|page| page.name != WORKS_WITH.name);
    let examples = pages.map(|page| {
        let name = format!("promises::{} run and flock", page.name);
        trial(&name, || run_and_flock_are_not_on_one_file(page))
    });
    sentences.chain(examples).collect()
}

fn has_no_untrue_sentence(page: &Page) {
    // A sentence may span several lines, also in comments.
    let words = page.text.split_whitespace();
    let words = words.filter(|word| !matches!(*word, "//!" | "///" | "#"));
    let text = words.collect::<Vec<_>>().join(" ").to_lowercase();
    for (sentence, reason) in UNTRUE {
        assert!(!text.contains(sentence), "\"{sentence}\": {reason}");
    }
}

/// `lockfast run` and `lockfast flock` do not wait for each other, unless a protocol is named.
fn run_and_flock_are_not_on_one_file(page: &Page) {
    for block in ["sh", "console"]
        .map(|language| blocks(page, language))
        .concat()
    {
        let of_run = locks(&block, "lockfast run ");
        for lock in locks(&block, "lockfast flock ") {
            assert!(!of_run.contains(&lock), "{lock} in line {}", block.line);
        }
    }
}

/// Returns the lock files that a block uses with that command and its default kind of lock.
fn locks(block: &Block, command: &str) -> Vec<&'static str> {
    let lines = block
        .lines
        .iter()
        .filter(|line| !line.contains("--protocol"));
    let after = lines.filter_map(|line| Some(line.split_once(command)?.1));
    let own = after.map(|rest| rest.split_once(" -- ").map_or(rest, |(own, _)| own));
    own.flat_map(str::split_whitespace)
        .filter(|word| word.contains(".lock"))
        .collect()
}
