//! Whether a branch is the future itself or a reference to it.
//!
//! A future that was only lent goes on to live when it has lost: its owner may poll it again, in the
//! next round of a loop for instance. So it must not be unwound, which would end it.

use std::marker::PhantomData;
use std::pin::Pin;

/// Whose future a branch is.
pub trait Ownership {
    /// Whether it belongs to somebody else.
    const IS_LENT: bool;
}

/// The branch is the future, and ends with the branches.
#[derive(Debug, Clone, Copy)]
pub struct Owned;

/// The branch is a reference to a future.
#[derive(Debug, Clone, Copy)]
pub struct Lent;

impl Ownership for Owned {
    const IS_LENT: bool = false;
}

impl Ownership for Lent {
    const IS_LENT: bool = true;
}

/// Tells a macro which of them its expression is. The method of the type itself, for references, goes
/// before the one of the trait [`ProbeOwned`], which is for everything.
#[derive(Debug)]
pub struct Probe<F>(PhantomData<F>);

impl<F> Probe<F> {
    /// Asks about a future.
    pub fn of(_: &F) -> Self {
        Self(PhantomData)
    }

    /// Asks about a future that may not be there.
    pub fn of_option(_: &Option<F>) -> Self {
        Self(PhantomData)
    }
}

impl<F: ?Sized> Probe<&mut F> {
    /// What it is.
    pub fn ownership(&self) -> Lent {
        Lent
    }
}

impl<F: ?Sized> Probe<Pin<&mut F>> {
    /// What it is.
    pub fn ownership(&self) -> Lent {
        Lent
    }
}

/// See [`Probe`].
pub trait ProbeOwned {
    /// What it is.
    fn ownership(&self) -> Owned {
        Owned
    }
}

impl<F> ProbeOwned for Probe<F> {}
