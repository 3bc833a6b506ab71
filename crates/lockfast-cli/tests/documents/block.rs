//! Blocks of code in a page.

use crate::page::Page;

/// A block between two fences.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) page: &'static str,
    /// Line of the page on which the block begins.
    pub(crate) line: usize,
    pub(crate) lines: Vec<&'static str>,
}

impl Block {
    /// Returns its name as a test.
    pub(crate) fn name(&self, kind: &str) -> String {
        format!("{kind}::{}:{}", self.page, self.line)
    }
}

/// Returns the blocks of a page in that language.
pub(crate) fn blocks(page: &Page, language: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(its_language) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().map(|(line, _)| line);
        let inside = inside.take_while(|line| *line != "```").collect();
        if its_language == language {
            found.push(Block {
                page: page.name,
                line: number + 1,
                lines: inside,
            });
        }
    }
    found
}
