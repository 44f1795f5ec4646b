//! Pages as a web archive: WARC 1.1 ([ISO 28500:2017]), one gzip member for each record.
//!
//! [ISO 28500:2017]: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use sha1::{Digest, Sha1};

use crate::{FailureKind, Page, Store, StoreFuture};

/// Headers that describe how a body was sent. In the archive it is what it is, so they are kept under another name.
const TRANSFER: [&str; 2] = ["content-length", "transfer-encoding"];

/// Writes every response into a file in WARC format, for `warcio`, replay tools and web archives.
///
/// A page is compressed by the task that fetched it, and written at once and as a whole. Bodies are stored without
/// their content coding, and so are the headers without `Content-Encoding`; the length that was sent is kept as
/// `x-orig-content-length`. Turn [`compression`](crate::CrawlerBuilder::compression) off to have most of them as they
/// were sent. Names of headers are in lower case. A page without a response is not in the archive.
///
/// ```no_run
/// use std::sync::Arc;
/// use heist_crawler::{Crawler, WarcStore};
///
/// let archive = Arc::new(WarcStore::open("site.warc.gz".as_ref())?);
/// let crawl = Crawler::builder().seed("https://example.org/")?.compression(false).store(archive).build()?;
/// heist::block_on(crawl.run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WarcStore {
    archive: Mutex<Archive>,
    ids: RandomState,
    level: Compression,
}

/// The file, which holds whole records and nothing else.
#[derive(Debug)]
struct Archive {
    file: File,
    length: u64,
    /// Whether a half of a record stands at its end, and could not be taken off.
    damaged: bool,
}

impl Archive {
    /// Adds a record as a whole or not at all. A disk that is full takes a half, and what other fetches write behind
    /// that would be cut off with it when the file is opened again, although they are done.
    fn append(&mut self, member: &[u8]) -> io::Result<()> {
        let length = self.length;
        append_whole(&mut self.file, member, &mut self.damaged, |file| {
            file.set_len(length)
        })?;
        self.length += member.len() as u64;
        Ok(())
    }
}

/// Writes all of it, or takes off what was written; if that fails as well, nothing is written any more.
fn append_whole<F: Write>(
    file: &mut F,
    bytes: &[u8],
    damaged: &mut bool,
    cut: impl FnOnce(&mut F) -> io::Result<()>,
) -> io::Result<()> {
    if *damaged {
        let text = "the archive ends with a half of a record, since the disk was full";
        return Err(io::Error::other(text));
    }
    let outcome = file.write_all(bytes);
    if outcome.is_err() {
        *damaged = cut(file).is_err();
    }
    outcome
}

impl WarcStore {
    /// Opens or creates a file. Records are added to those that are there; what a crawl that was killed has left
    /// behind the last whole one is cut off. Finding that place reads the file, which blocks.
    ///
    /// # Errors
    ///
    /// Those of the file; and [`io::ErrorKind::InvalidData`] when it is something else than a gzip file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let whole = whole_members(&file)?;
        if whole == 0 && file.metadata()?.len() > 0 && !starts_with_gzip(&file)? {
            let text = "the file is there and no archive in gzip; it is left as it is";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        let store = Self {
            archive: Mutex::new(Archive {
                file,
                length: whole,
                damaged: false,
            }),
            ids: RandomState::new(),
            level: Compression::new(6),
        };
        store.append(&store.info()?)?;
        Ok(store)
    }

    fn append(&self, member: &[u8]) -> io::Result<()> {
        self.archive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(member)
    }

    /// The record that says who has written the ones behind it.
    fn info(&self) -> io::Result<Vec<u8>> {
        let body = format!(
            "software: heist-crawl/{}\r\nformat: WARC file version 1.1\r\n\
             conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n",
            env!("CARGO_PKG_VERSION")
        );
        let mut head = String::from(
            "WARC/1.1\r\nWARC-Type: warcinfo\r\nContent-Type: application/warc-fields\r\n",
        );
        self.identify(&mut head, SystemTime::now());
        self.member(head, &[body.as_bytes()])
    }

    /// A response as a record. `None` when there was none.
    fn response(&self, page: &Page) -> io::Result<Option<Vec<u8>>> {
        let Some(status) = page.record.status else {
            return Ok(None);
        };
        let http = http_head(page, status);
        let mut head = String::from(
            "WARC/1.1\r\nWARC-Type: response\r\nContent-Type: application/http;msgtype=response\r\n",
        );
        self.identify(&mut head, page.at);
        // Writing to a String cannot fail.
        let _ = write!(head, "WARC-Target-URI: {}\r\n", page.url);
        if let Some(server) = page.server {
            let _ = write!(head, "WARC-IP-Address: {}\r\n", server.ip());
        }
        let _ = write!(
            head,
            "WARC-Payload-Digest: sha1:{}\r\n",
            base32(&Sha1::digest(&page.body))
        );
        if let Some(reason) = truncated(page) {
            let _ = write!(head, "WARC-Truncated: {reason}\r\n");
        }
        self.member(head, &[&http, &page.body]).map(Some)
    }

