//! What the tags that matter say.

use super::elements::{Kind, Name};

/// Longest value of an attribute that is of use: as an address it may be written in character references.
const LONGEST_VALUE: usize = 64 << 10;

/// An attribute that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Href,
    Src,
    Rel,
    Name,
    Content,
    Charset,
    HttpEquiv,
}

/// How many there are.
const ATTRIBUTES: usize = 7;

impl Attribute {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"href" => Self::Href,
            b"src" => Self::Src,
            b"rel" => Self::Rel,
            b"name" => Self::Name,
            b"content" => Self::Content,
            b"charset" => Self::Charset,
            b"http-equiv" => Self::HttpEquiv,
            _ => return None,
        })
    }
}

/// A start tag that matters.
#[derive(Debug)]
pub(super) struct Tag<'t> {
    pub(super) kind: Kind,
    values: &'t Values,
}

impl<'t> Tag<'t> {
    pub(super) fn new(kind: Kind, values: &'t Values) -> Self {
        Self { kind, values }
    }

    /// The value of an attribute as it stands in the source, character references and all; empty when it has none.
    pub(super) fn get(&self, attribute: Attribute) -> Option<&'t [u8]> {
        let (from, to) = self.values.spans[attribute as usize]?;
        Some(&self.values.bytes[from..to])
    }
}

/// The attributes of the tag at hand. Of two with the same name the first counts.
#[derive(Debug, Default)]
pub(super) struct Values {
    bytes: Vec<u8>,
    spans: [Option<(usize, usize)>; ATTRIBUTES],
    /// The one whose value is being read, if it is of use.
    current: Option<Attribute>,
}

impl Values {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans = [None; ATTRIBUTES];
        self.current = None;
    }

    /// The name of an attribute has ended.
    pub(super) fn begin(&mut self, name: &Name) {
        self.current = Attribute::of(name.as_bytes())
            .filter(|&attribute| self.spans[attribute as usize].is_none());
        if let Some(attribute) = self.current {
            let at = self.bytes.len();
            self.spans[attribute as usize] = Some((at, at));
        }
    }

    /// The value at hand has ended.
    pub(super) fn end(&mut self) {
        self.current = None;
    }

    pub(super) fn extend(&mut self, part: &[u8]) {
        let Some(attribute) = self.current else {
            return;
        };
        let Some((from, to)) = &mut self.spans[attribute as usize] else {
            return;
        };
        if *to - *from + part.len() > LONGEST_VALUE {
            self.bytes.truncate(*from);
            self.spans[attribute as usize] = None;
            self.current = None;
            return;
        }
        self.bytes.extend_from_slice(part);
        *to = self.bytes.len();
    }
}
