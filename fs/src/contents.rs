//! Whole files.

use std::fs;
use std::io;
use std::path::Path;

use heist_runtime::ops::{self, OpenOptions, SharedFd, Slice};
use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::blocking;
use crate::file::open;

/// Bytes that are read at first of a file whose size is not known.
const UNKNOWN: usize = 8 * 1024;
/// Most memory that is taken because a file says that it is so large.
const TRUSTED: usize = 1 << 30;
/// Most bytes of one read.
const PIECE: usize = 1 << 20;

/// Reads a whole file.
///
/// # Errors
///
/// Those of `open(2)` and `read(2)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let fd = open(path.as_ref(), OpenOptions::new().read(true)).await?;
    let size = size_hint(&fd);
    let mut bytes = Vec::new();
    // One more than there should be, so that the end is known by a short read.
    bytes.reserve_exact(size.map_or(UNKNOWN, |size| size.min(TRUSTED) + 1));
    loop {
        let filled = bytes.len();
        if filled == bytes.capacity() {
            bytes.reserve(filled.clamp(UNKNOWN, PIECE));
        }
        let room = bytes.capacity() - filled;
        let (read, rest) = ops::read_at(&fd, Slice::new(bytes, filled), filled as u64).await;
        bytes = rest.into_inner();
        match read {
            Ok(0) => return Ok(bytes),
            // A regular file reads short at its end only, and this is where it should be.
            Ok(count) if count < room && size == Some(bytes.len()) => return Ok(bytes),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How large a regular file says that it is, without asking a server. `None` for anything else, and for what says
/// nothing, as the files in `/proc`.
fn size_hint(fd: &SharedFd) -> Option<usize> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = statx(fd, c"", flags, StatxFlags::TYPE | StatxFlags::SIZE).ok()?;
    let kind = rustix::fs::FileType::from_raw_mode(known.stx_mode.into());
    let size = usize::try_from(known.stx_size).ok()?;
    (kind.is_file() && size > 0).then_some(size)
}

/// Reads a whole file, which has to be UTF-8.
///
/// # Errors
///
/// `InvalidData` when it is not UTF-8, and those of `open(2)` and `read(2)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path).await?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("the file is not UTF-8 from byte {at} on; read it as bytes");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Writes a whole file: creates it if it is missing, and replaces what is in it otherwise, not in one step.
///
/// # Errors
///
/// Those of `open(2)` and `write(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and written to its end otherwise.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let contents = contents.as_ref().to_owned();
    blocking::with_path(path, move |path| fs::write(path, contents)).await
}

/// Copies a file with its permissions, within the kernel where it can. What is at `to` is replaced. Yields how many bytes.
///
/// # Errors
///
/// Those of the standard library's [`fs::copy`].
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and goes on to its end otherwise.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let to = to.as_ref().to_owned();
    blocking::with_path(from, move |from| fs::copy(from, to)).await
}