    fn identify(&self, head: &mut String, at: SystemTime) {
        // Version 4 of RFC 9562: random, but for six bits.
        let (a, b) = (
            self.ids.hash_one((head.as_str(), at)),
            RandomState::new().hash_one(at),
        );
        let (a, b) = (a & !0xf000 | 0x4000, b & !(0b11 << 62) | (0b10 << 62));
        let _ = write!(
            head,
            "WARC-Record-ID: <urn:uuid:{:08x}-{:04x}-{:04x}-{:04x}-{:012x}>\r\nWARC-Date: {}\r\n",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff,
            date(at),
        );
    }

    fn member(&self, mut head: String, parts: &[&[u8]]) -> io::Result<Vec<u8>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let _ = write!(head, "Content-Length: {length}\r\n\r\n");
        let mut gzip = GzEncoder::new(Vec::with_capacity(length / 3 + 512), self.level);
        gzip.write_all(head.as_bytes())?;
        for part in parts {
            gzip.write_all(part)?;
        }
        gzip.write_all(b"\r\n\r\n")?;
        gzip.finish()
    }
}

impl Store for WarcStore {
    fn store<'a>(&'a self, page: &'a Page) -> StoreFuture<'a> {
        // One write to the page cache: shorter than a way to another thread and back.
        Box::pin(async move {
            match self.response(page)? {
                Some(member) => self.append(&member),
                None => Ok(()),
            }
        })
    }

    fn finish(&self) -> StoreFuture<'_> {
        Box::pin(async {
            self.archive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .file
                .sync_data()
        })
    }
}

/// The head of the response, such that the body follows from it.
fn http_head(page: &Page, status: u16) -> Vec<u8> {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default()).into_bytes();
    for (name, value) in &page.headers {
        if TRANSFER.contains(&name.as_str()) {
            head.extend_from_slice(b"x-orig-");
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", page.body.len()).as_bytes());
    head
}

fn truncated(page: &Page) -> Option<&'static str> {
    match page.record.error.as_ref()?.kind() {
        FailureKind::Timeout => Some("time"),
        FailureKind::TooLarge | FailureKind::Limit => Some("length"),
        FailureKind::Body => Some("disconnect"),
        _ => None,
    }
}

/// A time as the format wants it: UTC, with microseconds.
fn date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_micros(),
    )
}

/// The date of a day since 1970. Years begin in March here, so that the odd day of leap years is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// RFC 4648, section 6, of whole groups: 20 bytes are four of them.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let bits = group
            .iter()
            .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        for place in (0..8).rev() {
            text.push(char::from(LETTERS[(bits >> (5 * place) & 31) as usize]));
        }
    }
    text
}

fn starts_with_gzip(mut file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(2).read_to_end(&mut start)?;
    Ok(b"\x1f\x8b".starts_with(&start))
}

/// Bytes up to the end of the last gzip member that is whole.
fn whole_members(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = Counted {
        inner: BufReader::with_capacity(256 << 10, file),
        taken: 0,
    };
    let mut whole = 0;
    loop {
        if reader.fill_buf()?.is_empty() {
            return Ok(whole);
        }
        let mut member = flate2::bufread::GzDecoder::new(&mut reader);
        match io::copy(&mut member, &mut io::sink()) {
            Ok(_) => whole = reader.taken,
            Err(_) => return Ok(whole),
        }
    }
}

/// Counts the bytes that were taken out of a buffer.
struct Counted<R> {
    inner: R,
    taken: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_digests() {
        let at = |seconds: u64| date(UNIX_EPOCH + Duration::from_micros(seconds * 1_000_000 + 5));
        assert_eq!(at(0), "1970-01-01T00:00:00.000005Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000005Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000005Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000005Z");
        assert_eq!(
            base32(&Sha1::digest(b"")),
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
        );
    }

    /// The negative control, tried: leave out `cut`: the half of the second record is in front of the third.
    #[test]
    fn a_record_that_does_not_fit_leaves_nothing_behind() {
        /// A disk with room for so many bytes.
        struct Disk(Vec<u8>, usize);

        impl Write for Disk {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(self.1 - self.0.len());
                if count == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let (mut disk, mut damaged) = (Disk(Vec::new(), 10), false);
        let mut append = |bytes: &[u8], cut: Option<usize>| {
            append_whole(&mut disk, bytes, &mut damaged, |disk| {
                disk.0.truncate(cut.ok_or(io::ErrorKind::Other)?);
                Ok(())
            })
        };
        append(b"first.", None).unwrap();
        append(b"second.", Some(6)).unwrap_err();
        append(b"3rd.", None).unwrap();
        // Where the half cannot be taken off, nothing comes behind it.
        append(b"more.", None).unwrap_err();
        append(b"", None).unwrap_err();
        assert_eq!(disk.0, b"first.3rd.");
    }

    #[test]
    fn a_file_is_cut_to_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.warc.gz");
        drop(WarcStore::open(&path).unwrap());
        let one = std::fs::read(&path).unwrap();
        for cut in [1, 10, one.len() - 1] {
            std::fs::write(&path, [&one[..], &one[..cut]].concat()).unwrap();
            drop(WarcStore::open(&path).unwrap());
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(&bytes[..one.len()], &one[..]);
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text.matches("WARC-Type: warcinfo").count(), 2);
        }
        std::fs::write(&path, "not gzip").unwrap();
        assert_eq!(
            WarcStore::open(&path).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"not gzip");
    }
}
