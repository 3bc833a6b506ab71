//! The arguments of an attribute.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, Path, Result, Token, parse_quote};

use crate::duration;

/// The parsed arguments: a lock and the limit of the wait.
pub(crate) struct Arguments {
    pub(crate) place: Place,
    pub(crate) limit: WaitLimit,
    /// Path of the library.
    pub(crate) library: Path,
}

/// The lock to take.
pub(crate) enum Place {
    /// Named after the function.
    Own,
    /// At a path.
    Path(Expr),
    /// With a name.
    Name(Expr),
    /// A handle.
    Lock(Expr),
}

/// The limit of the wait.
pub(crate) enum WaitLimit {
    Forever,
    Once(Span),
    /// An expression for the duration, and the span for errors.
    For(Expr, Span),
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self {
            place: Place::Own,
            limit: WaitLimit::Forever,
            library: parse_quote!(::lockfast),
        };
        while !input.is_empty() {
            arguments.take(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    /// Returns all expressions that are evaluated at a call.
    pub(crate) fn expressions(&self) -> TokenStream {
        let mut tokens = TokenStream::new();
        match &self.place {
            Place::Own => {}
            Place::Path(value) | Place::Name(value) | Place::Lock(value) => {
                value.to_tokens(&mut tokens);
            }
        }
        if let WaitLimit::For(value, _) = &self.limit {
            value.to_tokens(&mut tokens);
        }
        tokens
    }

    fn take(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Token![try]) {
            let span = input.parse::<Token![try]>()?.span();
            return self.wait(WaitLimit::Once(span), span);
        }
        if !input.peek(Ident::peek_any) || !input.peek2(Token![=]) || input.peek2(Token![==]) {
            let path: Expr = input.parse()?;
            let span = path.span();
            return self.choose(Place::Path(path), span);
        }
        let key = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        if key == "crate" {
            self.library = input.call(Path::parse_mod_style)?;
            return Ok(());
        }
        let value: Expr = input.parse()?;
        if key == "path" {
            self.choose(Place::Path(value), key.span())
        } else if key == "name" {
            self.choose(Place::Name(value), key.span())
        } else if key == "lock" {
            self.choose(Place::Lock(value), key.span())
        } else if key == "timeout" {
            let span = value.span();
            self.wait(WaitLimit::For(timeout(value)?, span), span)
        } else {
            Err(Error::new(
                key.span(),
                "unknown argument: expected `path = …`, `name = …`, `lock = …`, \
                 `timeout = \"10s\"`, `try` or `crate = …`",
            ))
        }
    }

    fn choose(&mut self, place: Place, span: Span) -> Result<()> {
        if !matches!(self.place, Place::Own) {
            return Err(Error::new(
                span,
                "a function takes only one lock: this is the second",
            ));
        }
        self.place = place;
        Ok(())
    }

    fn wait(&mut self, limit: WaitLimit, span: Span) -> Result<()> {
        if !matches!(self.limit, WaitLimit::Forever) {
            return Err(Error::new(
                span,
                "expected either `try`, which does not wait, or one `timeout`",
            ));
        }
        self.limit = limit;
        Ok(())
    }
}

/// Converts a text to a `Duration`. Other expressions are evaluated at each call.
fn timeout(value: Expr) -> Result<Expr> {
    let Expr::Lit(ExprLit { lit, .. }) = &value else {
        return Ok(value);
    };
    let why = match lit {
        Lit::Str(text) => match duration::parse(&text.value()) {
            Ok(time) => {
                let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
                return Ok(parse_quote!(::core::time::Duration::new(#seconds, #nanoseconds)));
            }
            Err(why) => why,
        },
        _ => duration::FORM,
    };
    Err(Error::new(lit.span(), why))
}
