//! Links between the documents lead to files and headings that exist.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use lockfast_testing::trial;

use crate::page;

pub(crate) fn trials() -> Vec<Trial> {
    let root = page::clone();
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/design", "crates/lockfast-python"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder");
        let paths = entries.map(|entry| entry.expect("its entries").path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    let trials = pages.into_iter().map(|page| {
        let name = page.strip_prefix(&root).expect("it is in the repository");
        let name = format!("links::{}", name.display());
        trial(&name, move || all_lead_somewhere(&page))
    });
    trials.collect()
}

fn all_lead_somewhere(page: &Path) {
    for link in links(&prose(page)) {
        let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
        let target = match file {
            "" => page.to_owned(),
            _ => page.parent().expect("a folder").join(file),
        };
        assert!(target.exists(), "{link}: no such file");
        if !heading.is_empty() {
            let anchors = anchors(&target);
            assert!(anchors.contains(&heading.to_owned()), "{link}: {anchors:?}");
        }
    }
}

/// A page without its blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).expect("a page");
    let outside = text.split("```").step_by(2);
    outside.collect()
}

/// The targets of links that stay in the repository.
fn links(text: &str) -> Vec<String> {
    let starts = text.split("](").skip(1);
    let targets = starts.filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains(':')).collect()
}

/// The anchors of a page's headings, as GitHub and others make them.
fn anchors(page: &Path) -> Vec<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let titles = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |title: String| {
        let kept = |char: &char| char.is_alphanumeric() || "-_ ".contains(*char);
        title.chars().filter(kept).collect::<String>()
    };
    titles
        .map(|title| anchor(title).replace(' ', "-"))
        .collect()
}
