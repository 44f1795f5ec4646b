//! The list: each function, a world in which somebody has to wait for it, and what has to be true of that
//! world when nobody does.

mod channels;
mod locks;
mod scopes;

use crate::{Point, World};

/// A name, and how its world is made.
type Entry = (&'static str, fn() -> World);

/// Every point there is.
pub(crate) fn all() -> Vec<Point> {
    let lists: [fn() -> Vec<Entry>; 3] = [locks::all, channels::all, scopes::all];
    lists
        .into_iter()
        .flat_map(|list| list())
        .map(|(name, world)| Point { name, world })
        .collect()
}
