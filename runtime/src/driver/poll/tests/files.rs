//! Files, pipes and FIFOs.

use super::*;

#[test]
fn files_are_opened_written_read_and_closed() {
    on_both(|bench| {
        let path = std::env::temp_dir().join(format!("heist-poll-{}", std::process::id()));
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
            .flags(libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC)
            .mode(0o600)
            .build();
        let opened = bench.result(entry);
        assert!(opened >= 0, "{opened}");
        // SAFETY: the completion hands the descriptor over.
        let file = unsafe { OwnedFd::from_raw_fd(opened) };
        for length in [100_usize, 200_000] {
            let bytes = vec![length as u8; length];
            let write = opcode::Write::new(fd(&file), bytes.as_ptr(), length as u32)
                .offset(10)
                .build();
            assert_eq!(bench.result(write) as usize, length);
            assert_eq!(bench.result(opcode::Fsync::new(fd(&file)).build()), 0);
            let mut back = vec![0_u8; length + 50];
            let read = opcode::Read::new(fd(&file), back.as_mut_ptr(), back.len() as u32)
                .offset(10)
                .build();
            assert_eq!(bench.result(read) as usize, length, "up to the end");
            assert_eq!(back[..length], bytes);
        }
        let mut attributes = std::mem::MaybeUninit::<libc::statx>::zeroed();
        let stat = opcode::Statx::new(
            types::Fd(libc::AT_FDCWD),
            name.as_ptr(),
            attributes.as_mut_ptr().cast(),
        )
        .mask(libc::STATX_BASIC_STATS)
        .build();
        assert_eq!(bench.result(stat), 0);
        // SAFETY: filled by the call, and zeroed before.
        assert_eq!(unsafe { attributes.assume_init() }.stx_size, 200_010);
        let close = opcode::Close::new(types::Fd(file.into_raw_fd())).build();
        assert_eq!(bench.result(close), 0);
        std::fs::remove_file(&path).expect("it was there");
        let gone = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr()).build();
        assert_eq!(bench.result(gone), -libc::ENOENT);
    });
}

#[test]
fn a_read_of_a_pipe_waits_and_can_be_cancelled() {
    on_both(|bench| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut buffer = [0_u8; 8];
        let mut read = || {
            let entry = opcode::Read::new(fd(&reader), buffer.as_mut_ptr(), 8);
            bench.submit(entry.offset(u64::MAX).build())
        };
        let first = read();
        bench.has_none(first);
        bench.cancel(first);
        assert_eq!(bench.next(first).0, -libc::ECANCELED);
        let second = read();
        bench.has_none(second);
        writer.write_all(b"pipe").expect("written");
        assert_eq!(bench.next(second).0, 4);
        drop(writer);
        let end = read();
        assert_eq!(bench.next(end).0, 0);
    });
}

/// Control, tried: opened without waiting, it is open before anybody has the other end, or not at all.
#[test]
fn opening_a_fifo_waits_for_the_other_end_and_can_be_given_up() {
    on_both(|bench| {
        let path = std::env::temp_dir().join(format!("heist-fifo-{}", std::process::id()));
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let entry = |flags| {
            opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
                .flags(flags | libc::O_CLOEXEC)
                .build()
        };
        let open = |flags| {
            let opening = bench.submit(entry(flags).flags(squeue::Flags::ASYNC));
            bench.look(Duration::from_millis(30));
            bench.has_none(opening);
            opening
        };
        // The kernel tells of a thread that it has interrupted what that thread was told.
        let is_given_up = |result: i32| {
            const ERESTARTSYS: i32 = 512;
            [libc::ECANCELED, libc::EINTR, ERESTARTSYS].contains(&-result)
        };
        for (own, other) in [
            (libc::O_RDONLY, libc::O_WRONLY),
            (libc::O_WRONLY, libc::O_RDONLY),
        ] {
            let given_up = open(own);
            assert!([0, -libc::EALREADY].contains(&bench.cancel(given_up)));
            let result = bench.next(given_up).0;
            assert!(is_given_up(result), "{result}");

            let opening = open(own);
            // SAFETY: the path is a C string.
            let there = unsafe { libc::open(name.as_ptr(), other | libc::O_CLOEXEC) };
            let here = bench.next(opening).0;
            assert!(here >= 0 && there >= 0, "{here} {there}");
            // SAFETY: both were opened here, and are handed over to nobody else.
            let ends = [here, there].map(|end| unsafe { OwnedFd::from_raw_fd(end) });
            assert!(!crate::driver::poll::calls::is_nonblocking(
                ends[0].as_raw_fd()
            ));
        }
        assert_eq!(bench.result(entry(libc::O_WRONLY)), -libc::ENXIO);
        let at_once = bench.result(entry(libc::O_RDONLY));
        assert!(at_once >= 0, "{at_once}");
        // SAFETY: the completion hands the descriptor over.
        let at_once = unsafe { OwnedFd::from_raw_fd(at_once) };
        assert!(!crate::driver::poll::calls::is_nonblocking(
            at_once.as_raw_fd()
        ));
        std::fs::remove_file(&path).expect("it was there");
    });
}
