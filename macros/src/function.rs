//! The function that an attribute stands before.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Signature, Visibility, braced};

/// A function whose body is not parsed: the compiler does that again anyway, and an editor can complete code
/// in a body that is not valid yet.
pub(crate) struct Function {
    /// Those before it.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The attributes at the start of the body, which are the function's too.
    pub(crate) inner_attributes: Vec<Attribute>,
    pub(crate) body: TokenStream,
    /// Where the body's last statement stands, for errors about its type.
    pub(crate) end: Span,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let content;
        let braces = braced!(content in input);
        let inner_attributes = content.call(Attribute::parse_inner)?;
        let body: TokenStream = content.parse()?;
        let end = last_statement(&body).unwrap_or(braces.span.join());
        Ok(Self {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body,
            end,
        })
    }
}

/// The first token behind the last semicolon that something follows.
fn last_statement(body: &TokenStream) -> Option<Span> {
    let mut start = None;
    let mut begins = true;
    for token in body.clone() {
        if begins {
            start = Some(token.span());
        }
        begins = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == ';');
    }
    start
}
