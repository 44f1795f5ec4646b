//! What may stand in the parentheses of an attribute.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, Lit, LitInt, Path, Token, parse_quote};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "#[heist::main]",
            Self::Test => "#[heist::test]",
        }
    }
}

/// How many workers the runtime has.
pub(crate) enum Workers {
    /// As many as the builder chooses.
    Default,
    Exactly(LitInt),
}

/// The arguments, all of them checked.
pub(crate) struct Args {
    pub(crate) workers: Workers,
    /// The variant of `RingProfile`.
    pub(crate) profile: Option<Ident>,
    /// Where `start_paused = true` stands.
    pub(crate) start_paused: Option<Span>,
    /// The path of the facade.
    pub(crate) heist: Path,
}

impl Args {
    /// The arguments in `tokens`, and an error for each one that makes no sense. Those are left out, so
    /// that the rest of the function is compiled all the same and reports no errors that follow from them.
    pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> (Self, Option<Error>) {
        let mut given = Given::default();
        let parse = |input: ParseStream<'_>| given.parse_all(input);
        if let Err(error) = parse.parse2(tokens) {
            given.complain(error);
        }
        given.finish(kind)
    }
}

const NAMES: &str = "`worker_threads`, `flavor`, `profile`, `start_paused` and `crate`";

/// What was found so far.
#[derive(Default)]
struct Given {
    names: Vec<Ident>,
    worker_threads: Option<LitInt>,
    /// Whether the flavor is `current_thread`.
    current_thread: Option<bool>,
    profile: Option<Ident>,
    start_paused: Option<Span>,
    heist: Option<Path>,
    error: Option<Error>,
}

impl Given {
    fn complain(&mut self, error: Error) {
        match &mut self.error {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    fn parse_all(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if !input.peek(Token![=]) {
                return Err(Error::new(
                    name.span(),
                    format!("an argument is `name = value`, and the names are {NAMES}"),
                ));
            }
            input.parse::<Token![=]>()?;
            let value: Lit = input.parse()?;
            if self.names.contains(&name) {
                let message = format!("`{name}` is given twice");
                self.complain(Error::new(name.span(), message));
            } else if let Err(error) = self.take(&name, &value) {
                self.complain(error);
            }
            self.names.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &Ident, value: &Lit) -> syn::Result<()> {
        match name.to_string().as_str() {
            "worker_threads" => self.worker_threads = Some(worker_threads(value)?),
            "flavor" => self.current_thread = Some(is_current_thread(value)?),
            "profile" => self.profile = Some(profile(value)?),
            "start_paused" => self.start_paused = start_paused(value)?,
            "crate" => self.heist = Some(path(value)?),
            _ => {
                let message = format!("unknown argument `{name}`; there are {NAMES}");
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }

    fn finish(mut self, kind: Kind) -> (Args, Option<Error>) {
        let workers = match (self.worker_threads.take(), self.current_thread) {
            (Some(count), Some(true)) => {
                let message = "`worker_threads` needs `flavor = \"multi_thread\"`: a \"current_thread\" \
                               runtime has a single worker";
                self.complain(Error::new(count.span(), message));
                Workers::Default
            }
            (Some(count), _) => Workers::Exactly(count),
            (None, Some(false)) => Workers::Default,
            (None, None) if kind == Kind::Main => Workers::Default,
            (None, _) => Workers::Exactly(parse_quote!(1)),
        };
        let args = Args {
            workers,
            profile: self.profile,
            start_paused: self.start_paused,
            heist: self.heist.unwrap_or_else(|| parse_quote!(::heist)),
        };
        (args, self.error)
    }
}

fn worker_threads(value: &Lit) -> syn::Result<LitInt> {
    let wrong = || Error::new(value.span(), "`worker_threads` is a number, at least 1");
    let Lit::Int(count) = value else {
        return Err(wrong());
    };
    match count.base10_parse::<usize>() {
        Ok(1..) => Ok(count.clone()),
        _ => Err(wrong()),
    }
}

fn is_current_thread(value: &Lit) -> syn::Result<bool> {
    match text(value).as_deref() {
        Some("current_thread") => Ok(true),
        Some("multi_thread") => Ok(false),
        _ => Err(Error::new(
            value.span(),
            "`flavor` is \"multi_thread\" or \"current_thread\"",
        )),
    }
}

fn profile(value: &Lit) -> syn::Result<Ident> {
    let variant = match text(value).as_deref() {
        Some("defer") => "Defer",
        Some("coop") => "Coop",
        Some("pinned") => "Pinned",
        _ => {
            let message = "`profile` is \"defer\", \"coop\" or \"pinned\"";
            return Err(Error::new(value.span(), message));
        }
    };
    Ok(Ident::new(variant, value.span()))
}

fn start_paused(value: &Lit) -> syn::Result<Option<Span>> {
    match value {
        Lit::Bool(on) => Ok(on.value.then(|| on.span())),
        _ => Err(Error::new(
            value.span(),
            "`start_paused` is `true` or `false`",
        )),
    }
}

fn path(value: &Lit) -> syn::Result<Path> {
    let wrong = || {
        Error::new(
            value.span(),
            "`crate` is the path of the crate heist, as text: \"::my::heist\"",
        )
    };
    let Lit::Str(text) = value else {
        return Err(wrong());
    };
    text.parse_with(Path::parse_mod_style).map_err(|_| wrong())
}

fn text(value: &Lit) -> Option<String> {
    match value {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}
