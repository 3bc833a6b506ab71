//! The expression that takes the lock.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, Path, Signature};

use crate::arguments::{Arguments, Patience, Place};

/// Which of the attributes it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Locked,
    ReadLocked,
    WriteLocked,
}

/// What becomes of an error of the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Return,
    Panic,
}

/// An expression for the guard, which returns or panics if there is none to be had.
pub(crate) fn guard(
    kind: Kind,
    arguments: &Arguments,
    signature: &Signature,
    outcome: Outcome,
) -> TokenStream {
    let span = Span::mixed_site();
    let library = &arguments.library;
    let timeout = match &arguments.patience {
        Patience::For(timeout, _) => {
            quote_spanned!(span=> let timeout: ::core::time::Duration = #timeout;)
        }
        Patience::Forever | Patience::Once(_) => TokenStream::new(),
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

/// An expression for the guard or the error.
fn attempt(kind: Kind, arguments: &Arguments, signature: &Signature) -> TokenStream {
    let span = Span::mixed_site();
    let library = &arguments.library;
    let lock = lock_type(kind, library);
    let open = match &arguments.place {
        Place::Lock(given) => {
            return take(kind, arguments, &quote_spanned!(span=> &(#given)));
        }
        Place::Own => {
            let name = own_name(kind, library, signature);
            quote_spanned!(span=> #lock::named(#name))
        }
        Place::Path(path) => quote_spanned!(span=> #lock::open(&(#path))),
        Place::Name(name) => quote_spanned!(span=> #lock::named(&(#name))),
    };
    if is_the_same_for_all_calls(&arguments.place) {
        let take = take(kind, arguments, &quote_spanned!(span=> lock));
        quote_spanned! {span=> {
            static LOCK: ::std::sync::OnceLock<#lock> = ::std::sync::OnceLock::new();
            #library::macro_support::shared(&LOCK, || #open).and_then(|lock| #take)
        }}
    } else {
        let take = take(kind, arguments, &quote_spanned!(span=> &lock));
        quote_spanned!(span=> #open.and_then(|lock| #take))
    }
}

/// Takes the lock that the expression refers to.
fn take(kind: Kind, arguments: &Arguments, reference: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let lock = lock_type(kind, &arguments.library);
    match (kind, &arguments.patience) {
        (Kind::Locked, Patience::Forever) => quote_spanned!(span=> #lock::lock(#reference)),
        (Kind::Locked, Patience::Once(_)) => quote_spanned!(span=> #lock::try_lock(#reference)),
        (Kind::Locked, Patience::For(..)) => {
            quote_spanned!(span=> #lock::try_lock_for(#reference, timeout))
        }
        (Kind::ReadLocked, Patience::Forever) => quote_spanned!(span=> #lock::read(#reference)),
        (Kind::ReadLocked, Patience::Once(_)) => quote_spanned!(span=> #lock::try_read(#reference)),
        (Kind::ReadLocked, Patience::For(..)) => {
            quote_spanned!(span=> #lock::try_read_for(#reference, timeout))
        }
        (Kind::WriteLocked, Patience::Forever) => quote_spanned!(span=> #lock::write(#reference)),
        (Kind::WriteLocked, Patience::Once(_)) => {
            quote_spanned!(span=> #lock::try_write(#reference))
        }
        (Kind::WriteLocked, Patience::For(..)) => {
            quote_spanned!(span=> #lock::try_write_for(#reference, timeout))
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

/// A name that no other function has; for readers and writers, the one of their module, as a name
/// for each would exclude nobody.
fn own_name(kind: Kind, library: &Path, signature: &Signature) -> TokenStream {
    // Programs of different packages often have modules and functions of the same names.
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
            "the function has too long a name for a lock: give one by `name = \"…\"`"
        );
        NAME
    }}
}

fn is_the_same_for_all_calls(place: &Place) -> bool {
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
