//! The elements that lead somewhere, and those that change how what is in them is read.

/// What begins a tag, or an attribute, in lower case. One that is longer than any that matters is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Name {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Name {
    const LONGEST: usize = 16;

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn push(&mut self, byte: u8) {
        if let Some(room) = self.bytes.get_mut(self.length) {
            *room = byte.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    /// Takes in what comes before the first such byte, and says where that is.
    pub(super) fn read(&mut self, bytes: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            if ends(byte) {
                break;
            }
            self.push(byte);
            at += 1;
        }
        at
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// An element, by what it does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Area,
    Base,
    Frame,
    Iframe,
    Link,
    Meta,
    Noembed,
    Noframes,
    Plaintext,
    Script,
    Style,
    Textarea,
    Title,
    Xmp,
    Math,
    Svg,
    /// Where HTML begins again in SVG.
    Desc,
    ForeignObject,
    /// The same in MathML.
    Mi,
    Mn,
    Mo,
    Ms,
    Mtext,
    Other,
}

impl Kind {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"a" => Self::A,
            b"area" => Self::Area,
            b"base" => Self::Base,
            b"frame" => Self::Frame,
            b"iframe" => Self::Iframe,
            b"link" => Self::Link,
            b"meta" => Self::Meta,
            b"noembed" => Self::Noembed,
            b"noframes" => Self::Noframes,
            b"plaintext" => Self::Plaintext,
            b"script" => Self::Script,
            b"style" => Self::Style,
            b"textarea" => Self::Textarea,
            b"title" => Self::Title,
            b"xmp" => Self::Xmp,
            b"math" => Self::Math,
            b"svg" => Self::Svg,
            b"desc" => Self::Desc,
            b"foreignobject" => Self::ForeignObject,
            b"mi" => Self::Mi,
            b"mn" => Self::Mn,
            b"mo" => Self::Mo,
            b"ms" => Self::Ms,
            b"mtext" => Self::Mtext,
            _ => Self::Other,
        }
    }

    /// Whether its attributes say where to go.
    pub(super) fn is_read(self) -> bool {
        matches!(
            self,
            Self::A
                | Self::Area
                | Self::Base
                | Self::Frame
                | Self::Iframe
                | Self::Link
                | Self::Meta
        )
    }

    /// Whether there is nothing but text in it. `noscript` is none of them: nothing runs scripts here, so what it
    /// holds is for us.
    pub(super) fn has_text_only(self) -> bool {
        matches!(
            self,
            Self::Iframe
                | Self::Noembed
                | Self::Noframes
                | Self::Script
                | Self::Style
                | Self::Textarea
                | Self::Title
                | Self::Xmp
        )
    }

    fn holds_html_in(self, outer: Self) -> bool {
        match outer {
            Self::Svg => matches!(self, Self::Desc | Self::ForeignObject | Self::Title),
            _ => matches!(
                self,
                Self::Mi | Self::Mn | Self::Mo | Self::Ms | Self::Mtext
            ),
        }
    }
}

/// SVG and MathML that are open, and HTML within them, from the outside in.
///
/// The standard knows this from the tree of the page. Here it is the nesting of those elements alone, which is the
/// same in all pages but those that do not nest.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    open: Vec<Kind>,
}

/// More is not nested: what is deeper counts as what it is in.
const DEEPEST: usize = 64;

impl Foreign {
    /// Whether what comes is no HTML.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.open.last(), Some(Kind::Svg | Kind::Math))
    }

    /// Whether everything is HTML, so that nobody has to know what ends.
    pub(super) fn is_nowhere(&self) -> bool {
        self.open.is_empty()
    }

    /// A tag of HTML that must not be there ends all that it is in (section 13.2.6.5).
    pub(super) fn break_out(&mut self, name: &[u8], is_end: bool) {
        let breaks_out = if is_end {
            matches!(name, b"br" | b"p")
        } else {
            breaks_out(name)
        };
        if breaks_out {
            while self.is_here() {
                self.open.pop();
            }
        }
    }

    /// An element begins. True when it is no HTML.
    pub(super) fn start(&mut self, kind: Kind, self_closing: bool) -> bool {
        let outer = self.open.last().copied().filter(|_| self.is_here());
        let root = matches!(kind, Kind::Svg | Kind::Math);
        let html_within = outer.is_some_and(|outer| kind.holds_html_in(outer));
        if (root || html_within) && !self_closing && self.open.len() < DEEPEST {
            self.open.push(kind);
        }
        root || outer.is_some()
    }

    /// An element ends, and all that is open in it.
    pub(super) fn end(&mut self, kind: Kind) {
        if let Some(at) = self.open.iter().rposition(|&open| open == kind) {
            self.open.truncate(at);
        }
    }
}

fn breaks_out(name: &[u8]) -> bool {
    matches!(
        name,
        b"b" | b"big"
            | b"blockquote"
            | b"body"
            | b"br"
            | b"center"
            | b"code"
            | b"dd"
            | b"div"
            | b"dl"
            | b"dt"
            | b"em"
            | b"embed"
            | b"h1"
            | b"h2"
            | b"h3"
            | b"h4"
            | b"h5"
            | b"h6"
            | b"head"
            | b"hr"
            | b"i"
            | b"img"
            | b"li"
            | b"listing"
            | b"menu"
            | b"meta"
            | b"nobr"
            | b"ol"
            | b"p"
            | b"pre"
            | b"ruby"
            | b"s"
            | b"small"
            | b"span"
            | b"strong"
            | b"strike"
            | b"sub"
            | b"sup"
            | b"table"
            | b"tt"
            | b"u"
            | b"ul"
            | b"var"
    )
}
