//! The expression that takes the lock.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Ident, Lit, Path, Signature};

use crate::arguments::{Arguments, Place, WaitLimit};

/// The attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Locked,
    ReadLocked,
    WriteLocked,
}

/// The way to report an error of the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Return,
    Panic,
}

/// Returns an expression for the guard, which returns or panics on an error.
pub(crate) fn guard(
    kind: Kind,
    arguments: &Arguments,
    signature: &Signature,
    outcome: Outcome,
) -> TokenStream {
    let span = Span::mixed_site();
    let library = &arguments.library;
    let timeout = match &arguments.limit {
        WaitLimit::For(timeout, _) => {
            quote_spanned!(span=> let timeout: ::core::time::Duration = #timeout;)
        }
        WaitLimit::Forever | WaitLimit::Once(_) => TokenStream::new(),
    };
    let attempt = attempt(kind, arguments, signature);
    let guard = match outcome {
        Outcome::Return => quote_spanned!(span=> #attempt?),
        Outcome::Panic => {
            let function = signature.ident.unraw().to_string();
            quote_spanned! {span=>
                match #attempt {
                    ::core::result::Result::Ok(guard) => guard,
                    ::core::result::Result::Err(error) => #library::macro_support::refused(
                        ::core::concat!(::core::module_path!(), "::", #function),
                        &error,
                    ),
                }
            }
        }
    };
    quote_spanned!(span=> { #timeout #guard })
}

/// Returns an expression for the guard or the error.
fn attempt(kind: Kind, arguments: &Arguments, signature: &Signature) -> TokenStream {
    let span = Span::mixed_site();
    let library = &arguments.library;
    let lock = lock_type(kind, library);
    let open = match &arguments.place {
        Place::Lock(given) => {
            let given = quote_spanned!(span=> &(#given));
            return take(kind, arguments, signature, &given);
        }
        Place::Own => {
            let name = own_name(kind, library, signature);
            quote_spanned!(span=> #lock::named(#name))
        }
        Place::Path(path) => quote_spanned!(span=> #lock::open(&(#path))),
        Place::Name(name) => quote_spanned!(span=> #lock::named(&(#name))),
    };
    // A `match`, as a closure can't contain `.await`.
    let (open, reference) = if is_constant(&arguments.place) {
        let shared = quote_spanned! {span=> {
            static LOCK: #library::macro_support::Shared<#lock> = #library::macro_support::Shared::new();
            LOCK.open(|| #open)
        }};
        (shared, quote_spanned!(span=> lock))
    } else {
        (open, quote_spanned!(span=> &lock))
    };
    let take = take(kind, arguments, signature, &reference);
    quote_spanned! {span=>
        match #open {
            ::core::result::Result::Ok(lock) => #take,
            ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
        }
    }
}

/// Takes the lock that the expression refers to.
fn take(
    kind: Kind,
    arguments: &Arguments,
    signature: &Signature,
    reference: &TokenStream,
) -> TokenStream {
    let span = Span::mixed_site();
    let library = &arguments.library;
    let lock = lock_type(kind, library);
    let name = |suffixed: &str| Ident::new(suffixed, span);
    let verb = match kind {
        Kind::Locked => "lock",
        Kind::ReadLocked => "read",
        Kind::WriteLocked => "write",
    };
    match (&arguments.limit, signature.asyncness) {
        (WaitLimit::Once(_), _) => {
            let method = name(&format!("try_{verb}"));
            quote_spanned!(span=> #lock::#method(#reference))
        }
        (WaitLimit::Forever, None) => {
            let method = name(verb);
            quote_spanned!(span=> #lock::#method(#reference))
        }
        (WaitLimit::Forever, Some(_)) => {
            let method = name(&format!("{verb}_async"));
            quote_spanned!(span=> #lock::#method(#reference).await)
        }
        (WaitLimit::For(..), None) => {
            let method = name(&format!("try_{verb}_for"));
            quote_spanned!(span=> #lock::#method(#reference, timeout))
        }
        (WaitLimit::For(..), Some(_)) => {
            let method = name(&format!("{verb}_async_for"));
            quote_spanned!(span=> #lock::#method(#reference, timeout).await)
        }
    }
}

fn lock_type(kind: Kind, library: &Path) -> TokenStream {
    let span = Span::mixed_site();
    match kind {
        Kind::Locked => quote_spanned!(span=> #library::Lock),
        Kind::ReadLocked | Kind::WriteLocked => quote_spanned!(span=> #library::RwLock),
    }
}

/// Returns a name that no other function has. Readers and writers share the name of their module,
/// as separate names would not exclude each other.
fn own_name(kind: Kind, library: &Path, signature: &Signature) -> TokenStream {
    // Packages often have modules and functions of the same name.
    let package = std::env::var("CARGO_PKG_NAME").map_or_else(|_| String::new(), |it| it + "::");
    let function = match kind {
        Kind::Locked => format!("::{}", signature.ident.unraw()),
        Kind::ReadLocked | Kind::WriteLocked => String::new(),
    };
    quote_spanned! {Span::mixed_site()=> {
        const NAME: &::core::primitive::str =
            ::core::concat!(#package, ::core::module_path!(), #function);
        const _: () = ::core::assert!(
            NAME.len() <= #library::macro_support::MAX_NAME,
            "the function's name is too long for a lock: choose one with `name = \"…\"`"
        );
        NAME
    }}
}

fn is_constant(place: &Place) -> bool {
    match place {
        Place::Own => true,
        Place::Path(value) | Place::Name(value) => is_text(value),
        Place::Lock(_) => false,
    }
}

fn is_text(value: &Expr) -> bool {
    matches!(
        value,
        Expr::Lit(ExprLit {
            lit: Lit::Str(_),
            ..
        })
    )
}
