//! Operations on files. The kernel runs most of them on threads of its own (`io-wq`), reads and writes
//! of cached data excepted.

#![expect(unsafe_code, reason = "the contract of `Operation`")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use io_uring::{opcode, squeue, types};

use crate::driver::completion::Completion;
use crate::driver::op::{Op, Operation};
use crate::ops::buf::entry_len;
use crate::ops::fd::adopt;
use crate::ops::{BufResult, IoBuf, IoBufMut, SharedFd};

/// How to open a file, as `std::fs::OpenOptions`.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until `open`"]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    mode: Option<u32>,
    custom: i32,
    wait: bool,
}

impl OpenOptions {
    /// Nothing allowed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For reading.
    pub fn read(mut self, yes: bool) -> Self {
        self.read = yes;
        self
    }

    /// For writing.
    pub fn write(mut self, yes: bool) -> Self {
        self.write = yes;
        self
    }

    /// For writing at the end.
    pub fn append(mut self, yes: bool) -> Self {
        self.append = yes;
        self
    }

    /// Emptied on opening.
    pub fn truncate(mut self, yes: bool) -> Self {
        self.truncate = yes;
        self
    }

    /// Created if it is missing.
    pub fn create(mut self, yes: bool) -> Self {
        self.create = yes;
        self
    }

    /// Created, or an error if it exists.
    pub fn create_new(mut self, yes: bool) -> Self {
        self.create_new = yes;
        self
    }

    /// The permissions of a file it creates. Default: 0o666, less the umask.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Further `O_*` flags of `open(2)`.
    pub fn custom_flags(mut self, flags: i32) -> Self {
        self.custom = flags;
        self
    }

    /// Opened on a thread of the kernel's from the start. Otherwise the kernel tries first whether it can be opened
    /// without waiting, and as for `O_NONBLOCK` a pipe that has a name does not wait for its other end then.
    pub fn wait(mut self, yes: bool) -> Self {
        self.wait = yes;
        self
    }

    fn flags(self) -> io::Result<i32> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => libc::O_RDONLY,
            (false, true, false) => libc::O_WRONLY,
            (true, true, false) => libc::O_RDWR,
            (false, _, true) => libc::O_WRONLY | libc::O_APPEND,
            (true, _, true) => libc::O_RDWR | libc::O_APPEND,
            (false, false, false) => {
                let message = "open: neither read, write nor append is set";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let writes = self.write || self.append;
        if !writes && (self.create || self.create_new || self.truncate) {
            let message = "open: create and truncate need write or append";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let creation = if self.create_new {
            libc::O_CREAT | libc::O_EXCL
        } else {
            (if self.create { libc::O_CREAT } else { 0 })
                | (if self.truncate { libc::O_TRUNC } else { 0 })
        };
        Ok(access | creation | libc::O_CLOEXEC | self.custom)
    }
}

/// What a thread of the kernel's says that waited for the other end of a FIFO and was interrupted. System calls say
/// EINTR in its place, and no program knows it.
const ERESTARTSYS: i32 = 512;

/// Opens a file; see [`open`].
#[derive(Debug)]
pub struct Open {
    path: CString,
    flags: i32,
    mode: u32,
    wait: bool,
}

// SAFETY: the path is on the heap, owned by `self`.
unsafe impl Operation for Open {
    type Output = io::Result<SharedFd>;

    fn prepare(&mut self) -> squeue::Entry {
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), self.path.as_ptr())
            .flags(self.flags)
            .mode(self.mode)
            .build();
        if self.wait {
            return entry.flags(squeue::Flags::ASYNC);
        }
        entry
    }

    fn complete(self, completion: Completion) -> Self::Output {
        if completion.raw_result() == -ERESTARTSYS {
            return Err(io::Error::from_raw_os_error(libc::EINTR));
        }
        completion.result().map(|raw| SharedFd::new(adopt(raw)))
    }

    fn was_cancelled(&self, completion: Completion) -> bool {
        let interrupted = [-libc::EINTR, -ERESTARTSYS];
        completion.is_cancelled() || interrupted.contains(&completion.raw_result())
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "a path must not contain a zero byte",
        )
    })
}

/// Opens the file at `path` (`openat(2)`).
///
/// # Errors
///
/// At once, when the options contradict each other or the path contains a zero byte; the operation
/// itself yields those of `openat(2)`.
pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> io::Result<Op<Open>> {
    let path = c_path(path.as_ref())?;
    let mode = options.mode.unwrap_or(0o666);
    Ok(Op::new(Open {
        path,
        flags: options.flags()?,
        mode,
        wait: options.wait,
    }))
}

/// Reads at an offset; see [`read_at`].
#[derive(Debug)]
pub struct ReadAt<B> {
    fd: SharedFd,
    buffer: B,
    offset: u64,
}

// SAFETY: `IoBufMut` promises stable memory that the operation owns; the descriptor stays open.
unsafe impl<B: IoBufMut> Operation for ReadAt<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let length = entry_len(self.buffer.capacity());
        opcode::Read::new(self.fd.entry(), self.buffer.stable_mut_ptr(), length)
            .offset(self.offset)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let read = completion.result().map(|count| count as usize);
        if let Ok(count) = read {
            // SAFETY: the kernel wrote the first `count` bytes.
            unsafe { self.buffer.set_init(count) };
        }
        (read, self.buffer)
    }
}

