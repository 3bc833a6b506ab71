//! The names of types.

use std::collections::BTreeMap;

use syn::Item;

use super::sources::Source;

/// The names that several types have, with the files of these. The sides of the system have the same names on purpose.
pub(crate) fn repeated(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        for name in source.file.items.iter().filter_map(name) {
            let of_name = files.entry(name).or_default();
            let side_free = without_side(&source.name());
            if !of_name.iter().any(|file| without_side(file) == side_free) {
                of_name.push(source.name());
            }
        }
    }
    files.retain(|_, files| files.len() > 1);
    files
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn without_side(file: &str) -> String {
    ["unix", "linux", "windows", "unsupported"]
        .iter()
        .fold(file.to_owned(), |file, side| {
            file.replace(&format!("/{side}"), "")
        })
}
