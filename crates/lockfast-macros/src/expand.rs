//! The function with its lock.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, Error, FnArg, Ident, ItemFn, PatIdent, Result};
use syn::{ReturnType, Signature, Token, Type, parse_quote_spanned};

use crate::arguments::{Arguments, WaitLimit};
use crate::guard::{Kind, Outcome, guard};

/// Returns the function with code that takes the lock first.
pub(crate) fn expand(
    kind: Kind,
    arguments: &Arguments,
    mut function: ItemFn,
) -> Result<TokenStream> {
    let outcome = examine(arguments, &function.sig)?;
    let guard = guard(kind, arguments, &function.sig, outcome);
    let moves = take_over(&mut function.sig, &arguments.expressions());
    let body = body(&function.block);
    // At the macro's span, so that names do not clash with those of the function, and lints on this
    // code do not reach its author.
    function.block = parse_quote_spanned! {Span::mixed_site()=> {
        let _guard = #guard;
        #(#moves)*
        #body
    }};
    Ok(function.into_token_stream())
}

/// Checks the signature, and returns the way to report an error of the lock.
fn examine(arguments: &Arguments, signature: &Signature) -> Result<Outcome> {
    if let Some(token) = &signature.constness {
        return Err(Error::new(
            token.span,
            "a `const fn` may run at compile time, where there are no locks",
        ));
    }
    let ReturnType::Type(_, returned) = &signature.output else {
        return no_result(arguments);
    };
    if mentions(returned.to_token_stream(), |word| word.ends_with("Future")) {
        return Err(Error::new_spanned(
            returned,
            "the lock would be released when the future is returned, before it runs: \
             take the lock inside the future",
        ));
    }
    if is_result(returned) {
        Ok(Outcome::Return)
    } else {
        no_result(arguments)
    }
}

fn no_result(arguments: &Arguments) -> Result<Outcome> {
    let (what, span) = match &arguments.limit {
        WaitLimit::Forever => return Ok(Outcome::Panic),
        WaitLimit::Once(span) => ("try", *span),
        WaitLimit::For(_, span) => ("timeout", *span),
    };
    Err(Error::new(
        span,
        format!(
            "with `{what}` the function may fail to get its lock: return a `Result` whose error \
             type implements `From<lockfast::Error>` (the type's name must end in `Result`)"
        ),
    ))
}

/// Recognized by name, as macros see no types.
fn is_result(returned: &Type) -> bool {
    match returned {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident.to_string().ends_with("Result"))
        }
        Type::Paren(inner) => is_result(&inner.elem),
        Type::Group(inner) => is_result(&inner.elem),
        _ => false,
    }
}

fn mentions(tokens: TokenStream, is_meant: impl Fn(&str) -> bool + Copy) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => is_meant(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), is_meant),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Moves owned arguments into variables that are dropped before the guard.
///
/// Arguments are dropped after all local variables: a writer passed by value would be flushed after
/// the release.
fn take_over(signature: &mut Signature, used: &TokenStream) -> Vec<TokenStream> {
    let mut moves = Vec::new();
    for argument in &mut signature.inputs {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        if matches!(*argument.ty, Type::Reference(_)) {
            continue;
        }
        let mut bindings = Bindings::default();
        bindings.visit_pat_mut(&mut argument.pat);
        let conditions: Vec<&Attribute> =
            argument.attrs.iter().filter(|it| goes_along(it)).collect();
        for (mutable, name) in bindings.found {
            // An argument that only selects the lock may be unused otherwise.
            let unused = mentions(used.clone(), |word| name == word)
                .then(|| quote_spanned!(Span::mixed_site()=> #[allow(unused_variables)]));
            moves.push(quote_spanned! {Span::mixed_site()=>
                #(#conditions)*
                #unused
                #[allow(clippy::redundant_locals, clippy::used_underscore_binding)]
                let #mutable #name = #name;
            });
        }
        argument.attrs.retain(|it| !it.path().is_ident("expect"));
    }
    moves
}

/// Whether the attribute belongs to the variable: a condition or a lint.
fn goes_along(attribute: &Attribute) -> bool {
    ["cfg", "allow", "expect", "warn", "deny"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

/// Variables of a pattern that own a value. Their `mut` moves to the new variable.
#[derive(Default)]
struct Bindings {
    found: Vec<(Option<Token![mut]>, Ident)>,
}

impl VisitMut for Bindings {
    fn visit_pat_ident_mut(&mut self, binding: &mut PatIdent) {
        if binding.by_ref.is_none() {
            let mutable = binding.mutability.take();
            self.found.push((mutable, binding.ident.clone()));
        }
        visit_mut::visit_pat_ident_mut(self, binding);
    }
}

/// Returns the body unchanged, in an arm of a `match`.
///
/// Temporaries end with the arm. Up to edition 2021, those of a block's last expression outlive its
/// variables, and so the guard.
///
/// ```edition2021
/// # let dir = tempfile::tempdir().unwrap();
/// use lockfast::Lock;
/// use std::path::Path;
///
/// struct Probe<'a>(&'a Path);
///
/// impl Probe<'_> {
///     fn answer(&self) -> u32 { 42 }
/// }
///
/// impl Drop for Probe<'_> {
///     fn drop(&mut self) {
///         assert!(Lock::open(self.0).unwrap().try_lock().unwrap_err().is_contended());
///     }
/// }
///
/// #[lockfast::locked(path)]
/// fn answer(path: &Path) -> u32 { Probe(path).answer() }
///
/// assert_eq!(answer(&dir.path().join("a.lock")), 42);
/// ```
fn body(block: &Block) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> match () { () => #block })
}