/// Reads into the whole of `buffer` from `offset` on (`pread(2)`); the offset `u64::MAX` stands for the
/// file's own position. Yields how much was read, 0 at the end.
pub fn read_at<B: IoBufMut>(fd: &SharedFd, buffer: B, offset: u64) -> Op<ReadAt<B>> {
    Op::new(ReadAt {
        fd: fd.clone(),
        buffer,
        offset,
    })
}

/// Writes at an offset; see [`write_at`].
#[derive(Debug)]
pub struct WriteAt<B> {
    fd: SharedFd,
    buffer: B,
    offset: u64,
}

// SAFETY: `IoBuf` promises stable memory that the operation owns; the descriptor stays open.
unsafe impl<B: IoBuf> Operation for WriteAt<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let length = entry_len(self.buffer.init_len());
        opcode::Write::new(self.fd.entry(), self.buffer.stable_ptr(), length)
            .offset(self.offset)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result().map(|count| count as usize), self.buffer)
    }
}

/// Writes `buffer` at `offset` (`pwrite(2)`); the offset `u64::MAX` stands for the file's own position.
/// Yields how much was written.
pub fn write_at<B: IoBuf>(fd: &SharedFd, buffer: B, offset: u64) -> Op<WriteAt<B>> {
    Op::new(WriteAt {
        fd: fd.clone(),
        buffer,
        offset,
    })
}

/// Makes a file's content durable; see [`fsync`].
#[derive(Debug)]
pub struct Fsync {
    fd: SharedFd,
    data_only: bool,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and no memory.
unsafe impl Operation for Fsync {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> squeue::Entry {
        let flags = if self.data_only {
            types::FsyncFlags::DATASYNC
        } else {
            types::FsyncFlags::empty()
        };
        opcode::Fsync::new(self.fd.entry()).flags(flags).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result().map(drop)
    }
}

/// Makes a file's content durable (`fsync(2)`, or with `data_only` `fdatasync(2)`).
pub fn fsync(fd: &SharedFd, data_only: bool) -> Op<Fsync> {
    Op::new(Fsync {
        fd: fd.clone(),
        data_only,
    })
}

/// Asks for a file's attributes; see [`statx`].
pub struct Statx {
    path: CString,
    output: Box<MaybeUninit<libc::statx>>,
}

impl std::fmt::Debug for Statx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statx")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

// SAFETY: path and output are on the heap, owned by `self`.
unsafe impl Operation for Statx {
    type Output = io::Result<libc::statx>;

    fn prepare(&mut self) -> squeue::Entry {
        opcode::Statx::new(
            types::Fd(libc::AT_FDCWD),
            self.path.as_ptr(),
            self.output.as_mut_ptr().cast(),
        )
        .mask(libc::STATX_BASIC_STATS | libc::STATX_BTIME)
        .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result()?;
        // SAFETY: the kernel fills the structure on success.
        Ok(*unsafe { self.output.assume_init() })
    }
}

/// Asks for the attributes of the file at `path` (`statx(2)`, basic ones and the time of birth).
///
/// # Errors
///
/// At once, when the path contains a zero byte; the operation itself yields those of `statx(2)`.
pub fn statx(path: impl AsRef<Path>) -> io::Result<Op<Statx>> {
    let path = c_path(path.as_ref())?;
    Ok(Op::new(Statx {
        path,
        output: Box::new(MaybeUninit::zeroed()),
    }))
}

/// Closes a descriptor; see [`close`].
#[derive(Debug)]
pub struct Close {
    fd: Option<OwnedFd>,
    raw: i32,
}

// SAFETY: the entry names a descriptor that this operation alone owns.
unsafe impl Operation for Close {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> squeue::Entry {
        // From here on the kernel closes it, and nobody else may.
        if let Some(fd) = self.fd.take() {
            self.raw = fd.into_raw_fd();
        }
        opcode::Close::new(types::Fd(self.raw)).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        if completion.is_cancelled() {
            // It never ran: close it the plain way.
            drop(adopt(self.raw as u32));
            return Ok(());
        }
        completion.result().map(drop)
    }

    fn restart(&mut self) {
        // It never ran, so the descriptor is ours again, and is closed even if this is dropped now.
        self.fd = Some(adopt(self.raw as u32));
    }
}

/// Closes `fd` on the ring, for files whose close may block (`close(2)`). Dropping a descriptor closes
/// it as well.
pub fn close(fd: OwnedFd) -> Op<Close> {
    Op::new(Close {
        fd: Some(fd),
        raw: -1,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// Reads the end of a stream whose other end went into a close that never ran.
    fn is_closed_by(ends: impl FnOnce(Close)) -> bool {
        let (here, mut there) = UnixStream::pair().expect("a pair of sockets");
        there.set_nonblocking(true).expect("works");
        let mut close = Close {
            fd: Some(here.into()),
            raw: -1,
        };
        let _entry = close.prepare();
        ends(close);
        matches!(there.read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_close_that_was_moved_and_then_dropped_closes_all_the_same() {
        assert!(is_closed_by(|mut close| close.restart()));
        assert!(is_closed_by(|mut close| {
            close.restart();
            let _entry = close.prepare();
            close.restart();
        }));
    }

    #[test]
    fn a_close_that_was_cancelled_closes_all_the_same() {
        let cancelled = Completion::new(-libc::ECANCELED, 0);
        assert!(is_closed_by(|close| {
            close.complete(cancelled).expect("closed the plain way");
        }));
        assert!(is_closed_by(|close| close.orphaned(cancelled)));
    }
}
