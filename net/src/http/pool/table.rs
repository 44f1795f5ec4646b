//! The hosts of a pool, by name and by number.

use std::collections::HashMap;
use std::sync::Arc;

use super::hosts::Host;

/// Names a host as long as it has a slot. Then another may get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct HostId(u32);

/// All hosts that have slots.
///
/// A request asks for its host by name, once. What it gets has the number, which is looked up faster, and costs no
/// count of references that all workers would share.
#[derive(Debug)]
pub(super) struct Table<T> {
    by_name: HashMap<Arc<str>, HostId>,
    /// The host that was asked for last. Many requests in a row are for one host, and comparing its name costs a tenth of
    /// looking it up.
    last: Option<HostId>,
    places: Vec<Option<Host<T>>>,
    /// Places without a host.
    free: Vec<HostId>,
}

impl HostId {
    #[cfg(test)]
    pub(in crate::http) const fn new(index: u32) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            last: None,
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    /// The host of this name, which is added if it is not there.
    pub(super) fn find_or_add(&mut self, name: &str) -> HostId {
        // Its number may be another's by now, which has another name.
        if let Some(id) = self.last
            && self.get(id).is_some_and(|host| *host.name == *name)
        {
            return id;
        }
        // One look for a host that is known, which is nearly every one.
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None => self.add(name.into()),
        };
        self.last = Some(id);
        id
    }

    fn add(&mut self, name: Arc<str>) -> HostId {
        let id = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.places.len()).expect("each has an open connection");
            self.places.push(None);
            HostId(index)
        });
        self.places[id.index()] = Some(Host::new(name.clone()));
        self.by_name.insert(name, id);
        id
    }

    pub(super) fn get(&self, id: HostId) -> Option<&Host<T>> {
        self.places.get(id.index())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: HostId) -> Option<&mut Host<T>> {
        self.places.get_mut(id.index())?.as_mut()
    }

    /// Forgets a host that has no slots any more.
    pub(super) fn remove(&mut self, id: HostId) {
        let place = self.places.get_mut(id.index());
        if let Some(host) = place.and_then(Option::take) {
            self.by_name.remove(&host.name);
            self.free.push(id);
        }
    }

    #[cfg(test)]
    pub(super) fn by_name(&self, name: &str) -> Option<&Host<T>> {
        self.get(*self.by_name.get(name)?)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
