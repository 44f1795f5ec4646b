//! The signals that have a name.

use signal_hook::consts;

/// A kind of signal, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// The signal with this number, for instance a real-time one.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $number:ident;)+) => {
        impl SignalKind {
            $(
                $(#[$doc])+
                #[must_use]
                pub const fn $name() -> Self {
                    Self(consts::$number)
                }
            )+
        }
    };
}

kinds! {
    /// SIGALRM: a timer of the process has expired.
    alarm = SIGALRM;
    /// SIGCHLD: a child has ended, stopped or gone on.
    child = SIGCHLD;
    /// SIGHUP: the terminal is gone; by custom, read the configuration again.
    hangup = SIGHUP;
    /// SIGINT: Ctrl-C.
    interrupt = SIGINT;
    /// SIGIO: a descriptor that was asked to tell is ready.
    io = SIGIO;
    /// SIGPIPE: a write that nobody reads.
    pipe = SIGPIPE;
    /// SIGQUIT: Ctrl-\.
    quit = SIGQUIT;
    /// SIGTERM: the process is asked to end.
    terminate = SIGTERM;
    /// SIGUSR1: what the program makes of it.
    user_defined1 = SIGUSR1;
    /// SIGUSR2: likewise.
    user_defined2 = SIGUSR2;
    /// SIGWINCH: the terminal has another size.
    window_change = SIGWINCH;
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> Self {
        Self::from_raw(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> Self {
        kind.as_raw_value()
    }
}
