//! What a site allows ([RFC 9309]).
//!
//! | module | what it does |
//! |---|---|
//! | `pattern` | one path pattern, and whether it matches |
//! | `parse` | a file, from bytes to the rules for one crawler |
//!
//! [RFC 9309]: https://www.rfc-editor.org/rfc/rfc9309

mod pattern;
mod parse;

pub use self::parse::{MAX_ROBOTS, Robots};
