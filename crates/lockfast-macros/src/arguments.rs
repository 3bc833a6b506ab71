//! What stands in the brackets of an attribute.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, Path, Result, Token, parse_quote};

use crate::timeout;

/// Which lock, and how long to wait for it.
pub(crate) struct Arguments {
    pub(crate) place: Place,
    pub(crate) patience: Patience,
    /// By which path the library is found.
    pub(crate) library: Path,
}

/// Which lock.
pub(crate) enum Place {
    /// The one with the function's own name.
    Own,
    /// The one at a path.
    Path(Expr),
    /// The one with a name.
    Name(Expr),
    /// A handle.
    Lock(Expr),
}

/// How long to wait.
pub(crate) enum Patience {
    Forever,
    Once(Span),
    /// An expression for the time, and what to blame.
    For(Expr, Span),
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self {
            place: Place::Own,
            patience: Patience::Forever,
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
    /// All that is evaluated at a call.
    pub(crate) fn expressions(&self) -> TokenStream {
        let mut tokens = TokenStream::new();
        match &self.place {
            Place::Own => {}
            Place::Path(value) | Place::Name(value) | Place::Lock(value) => {
                value.to_tokens(&mut tokens);
            }
        }
        if let Patience::For(value, _) = &self.patience {
            value.to_tokens(&mut tokens);
        }
        tokens
    }

    fn take(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Token![try]) {
            let span = input.parse::<Token![try]>()?.span();
            return self.wait(Patience::Once(span), span);
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
            self.wait(Patience::For(duration(value)?, span), span)
        } else {
            Err(Error::new(
                key.span(),
                "not known here: there are `path = …`, `name = …`, `lock = …`, \
                 `timeout = \"10s\"`, `try` and `crate = …`",
            ))
        }
    }

    fn choose(&mut self, place: Place, span: Span) -> Result<()> {
        if !matches!(self.place, Place::Own) {
            return Err(Error::new(span, "one lock only: this is the second"));
        }
        self.place = place;
        Ok(())
    }

    fn wait(&mut self, patience: Patience, span: Span) -> Result<()> {
        if !matches!(self.patience, Patience::Forever) {
            return Err(Error::new(
                span,
                "either `try`, which does not wait, or one `timeout`",
            ));
        }
        self.patience = patience;
        Ok(())
    }
}

/// A text is read now; any other expression gives a `Duration` at each call.
fn duration(value: Expr) -> Result<Expr> {
    let Expr::Lit(ExprLit { lit, .. }) = &value else {
        return Ok(value);
    };
    let why = match lit {
        Lit::Str(text) => match timeout::milliseconds(&text.value()) {
            Ok(milliseconds) => {
                return Ok(parse_quote!(::core::time::Duration::from_millis(#milliseconds)));
            }
            Err(why) => why,
        },
        _ => timeout::FORM,
    };
    Err(Error::new(lit.span(), why))
}
