//! Tokens: whoever holds one is still unwinding, and the scope waits for it.

use crate::primitives::atomic::Ordering;
use crate::scope::current;
use crate::scope::node::NodeRef;

/// Keeps `of` from dropping its body.
#[derive(Debug)]
pub(crate) struct Token {
    of: NodeRef,
    /// The scope that holds it, if it is one.
    by: Option<NodeRef>,
}

impl Token {
    fn take(of: &NodeRef, by: Option<&NodeRef>) -> Self {
        of.busy.fetch_add(1, Ordering::AcqRel);
        if let Some(by) = by {
            by.flags.set_holding(true);
        }
        Self {
            of: of.clone(),
            by: by.cloned(),
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(by) = &self.by {
            by.flags.set_holding(false);
        }
        self.of.busy.fetch_sub(1, Ordering::AcqRel);
        // Within a poll of its body the scope looks at its tokens afterwards anyway.
        if !current::is(&self.of) {
            self.of.wake();
        }
    }
}

/// Takes, keeps or gives back the token of the current scope, which `by` needs while that is being
/// cancelled.
pub(crate) fn hold_current(token: &mut Option<Token>, by: Option<&NodeRef>) {
    if current::is_cancelled() {
        hold(token, current::get().as_ref(), by);
    } else {
        *token = None;
    }
}

/// The same for `scope`.
pub(super) fn hold(token: &mut Option<Token>, scope: Option<&NodeRef>, by: Option<&NodeRef>) {
    match scope {
        // A task's root is the current scope itself, and waits for nobody above.
        Some(scope) if scope.flags.get().is_cancelled() && !by.is_some_and(|by| by.is(scope)) => {
            if !token.as_ref().is_some_and(|held| held.of.is(scope)) {
                // First, since it clears what the new one notes.
                *token = None;
                *token = Some(Token::take(scope, by));
            }
        }
        _ => *token = None,
    }
}

/// What a leaf holds while something must be waited for that its cancelled scope cannot see: the kernel's
/// answer to a cancel, say.
///
/// Dropping it gives the token back.
#[derive(Debug, Default)]
pub struct LeafToken(Option<Token>);

impl LeafToken {
    /// Without a token.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Has the current scope, if it is being cancelled, wait until [`release`](Self::release).
    ///
    /// A leaf calls this whenever it is pending for such a reason.
    pub fn hold(&mut self) {
        hold_current(&mut self.0, None);
    }

    /// Lets the scope go on.
    pub fn release(&mut self) {
        self.0 = None;
    }

    /// Whether a token is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.is_some()
    }
}
