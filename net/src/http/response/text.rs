//! The charset of a text.

/// The parameter `charset` of a `Content-Type`, without its quotes ([RFC 9110, section 8.3.1]).
///
/// [RFC 9110, section 8.3.1]: https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1
#[cfg(feature = "charset")]
pub(super) fn charset(content_type: &[u8]) -> Option<&[u8]> {
    let parameters = content_type.split(|&b| b == b';').skip(1);
    parameters.map(<[u8]>::trim_ascii).find_map(|parameter| {
        let at = parameter.iter().position(|&b| b == b'=')?;
        let (name, value) = (&parameter[..at], &parameter[at + 1..]);
        let quoted = value
            .strip_prefix(b"\"")
            .and_then(|it| it.strip_suffix(b"\""));
        name.eq_ignore_ascii_case(b"charset")
            .then(|| quoted.unwrap_or(value))
    })
}

/// Bytes as text: UTF-8 with U+FFFD for what is none, without a byte order mark.
#[cfg(not(feature = "charset"))]
pub(super) fn utf_8(mut bytes: bytes::Bytes) -> String {
    use bytes::Buf as _;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.advance(3);
    }
    let text = String::from_utf8(bytes.into());
    text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Bytes as text in the charset that is named, or `default`, or UTF-8. A byte order mark has the last word,
/// as in browsers ([Encoding Standard](https://encoding.spec.whatwg.org/#decode)).
#[cfg(feature = "charset")]
pub(super) fn decode(bytes: bytes::Bytes, named: Option<&[u8]>, default: &str) -> String {
    use encoding_rs::{Encoding, UTF_8};
    let named = named.and_then(Encoding::for_label);
    let encoding = named.or_else(|| Encoding::for_label(default.as_bytes()));
    let (text, used, _) = encoding.unwrap_or(UTF_8).decode(&bytes);
    if used == UTF_8 && matches!(text, std::borrow::Cow::Borrowed(_)) {
        // It is valid as it is; the block that it lies in becomes the string, unless a mark was cut off.
        let cut = bytes.len() - text.len();
        drop(text);
        let mut whole = Vec::from(bytes);
        whole.drain(..cut);
        return String::from_utf8(whole).unwrap_or_default();
    }
    text.into_owned()
}

#[cfg(all(test, feature = "charset"))]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn charsets_are_found() {
        let of =
            |text: &'static str| charset(text.as_bytes()).map(|it| str::from_utf8(it).unwrap());
        assert_eq!(of("text/html"), None);
        assert_eq!(of("text/html; Charset=ISO-8859-1"), Some("ISO-8859-1"));
        assert_eq!(
            of("text/html;level=1;charset=\"utf-8\" ; x=y"),
            Some("utf-8")
        );
        assert_eq!(of("text/html; charset"), None);
    }

    #[test]
    fn texts_are_decoded() {
        let text = |bytes: &'static [u8], named: Option<&[u8]>, default| {
            decode(Bytes::from_static(bytes), named, default)
        };
        assert_eq!(text(b"gr\xfc\xdfe", Some(b"iso-8859-1"), "utf-8"), "grüße");
        assert_eq!(text(b"gr\xfc\xdfe", None, "windows-1252"), "grüße");
        assert_eq!(text(b"gr\xfc\xdfe", Some(b"no-such"), "latin1"), "grüße");
        assert_eq!(text("grüße".as_bytes(), None, "utf-8"), "grüße");
        assert_eq!(text(b"\xef\xbb\xbfa", Some(b"latin1"), "utf-8"), "a");
        assert_eq!(text(b"\xef\xbb\xbfa\xffb", None, "utf-8"), "a\u{fffd}b");
        assert_eq!(
            text(b"\x83n\x83\x8d\x81[", Some(b"shift_jis"), "utf-8"),
            "ハロー"
        );
        assert_eq!(text(b"a", None, "no-such"), "a");
    }
}
