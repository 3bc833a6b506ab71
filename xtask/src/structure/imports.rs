//! The imports among the files of a crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ItemUse, Path, UseTree};

use super::sources::Source;

/// A file of the crate, by the path of its module.
type Module = Vec<String>;

/// The files, and what each imports.
#[derive(Debug)]
pub(crate) struct Graph {
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl Graph {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let modules: BTreeSet<Module> = sources.iter().map(Source::module).collect();
        let imports = sources.iter().map(|source| {
            let module = source.module();
            let mut paths = Paths {
                module: &module,
                found: Vec::new(),
            };
            paths.visit_file(&source.file);
            let imported = paths
                .found
                .iter()
                .filter_map(|path| nearest(&modules, path))
                .filter(|imported| *imported != module)
                .collect();
            (module.clone(), imported)
        });
        Self {
            imports: imports.collect(),
        }
    }

    /// The imports of a room from one above it.
    pub(crate) fn upward(&self, rooms: &[&str]) -> Vec<(String, String)> {
        let height = |module: &Module| {
            let room = module.first()?;
            rooms.iter().position(|name| name == room)
        };
        self.all()
            .filter(|(from, to)| {
                height(from)
                    .zip(height(to))
                    .is_some_and(|(from, to)| to > from)
            })
            .map(|(from, to)| (from.join("/"), to.join("/")))
            .collect()
    }

    /// The files that import each other, directly or through others. A module and its submodules may: they are one
    /// thing in several files.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for module in self.imports.keys() {
            if seen.contains(module) {
                continue;
            }
            let ahead = self.reached_from(module);
            let circle: Vec<_> = ahead
                .iter()
                .filter(|other| self.reached_from(other).contains(module))
                .cloned()
                .collect();
            seen.extend(circle.iter().cloned());
            if circle.len() > 1 {
                circles.push(circle.iter().map(|module| module.join("/")).collect());
            }
        }
        circles
    }

    fn all(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.imports
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
    }

    fn reached_from(&self, start: &Module) -> BTreeSet<Module> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![start.clone()];
        while let Some(module) = ahead.pop() {
            for next in self.imports.get(&module).into_iter().flatten() {
                let is_family = next.starts_with(&module) || module.starts_with(next);
                if !is_family && reached.insert(next.clone()) {
                    ahead.push(next.clone());
                }
            }
        }
        reached
    }
}

/// The module that a path leads into. None for what the root offers to users.
fn nearest(modules: &BTreeSet<Module>, path: &[String]) -> Option<Module> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].to_vec())
        .find(|module| modules.contains(module))
}

/// The paths into the crate that a file has, in imports and elsewhere.
struct Paths<'a> {
    module: &'a [String],
    found: Vec<Vec<String>>,
}

impl Paths<'_> {
    fn add(&mut self, path: &[String]) {
        let mut start = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.to_vec(),
            _ => return,
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(start.pop()),
                part => start.push(part.to_owned()),
            }
        }
        self.found.push(start);
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let after = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            UseTree::Path(path) => self.add_tree(&after(&path.ident), &path.tree),
            UseTree::Name(name) => self.add(&after(&name.ident)),
            UseTree::Rename(name) => self.add(&after(&name.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let parts: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        self.add(&parts);
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_goes_up_is_found() {
        let graph = Graph::of(&[
            Source::of("low.rs", "fn a() { crate::high::b() }"),
            Source::of("high.rs", "use crate::low::{a};"),
        ]);
        let upward = graph.upward(&["low", "high"]);
        assert_eq!(upward, [("low".to_owned(), "high".to_owned())]);
    }

    #[test]
    fn a_circle_is_found_but_not_among_a_module_and_its_parts() {
        let graph = Graph::of(&[
            Source::of("a.rs", "mod part;\nuse self::part::X; use crate::b::Y;"),
            Source::of("a/part.rs", "use super::Z;"),
            Source::of("b.rs", "use crate::c::Y;"),
            Source::of("c.rs", "use super::a::X;"),
        ]);
        assert_eq!(graph.circles(), [["a", "b", "c"]]);
    }
}
