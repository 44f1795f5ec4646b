//! Where the tags of a page are, and what those that matter here say, while its bytes arrive.
//!
//! This is the tokenizer of the HTML standard (section 13.2.5, whose states have their names here), as far as it
//! decides what is a tag: comments, quotes, scripts with comments in them, and text that no tag interrupts. What it
//! leaves out is what nobody asks for: text, doctypes, and the tags and attributes that lead nowhere, over which it
//! only steps. It reads bytes: in every encoding that a page without a byte order mark can have, what makes up
//! a tag is ASCII.
//!
//! Its state is all that it keeps between two chunks. So each byte is looked at once, wherever the page is split, and
//! memory does not grow with a tag that never ends.
//!
//! A library would do, if there were one that is fast: lol_html spends three times as much on a page,
//! mostly on what is thrown away here. The tests hold this one against one of them.

use memchr::{memchr, memchr2};

use super::attributes::{Tag, Values};
use super::elements::{Foreign, Kind, Name};

/// What begins a CDATA section, after `<!`.
const CDATA: &[u8] = b"[CDATA[";

/// Where in the syntax the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    TagOpen,
    EndTagOpen,
    TagName,
    BeforeAttribute,
    AttributeName,
    AfterAttributeName,
    BeforeValue,
    /// With the quote that ends it.
    Quoted(u8),
    Unquoted,
    AfterQuoted,
    SelfClosing,
    /// After `<!`, and so much of what begins a CDATA section.
    Declaration(u8),
    /// After `<!-`.
    DeclarationDash,
    /// Everything up to `>`: a doctype too, for that ends there even in the middle of a quote.
    Bogus,
    CommentStart,
    CommentStartDash,
    Comment,
    CommentDash,
    CommentEnd,
    CommentBang,
    Cdata,
    CdataBracket,
    CdataEnd,
    /// In the text of an element that ends at its end tag only.
    Text,
    TextOpen,
    TextEnd,
    /// In such a text without an end.
    Plaintext,
    /// In a script, after `<!`, and after `<!-`.
    EscapeStart,
    EscapeStartDash,
    /// In a comment of a script, and in a script in that, with the dashes before.
    Escaped {
        twice: bool,
        dashes: u8,
    },
    EscapedOpen {
        twice: bool,
    },
    /// In a word that begins the script in the comment, or ends it.
    EscapedWord {
        twice: bool,
    },
}

/// Finds the tags of a page.
#[derive(Debug)]
pub(super) struct Tags {
    state: State,
    /// Of a tag, then of its attributes.
    name: Name,
    kind: Kind,
    is_end: bool,
    self_closing: bool,
    values: Values,
    /// The element whose text this is.
    text: Kind,
    /// Whether that is a script, and in a comment.
    escaped: bool,
    foreign: Foreign,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

/// Where the first such byte is, or the end.
fn find(bytes: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
    let found = bytes[from..].iter().position(|&byte| ends(byte));
    found.map_or(bytes.len(), |at| from + at)
}

impl Tags {
    pub(super) fn new() -> Self {
        Self {
            state: State::Data,
            name: Name::default(),
            kind: Kind::Other,
            is_end: false,
            self_closing: false,
            values: Values::default(),
            text: Kind::Other,
            escaped: false,
            foreign: Foreign::default(),
        }
    }

    /// Reads the next bytes of the page, which may break off anywhere, and gives each tag that matters to `found`.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(&Tag<'_>)) {
        let mut at = 0;
        while at < bytes.len() {
            // Each of these reads one byte at least, or changes the state.
            at = match self.state {
                State::Data => self.data(bytes, at),
                State::TagOpen | State::EndTagOpen => self.open(bytes[at], at),
                State::TagName => self.tag_name(bytes, at, &mut found),
                State::BeforeAttribute
                | State::AttributeName
                | State::AfterAttributeName
                | State::SelfClosing => self.attribute(bytes, at, &mut found),
                State::BeforeValue | State::Quoted(_) | State::Unquoted | State::AfterQuoted => {
                    self.value(bytes, at, &mut found)
                }
                State::Declaration(_) | State::DeclarationDash | State::Bogus => {
                    self.declaration(bytes, at)
                }
                State::Cdata | State::CdataBracket | State::CdataEnd => self.cdata(bytes, at),
                State::CommentStart
                | State::CommentStartDash
                | State::Comment
                | State::CommentDash
                | State::CommentEnd
                | State::CommentBang => self.comment(bytes, at),
                State::Plaintext => bytes.len(),
                State::Text | State::TextOpen | State::TextEnd => self.text(bytes, at, &mut found),
                State::EscapeStart
                | State::EscapeStartDash
                | State::Escaped { .. }
                | State::EscapedOpen { .. }
                | State::EscapedWord { .. } => self.script(bytes, at),
            };
        }
    }

