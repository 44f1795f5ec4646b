//! A filter that denies io_uring, as the default profiles of Docker and containerd do ([`seccomp(2)`]).
//!
//! [`seccomp(2)`]: https://man7.org/linux/man-pages/man2/seccomp.2.html

#![expect(unsafe_code, reason = "a filter is installed by a system call")]

/// The numbers of the three system calls, the same on every architecture.
const DENIED: [libc::c_long; 3] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Denies io_uring to this thread, and to those that it starts, for ever.
pub(crate) fn deny_io_uring() {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    // Loads the number, and compares it with each: a match jumps to the refusal at the end.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, number) in DENIED.iter().enumerate() {
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let to_refusal = (DENIED.len() - index) as u8;
        filter.push(step(jump, to_refusal, 0, *number as u32));
    }
    filter.push(step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ALLOW));
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    filter.push(step(libc::BPF_RET, 0, 0, refusal));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // Without it a user who is not root may not install filters.
    // SAFETY: the call takes numbers.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(given_up, 0, "{}", std::io::Error::last_os_error());
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its filter are valid for the call, and the kernel checks what they say.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
}
