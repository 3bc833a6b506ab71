//! Comments: how many there are, and how the doc comments begin.

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Lit, Meta};

use super::sources::Source;

/// Lines of files.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) all: usize,
    code: usize,
    /// Without doc comments.
    comments: usize,
}

impl Lines {
    #[allow(clippy::cast_precision_loss, reason = "a figure to read")]
    pub(crate) fn comments_to_code(&self) -> f64 {
        self.comments as f64 / self.code.max(1) as f64
    }
}

pub(crate) fn lines(sources: &[Source]) -> Lines {
    let mut lines = Lines::default();
    for line in sources.iter().flat_map(|source| source.text.lines()) {
        lines.all += 1;
        let line = line.trim_start();
        let is_doc = line.starts_with("///") || line.starts_with("//!");
        if line.starts_with("//") && !is_doc {
            lines.comments += 1;
        } else if !is_doc && !line.is_empty() {
            lines.code += 1;
        }
    }
    lines
}

/// The doc comments of files, by how they begin.
#[derive(Debug, Default)]
pub(crate) struct Docs {
    pub(crate) all: usize,
    /// Comments that start with a pronoun clause.
    pub(crate) clauses: Vec<String>,
    /// Comments whose first sentence is a question.
    pub(crate) questions: Vec<String>,
}

pub(crate) fn docs(sources: &[Source]) -> Docs {
    let mut docs = Docs::default();
    for source in sources {
        let mut found = Beginnings::default();
        found.visit_file(&source.file);
        docs.all += found.0.len();
        for line in found.0 {
            let place = || format!("{}: {line}", source.name());
            if starts_with_a_clause(&line) {
                docs.clauses.push(place());
            }
            if line.ends_with('?') || line.contains("? ") {
                docs.questions.push(place());
            }
        }
    }
    docs
}

fn starts_with_a_clause(line: &str) -> bool {
    const PRONOUNS: [&str; 12] = [
        "What", "Who", "Whom", "Whose", "Whoever", "Whatever", "Which", "One", "Ones", "Those",
        "That", "Nobody",
    ];
    let first = line
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or("");
    PRONOUNS.contains(&first) || line.starts_with("The same")
}

/// The first lines of doc comments.
#[derive(Default)]
struct Beginnings(Vec<String>);

impl<'ast> Visit<'ast> for Beginnings {
    fn visit_file(&mut self, file: &'ast syn::File) {
        self.begin(&file.attrs);
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Union(item) => &item.attrs,
            _ => &Vec::new(),
        };
        self.begin(attributes);
        visit::visit_item(self, item);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.begin(&field.attrs);
        visit::visit_field(self, field);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.begin(&variant.attrs);
        visit::visit_variant(self, variant);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.begin(&function.attrs);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_impl_item_const(&mut self, constant: &'ast syn::ImplItemConst) {
        self.begin(&constant.attrs);
        visit::visit_impl_item_const(self, constant);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.begin(&function.attrs);
        visit::visit_trait_item_fn(self, function);
    }
}

impl Beginnings {
    fn begin(&mut self, attributes: &[Attribute]) {
        self.0.extend(attributes.iter().find_map(text));
    }
}

/// The text of a line of a doc comment.
fn text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(literal) = &pair.value else {
        return None;
    };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value().trim().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_and_questions_are_found() {
        let source = Source::of(
            "a.rs",
            "//! The lock.\n/// What is held.\npub struct A { /// Is it held?\n b: u8 }\n\
             /// Returns it.\n// Why.\nfn c() {}",
        );
        let docs = docs(std::slice::from_ref(&source));
        assert_eq!(docs.all, 4);
        assert_eq!(docs.clauses, ["a.rs: What is held."]);
        assert_eq!(docs.questions, ["a.rs: Is it held?"]);
        assert_eq!(lines(&[source]).comments, 1);
    }
}