    fn data(&mut self, bytes: &[u8], at: usize) -> usize {
        match memchr(b'<', &bytes[at..]) {
            None => bytes.len(),
            Some(distance) => {
                self.state = State::TagOpen;
                at + distance + 1
            }
        }
    }

    fn open(&mut self, byte: u8, at: usize) -> usize {
        let is_end = self.state == State::EndTagOpen;
        self.state = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {
                self.begin_tag(is_end);
                State::TagName
            }
            b'/' if !is_end => State::EndTagOpen,
            b'!' if !is_end => State::Declaration(0),
            // No tag at all.
            b'>' if is_end => State::Data,
            b'?' => State::Bogus,
            _ if is_end => State::Bogus,
            _ => State::Data,
        };
        // What begins something is part of it.
        let consumed = matches!(self.state, State::EndTagOpen | State::Declaration(_))
            || (is_end && byte == b'>');
        at + usize::from(consumed)
    }

    fn begin_tag(&mut self, is_end: bool) {
        self.name.clear();
        self.is_end = is_end;
        self.self_closing = false;
        self.values.clear();
    }

    fn tag_name(&mut self, bytes: &[u8], at: usize, found: &mut impl FnMut(&Tag<'_>)) -> usize {
        let ends = |byte| is_space(byte) || matches!(byte, b'/' | b'>');
        let ignored = self.is_end && self.foreign.is_nowhere();
        let to = if ignored {
            find(bytes, at, ends)
        } else {
            self.name.read(bytes, at, ends)
        };
        if to == bytes.len() {
            return to;
        }
        self.kind = if ignored {
            Kind::Other
        } else {
            Kind::of(self.name.as_bytes())
        };
        if self.foreign.is_here() {
            self.foreign.break_out(self.name.as_bytes(), self.is_end);
        }
        self.after_name(bytes[to], found);
        if self.state == State::BeforeAttribute {
            return self.usual_attributes(bytes, to + 1);
        }
        to + 1
    }

    /// Reads attributes as they usually are, ` name="value"`, up to where something else comes. Any of them can be
    /// left to the states.
    fn usual_attributes(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let is_read = self.is_read();
        loop {
            let name = find(bytes, at, |byte| !is_space(byte));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let equals = find(bytes, name, |byte| !is_name(byte));
            if equals == name || !bytes[equals..].starts_with(b"=\"") {
                return at;
            }
            let value = equals + 2;
            let quote = find(bytes, value, |byte| byte == b'"');
            if quote == bytes.len() {
                return at;
            }
            if is_read {
                self.name.clear();
                self.name.read(bytes, name, |byte| byte == b'=');
                self.values.begin(&self.name);
                self.values.extend(&bytes[value..quote]);
                self.values.end();
            }
            at = quote + 1;
        }
    }

    /// The byte after the name of a tag, or after a value.
    fn after_name(&mut self, byte: u8, found: &mut impl FnMut(&Tag<'_>)) {
        match byte {
            b'>' => self.end_tag(found),
            b'/' => self.state = State::SelfClosing,
            _ => self.state = State::BeforeAttribute,
        }
    }

    fn attribute(&mut self, bytes: &[u8], at: usize, found: &mut impl FnMut(&Tag<'_>)) -> usize {
        match self.state {
            State::AttributeName => {
                let ends = |byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'=');
                let to = if self.is_read() {
                    self.name.read(bytes, at, ends)
                } else {
                    find(bytes, at, ends)
                };
                if to == bytes.len() {
                    return to;
                }
                if self.is_read() {
                    self.values.begin(&self.name);
                }
                self.state = State::AfterAttributeName;
                to
            }
            State::SelfClosing if bytes[at] != b'>' => {
                self.state = State::BeforeAttribute;
                at
            }
            _ => {
                let at = find(bytes, at, |byte| !is_space(byte));
                let Some(&byte) = bytes.get(at) else {
                    return at;
                };
                match byte {
                    b'/' => self.state = State::SelfClosing,
                    b'>' => {
                        self.self_closing = self.state == State::SelfClosing;
                        self.end_tag(found);
                    }
                    b'=' if self.state == State::AfterAttributeName => {
                        self.state = State::BeforeValue;
                    }
                    _ => {
                        // Its first byte may be anything, an equals sign too.
                        self.name.clear();
                        self.name.push(byte);
                        self.state = State::AttributeName;
                    }
                }
                at + 1
            }
        }
    }

    fn value(&mut self, bytes: &[u8], at: usize, found: &mut impl FnMut(&Tag<'_>)) -> usize {
        match self.state {
            State::BeforeValue => {
                let at = find(bytes, at, |byte| !is_space(byte));
                let Some(&byte) = bytes.get(at) else {
                    return at;
                };
                match byte {
                    b'"' | b'\'' => self.state = State::Quoted(byte),
                    b'>' => self.end_tag(found),
                    _ => {
                        self.state = State::Unquoted;
                        return at;
                    }
                }
                at + 1
            }
            State::Quoted(quote) => {
                let end = memchr(quote, &bytes[at..]);
                let to = end.map_or(bytes.len(), |distance| at + distance);
                self.values.extend(&bytes[at..to]);
                if end.is_none() {
                    return to;
                }
                self.values.end();
                self.state = State::AfterQuoted;
                to + 1
            }
            State::Unquoted => {
                let to = find(bytes, at, |byte| is_space(byte) || byte == b'>');
                self.values.extend(&bytes[at..to]);
                if to == bytes.len() {
                    return to;
                }
                self.values.end();
                self.after_name(bytes[to], found);
                to + 1
            }
            _ if is_space(bytes[at]) || matches!(bytes[at], b'/' | b'>') => {
                self.after_name(bytes[at], found);
                at + 1
            }
            _ => {
                self.state = State::BeforeAttribute;
                at
            }
        }
    }

    /// Whether somebody wants to know what this tag says.
    fn is_read(&self) -> bool {
        !self.is_end && self.kind.is_read()
    }

    /// A tag is complete.
    fn end_tag(&mut self, found: &mut impl FnMut(&Tag<'_>)) {
        self.state = State::Data;
        self.values.end();
        if self.is_end {
            self.foreign.end(self.kind);
            return;
        }
        // What is no HTML has no text of that kind, and can be empty.
        if !self.foreign.start(self.kind, self.self_closing) {
            self.text = self.kind;
            self.escaped = false;
            match self.kind {
                Kind::Plaintext => self.state = State::Plaintext,
                kind if kind.has_text_only() => self.state = State::Text,
                _ => {}
            }
        }
        if self.kind.is_read() {
            found(&Tag::new(self.kind, &self.values));
        }
    }

    fn declaration(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.state == State::Bogus {
            return match memchr(b'>', &bytes[at..]) {
                None => bytes.len(),
                Some(distance) => {
                    self.state = State::Data;
                    at + distance + 1
                }
            };
        }
        self.state = match (self.state, bytes[at]) {
            (State::Declaration(0), b'-') => State::DeclarationDash,
            (State::DeclarationDash, b'-') => State::CommentStart,
            (State::Declaration(matched), byte)
                if CDATA.get(usize::from(matched)) == Some(&byte) =>
            {
                match usize::from(matched) + 1 {
                    all if all < CDATA.len() => State::Declaration(matched + 1),
                    _ if self.foreign.is_here() => State::Cdata,
                    _ => State::Bogus,
                }
            }
            _ => {
                self.state = State::Bogus;
                return at;
            }
        };
        at + 1
    }

    fn comment(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.state == State::Comment {
            return match memchr(b'-', &bytes[at..]) {
                None => bytes.len(),
                Some(distance) => {
                    self.state = State::CommentDash;
                    at + distance + 1
                }
            };
        }
        self.state = match (self.state, bytes[at]) {
            (State::CommentStart, b'-') => State::CommentStartDash,
            (State::CommentStartDash | State::CommentDash | State::CommentEnd, b'-') => {
                State::CommentEnd
            }
            (State::CommentBang, b'-') => State::CommentDash,
            (State::CommentEnd, b'!') => State::CommentBang,
            (State::CommentDash, b'>') => State::Comment,
            (_, b'>') => State::Data,
            _ => State::Comment,
        };
        at + 1
    }

    fn cdata(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.state == State::Cdata {
            return match memchr(b']', &bytes[at..]) {
                None => bytes.len(),
                Some(distance) => {
                    self.state = State::CdataBracket;
                    at + distance + 1
                }
            };
        }
        self.state = match (self.state, bytes[at]) {
            (_, b']') => State::CdataEnd,
            (State::CdataEnd, b'>') => State::Data,
            _ => State::Cdata,
        };
        at + 1
    }

    /// Where text goes on that was no end tag.
    fn back_to_text(&mut self) {
        self.state = if self.escaped {
            State::Escaped {
                twice: false,
                dashes: 0,
            }
        } else {
            State::Text
        };
    }

    fn text(&mut self, bytes: &[u8], at: usize, found: &mut impl FnMut(&Tag<'_>)) -> usize {
        let byte = bytes[at];
        match self.state {
            State::Text => {
                return match memchr(b'<', &bytes[at..]) {
                    None => bytes.len(),
                    Some(distance) => {
                        self.state = State::TextOpen;
                        at + distance + 1
                    }
                };
            }
            State::TextOpen if byte == b'/' => {
                self.begin_tag(true);
                self.state = State::TextEnd;
            }
            State::TextOpen if byte == b'!' && self.text == Kind::Script => {
                self.state = State::EscapeStart;
            }
            State::TextEnd if byte.is_ascii_alphabetic() => {
                self.name.push(byte);
            }
            State::TextEnd
                if (is_space(byte) || matches!(byte, b'/' | b'>'))
                    && Kind::of(self.name.as_bytes()) == self.text =>
            {
                self.kind = self.text;
                self.after_name(byte, found);
            }
            _ => {
                self.back_to_text();
                return at;
            }
        }
        at + 1
    }

    fn script(&mut self, bytes: &[u8], at: usize) -> usize {
        let byte = bytes[at];
        let word_ends = is_space(byte) || matches!(byte, b'/' | b'>');
        let escaped = |twice, dashes| State::Escaped { twice, dashes };
        match (self.state, byte) {
            (State::EscapeStart, b'-') => self.state = State::EscapeStartDash,
            (State::EscapeStartDash, b'-') => {
                self.escaped = true;
                self.state = escaped(false, 2);
            }
            (State::Escaped { twice, dashes: 0 }, _) => {
                let Some(distance) = memchr2(b'-', b'<', &bytes[at..]) else {
                    return bytes.len();
                };
                let at = at + distance;
                self.state = match bytes[at] {
                    b'-' => escaped(twice, 1),
                    _ => State::EscapedOpen { twice },
                };
                return at + 1;
            }
            (State::Escaped { twice, .. }, b'-') => self.state = escaped(twice, 2),
            (State::Escaped { twice, .. }, b'<') => self.state = State::EscapedOpen { twice },
            (State::Escaped { dashes: 2, .. }, b'>') => {
                self.escaped = false;
                self.state = State::Text;
            }
            (State::Escaped { twice, .. }, _) => self.state = escaped(twice, 0),
            (State::EscapedOpen { twice: false }, b'/') => {
                self.begin_tag(true);
                self.state = State::TextEnd;
            }
            (State::EscapedOpen { twice: true }, b'/') => {
                self.name.clear();
                self.state = State::EscapedWord { twice: true };
            }
            (State::EscapedOpen { twice: false }, _) if byte.is_ascii_alphabetic() => {
                self.name.clear();
                self.name.push(byte);
                self.state = State::EscapedWord { twice: false };
            }
            (State::EscapedWord { .. }, _) if byte.is_ascii_alphabetic() => {
                self.name.push(byte);
            }
            (State::EscapedWord { twice }, _) if word_ends => {
                let is_script = self.name.as_bytes() == b"script";
                self.state = escaped(twice != is_script, 0);
            }
            (State::EscapedOpen { twice } | State::EscapedWord { twice }, _) => {
                self.state = escaped(twice, 0);
                return at;
            }
            _ => {
                self.state = State::Text;
                return at;
            }
        }
        at + 1
    }
}
