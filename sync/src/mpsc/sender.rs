//! What the senders of both kinds of channels have in common.

/// The methods and traits that a sender and its weak one have in either kind of channel.
macro_rules! senders {
    ($sender:ident, $weak:ident, $limit:ident) => {
        impl<T> $sender<T> {
            /// Waits until the receiver is closed or dropped.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future loses nothing.
            #[track_caller]
            pub fn closed(&self) -> impl Future<Output = ()> {
                let closed = self.chan.shared.open.take(1, Leaf::here());
                async move {
                    let Err(Closed) = closed.await else {
                        unreachable!("there never is a permit");
                    };
                }
            }

            /// Whether the receiver was closed or dropped, so that sending would fail.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                $limit::is_closed(&self.chan)
            }

            /// Whether both send into the same channel.
            #[must_use]
            pub fn same_channel(&self, other: &Self) -> bool {
                self.chan.is_same(&other.chan)
            }

            /// A sender that does not keep the channel open.
            #[must_use]
            pub fn downgrade(&self) -> $weak<T> {
                $weak {
                    chan: self.chan.downgrade(),
                }
            }
        }

        impl<T> $weak<T> {
            /// A sender, unless all were dropped.
            #[must_use]
            pub fn upgrade(&self) -> Option<$sender<T>> {
                self.chan.upgrade().map(|chan| $sender { chan })
            }
        }

        impl<T> fmt::Debug for $weak<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($weak)).finish_non_exhaustive()
            }
        }

        senders!(both $sender);
        senders!(both $weak);
    };
    (both $sender:ident) => {
        impl<T> $sender<T> {
            /// How many senders there are.
            #[must_use]
            pub fn strong_count(&self) -> usize {
                self.chan.shared.strong_count()
            }

            /// How many weak senders there are.
            #[must_use]
            pub fn weak_count(&self) -> usize {
                self.chan.shared.weak_count()
            }
        }

        impl<T> Clone for $sender<T> {
            fn clone(&self) -> Self {
                Self {
                    chan: self.chan.clone(),
                }
            }
        }
    };
}

pub(super) use senders;
