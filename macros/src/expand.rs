//! What the attributes make of a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Error, Ident, ReturnType, Signature, Type};

use crate::args::{Args, Kind, Workers};
use crate::function::Function;

/// The function as an ordinary one, and the errors. It is expanded even if there are some, as far as it can
/// be, so that none follow from its absence.
pub(crate) fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let (args, wrong_args) = Args::parse(kind, args);
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let what = format!("{} belongs before an `async fn`: {error}", kind.name());
            let error = Error::new(error.span(), what).into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = TokenStream::new();
    let checks = [
        wrong_args,
        not_async(kind, &function),
        inputs(kind, &function.signature),
    ];
    for error in checks.into_iter().flatten() {
        errors.extend(error.into_compile_error());
    }
    if let Some(error) = second_test(kind, &function) {
        // Two tests of one name would only add to the confusion.
        errors.extend(error.into_compile_error());
        return errors;
    }
    let function = ordinary(kind, &args, function);
    quote!(#errors #function)
}

fn not_async(kind: Kind, function: &Function) -> Option<Error> {
    let signature = &function.signature;
    signature.asyncness.is_none().then(|| {
        let what = format!("{} needs an `async fn`", kind.name());
        Error::new_spanned(signature.fn_token, what)
    })
}

fn inputs(kind: Kind, signature: &Signature) -> Option<Error> {
    let what = match kind {
        Kind::Main if signature.ident == "main" => "the function `main` takes no arguments",
        Kind::Main => return None,
        Kind::Test => "a test takes no arguments",
    };
    (!signature.inputs.is_empty()).then(|| Error::new_spanned(&signature.inputs, what))
}

fn second_test(kind: Kind, function: &Function) -> Option<Error> {
    let is_test = |path: &syn::Path| {
        path.segments
            .last()
            .is_some_and(|last| last.ident == "test")
    };
    let second = function
        .attributes
        .iter()
        .find(|attribute| kind == Kind::Test && is_test(attribute.path()))?;
    let what = "this makes it a test twice; #[heist::test] alone is enough";
    Some(Error::new_spanned(second, what))
}

/// The function without `async`, which runs its body on a runtime.
fn ordinary(kind: Kind, args: &Args, function: Function) -> TokenStream {
    let Function {
        attributes,
        visibility,
        mut signature,
        inner_attributes,
        body,
        end,
    } = function;
    signature.asyncness = None;
    let test = (kind == Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let hint = hint(&signature.output);
    let builder = builder(args);
    let support = support(args);
    let run = match (args.start_paused, kind) {
        (Some(_), _) => "run_paused",
        (None, Kind::Main) => "run",
        (None, Kind::Test) => "run_test",
    };
    // The call is the value of the function: what is wrong about its type is shown at the last statement.
    let run = Ident::new(run, Span::call_site().located_at(end));
    let test_util = args.start_paused.map(|span| {
        quote_spanned! {span=>
            const _: () = ::core::assert!(#support::TEST_UTIL, "{}", #support::NEEDS_TEST_UTIL);
        }
    });
    let call = quote_spanned!(Span::call_site().located_at(end)=> #support::#run(builder, body));
    quote! {
        #test
        #(#attributes)*
        #visibility #signature {
            #(#inner_attributes)*
            #test_util
            let builder = #builder;
            let body = async move { #hint #body };
            #call
        }
    }
}

fn support(args: &Args) -> TokenStream {
    let heist = &args.heist;
    quote!(#heist::macro_support)
}

fn builder(args: &Args) -> TokenStream {
    let support = support(args);
    let workers = match &args.workers {
        Workers::Default => None,
        Workers::Exactly(count) => Some(quote!(.worker_threads(#count))),
    };
    let profile = args
        .profile
        .as_ref()
        .map(|profile| quote!(.ring_profile(#support::RingProfile::#profile)));
    quote!(#support::Builder::new() #workers #profile)
}

/// Tells the compiler what the block returns, as it knows of an `async fn`: an unreachable `return` that
/// has the type. What the block returns is coerced to it, and errors name it.
fn hint(output: &ReturnType) -> Option<TokenStream> {
    let output = match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) if can_be_named(ty) => ty.to_token_stream(),
        ReturnType::Type(..) => return None,
    };
    Some(quote! {
        #[allow(
            unreachable_code,
            clippy::diverging_sub_expression,
            clippy::empty_loop,
            clippy::let_unit_value,
            clippy::needless_return,
            clippy::unreachable
        )]
        if false {
            let output: #output = ::core::unreachable!();
            return output;
        }
    })
}

/// Whether a variable can have the type: not if it is `!` or has `impl Trait` in it.
fn can_be_named(ty: &Type) -> bool {
    fn has_impl(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == "impl",
            proc_macro2::TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    !matches!(ty, Type::Never(_)) && !has_impl(ty.to_token_stream())
}
