//! What streams say about themselves.

/// `Debug` for a type that holds a closure or futures, which have none: it shows the stream alone.
macro_rules! debug_stream {
    ($name:ident<S $(, $param:ident)*> $(where $($bound:tt)*)?) => {
        impl<S: ::std::fmt::Debug $(, $param)*> ::std::fmt::Debug for $name<S $(, $param)*>
        $(where $($bound)*)?
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("stream", &self.stream)
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use debug_stream;
