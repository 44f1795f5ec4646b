//! What `select!` becomes.
//!
//! `heist-sync` exports the macro and passes on what is in it, preceded by its own path in parentheses.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Block, Error, Expr, Pat, Token, parenthesized, token};

/// The whole of it.
struct Select {
    heist: TokenStream,
    biased: bool,
    branches: Vec<Branch>,
    otherwise: Option<TokenStream>,
}

/// `pattern = future, if condition => handler`
struct Branch {
    pattern: Pat,
    future: Expr,
    condition: Option<Expr>,
    handler: TokenStream,
}

mod keyword {
    syn::custom_keyword!(biased);
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Select>(input) {
        Ok(select) => select.expand(),
        Err(error) => error.into_compile_error(),
    }
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path;
        parenthesized!(path in input);
        let heist = path.parse()?;
        let biased = input.peek(keyword::biased) && input.peek2(Token![;]);
        if biased {
            input.parse::<keyword::biased>()?;
            input.parse::<Token![;]>()?;
        }
        let mut branches = Vec::new();
        let mut otherwise = None;
        while !input.is_empty() {
            if input.peek(Token![else]) {
                input.parse::<Token![else]>()?;
                input.parse::<Token![=>]>()?;
                otherwise = Some(handler(input)?);
                if !input.is_empty() {
                    return Err(input.error("`else` is the last branch of select!"));
                }
            } else {
                branches.push(input.parse()?);
            }
        }
        if branches.is_empty() && otherwise.is_none() {
            let what = "select! needs a branch: `pattern = future => handler`";
            return Err(Error::new(Span::call_site(), what));
        }
        Ok(Self {
            heist,
            biased,
            branches,
            otherwise,
        })
    }
}

impl Parse for Branch {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        input.parse::<Token![=]>()?;
        let future = input.parse()?;
        let mut condition = None;
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            input.parse::<Token![if]>()?;
            condition = Some(input.parse()?);
        }
        input.parse::<Token![=>]>()?;
        Ok(Self {
            pattern,
            future,
            condition,
            handler: handler(input)?,
        })
    }
}

/// A block, after which the comma may be left out, or an expression.
fn handler(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    if input.peek(token::Brace) {
        let block: Block = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        return Ok(quote!(#block));
    }
    let expr: Expr = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(quote!(#expr))
}

impl Select {
    fn expand(self) -> TokenStream {
        // Names of its own, which nothing in the program can see.
        let span = Span::mixed_site();
        let private = {
            let heist = &self.heist;
            quote!(#heist::__private)
        };
        let order = format_ident!("{}", if self.biased { "Biased" } else { "Fair" });
        // All conditions before all futures, which may borrow what the conditions look at.
        let enabled = |index: usize| format_ident!("enabled_{index}", span = span);
        let conditions = self.branches.iter().enumerate().map(|(index, branch)| {
            let enabled = enabled(index);
            let condition = branch.condition.as_ref()?;
            Some(quote_spanned!(span=> let #enabled: bool = #condition;))
        });
        let conditions = conditions.collect::<Vec<_>>();
        let mut list = quote!(#private::Nil);
        for (index, branch) in self.branches.iter().enumerate().rev() {
            list = branch.before(&list, &private, &enabled(index));
        }
        let arms = self.branches.iter().enumerate().map(|(index, branch)| {
            let Branch {
                pattern, handler, ..
            } = branch;
            let mut winner = quote!(#private::Winner::This(#pattern));
            for _ in 0..index {
                winner = quote!(#private::Winner::Later(#winner));
            }
            quote!(::core::option::Option::Some(#winner) => #handler,)
        });
        let otherwise = self.otherwise.unwrap_or_else(|| {
            quote! {
                ::core::panic!("every branch of a select! is switched off, and it has no `else`")
            }
        });
        quote_spanned! {span=> {
            #(#conditions)*
            let winner = match #private::Race::new(#private::Order::#order, #list) {
                contest => #private::decide("select", ::core::pin::pin!(contest)).await,
            };
            match winner {
                #(#arms)*
                ::core::option::Option::None => #otherwise,
                #[allow(unreachable_patterns)]
                _ => ::core::unreachable!("the pattern of the branch accepted the output"),
            }
        }}
    }
}

impl Branch {
    /// The list that begins with this branch. What is switched off is not even made.
    fn before(
        &self,
        rest: &TokenStream,
        private: &TokenStream,
        enabled: &syn::Ident,
    ) -> TokenStream {
        let future = &self.future;
        let span = Span::mixed_site();
        let some = quote_spanned! {span=>
            ::core::option::Option::Some(::core::future::IntoFuture::into_future(#future))
        };
        let future = match self.condition {
            None => some,
            Some(_) => quote_spanned! {span=>
                if #enabled { #some } else { ::core::option::Option::None }
            },
        };
        let mut shape = self.pattern.clone();
        without_names(&mut shape);
        quote_spanned! {span=>
            match #future {
                future => {
                    #[allow(unused_imports)]
                    use #private::ProbeOwned as _;
                    let ownership = #private::Probe::of_option(&future).ownership();
                    #private::Cons::with(
                        future.map(|future| #private::Eligible::new(
                            future,
                            // The place is looked at and nothing is moved out of it.
                            #[allow(unreachable_patterns)]
                            |output: &_| match *output {
                                #shape => true,
                                _ => false,
                            },
                        )),
                        ownership,
                        #rest,
                    )
                }
            }
        }
    }
}

/// Puts `_` for every name that a pattern binds, so that it can be tried without taking anything.
///
/// A name that stands alone and begins with a capital is taken for a constant or a variant, as `None` is.
fn without_names(pattern: &mut Pat) {
    match pattern {
        Pat::Ident(name) => {
            if let Some((_, inner)) = name.subpat.take() {
                *pattern = *inner;
                without_names(pattern);
            } else if name.by_ref.is_some() || name.mutability.is_some() || is_small(&name.ident) {
                *pattern = wildcard();
            }
        }
        Pat::Or(or) => or.cases.iter_mut().for_each(without_names),
        Pat::Paren(paren) => without_names(&mut paren.pat),
        Pat::Reference(reference) => without_names(&mut reference.pat),
        Pat::Slice(slice) => slice.elems.iter_mut().for_each(without_names),
        Pat::Struct(fields) => {
            for field in &mut fields.fields {
                // `Point { x }` becomes `Point { x: _ }`.
                if field.colon_token.is_none() {
                    field.colon_token = Some(Token![:](Span::mixed_site()));
                    *field.pat = wildcard();
                } else {
                    without_names(&mut field.pat);
                }
            }
        }
        Pat::Tuple(tuple) => tuple.elems.iter_mut().for_each(without_names),
        Pat::TupleStruct(tuple) => tuple.elems.iter_mut().for_each(without_names),
        Pat::Type(typed) => without_names(&mut typed.pat),
        _ => {}
    }
}

fn is_small(name: &syn::Ident) -> bool {
    let name = name.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    !name.trim_start_matches('_').starts_with(char::is_uppercase)
}

fn wildcard() -> Pat {
    Pat::Wild(syn::PatWild {
        attrs: Vec::new(),
        underscore_token: Token![_](Span::mixed_site()),
    })
}
