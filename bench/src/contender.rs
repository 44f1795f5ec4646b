//! Who takes part: the runtimes and clients that this program was built with.

use std::fmt;

use crate::scenario::Needs;

/// Whom a scenario is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Heist in its default ring profile.
    Heist,
    /// tokio's multi-thread scheduler: what the others are compared with.
    #[cfg(feature = "tokio")]
    Tokio,
    /// Heist with cooperative task work.
    HeistCoop,
    /// tokio's current-thread scheduler, one for each worker.
    #[cfg(feature = "tokio")]
    TokioCurrentThread,
    /// smol.
    #[cfg(feature = "smol")]
    Smol,
    /// spargio.
    #[cfg(feature = "spargio")]
    Spargio,
    /// monoio, one for each worker.
    #[cfg(feature = "monoio")]
    Monoio,
    /// compio, one for each worker.
    #[cfg(feature = "compio")]
    Compio,
    /// glommio, one for each worker.
    #[cfg(feature = "glommio")]
    Glommio,
    /// reqwest on tokio, where HTTP clients are compared.
    #[cfg(feature = "http-clients")]
    Reqwest,
    /// hyper-util's client on tokio.
    #[cfg(feature = "http-clients")]
    HyperUtil,
    /// hyper's connection on tokio, without a pool.
    #[cfg(feature = "http-clients")]
    Hyper,
    /// hyper's connection on Heist.
    #[cfg(feature = "http-clients")]
    HeistHyper,
    /// Heist's codec of HTTP/1.1 by itself, without its client.
    #[cfg(feature = "http-clients")]
    HeistCodec,
    /// No runtime, but a loop written for the scenario: what the kernel leaves to win.
    ByHand,
}

impl Contender {
    /// Everybody that this program was built with, Heist first and tokio second.
    pub const ALL: &[Self] = &[
        Self::Heist,
        #[cfg(feature = "tokio")]
        Self::Tokio,
        Self::HeistCoop,
        #[cfg(feature = "tokio")]
        Self::TokioCurrentThread,
        #[cfg(feature = "smol")]
        Self::Smol,
        #[cfg(feature = "spargio")]
        Self::Spargio,
        #[cfg(feature = "monoio")]
        Self::Monoio,
        #[cfg(feature = "compio")]
        Self::Compio,
        #[cfg(feature = "glommio")]
        Self::Glommio,
        #[cfg(feature = "http-clients")]
        Self::Reqwest,
        #[cfg(feature = "http-clients")]
        Self::HyperUtil,
        #[cfg(feature = "http-clients")]
        Self::Hyper,
        #[cfg(feature = "http-clients")]
        Self::HeistHyper,
        #[cfg(feature = "http-clients")]
        Self::HeistCodec,
        Self::ByHand,
    ];

    /// Its name in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heist => "heist",
            #[cfg(feature = "tokio")]
            Self::Tokio => "tokio",
            Self::HeistCoop => "heist-coop",
            #[cfg(feature = "tokio")]
            Self::TokioCurrentThread => "tokio-current-thread",
            #[cfg(feature = "smol")]
            Self::Smol => "smol",
            #[cfg(feature = "spargio")]
            Self::Spargio => "spargio",
            #[cfg(feature = "monoio")]
            Self::Monoio => "monoio",
            #[cfg(feature = "compio")]
            Self::Compio => "compio",
            #[cfg(feature = "glommio")]
            Self::Glommio => "glommio",
            #[cfg(feature = "http-clients")]
            Self::Reqwest => "reqwest",
            #[cfg(feature = "http-clients")]
            Self::HyperUtil => "hyper-util",
            #[cfg(feature = "http-clients")]
            Self::Hyper => "hyper",
            #[cfg(feature = "http-clients")]
            Self::HeistHyper => "heist-hyper",
            #[cfg(feature = "http-clients")]
            Self::HeistCodec => "heist-codec",
            Self::ByHand => "by-hand",
        }
    }

    /// Whether it takes part in a scenario with such demands; otherwise the reason why not.
    ///
    /// # Errors
    ///
    /// The reason, as a part of a sentence.
    pub fn can(self, needs: Needs) -> Result<(), &'static str> {
        if needs.spawn_from_outside && self.is_thread_per_core() {
            return Err("takes no tasks from other threads");
        }
        Ok(())
    }

    /// Whether it takes part in the scenario of this name; not if it is known to hang there.
    ///
    /// # Errors
    ///
    /// The reason, as a part of a sentence.
    pub fn ends(self, scenario: &str) -> Result<(), &'static str> {
        let hangs = match self {
            #[cfg(feature = "glommio")]
            Self::Glommio => scenario.ends_with("load 160 %"),
            #[cfg(feature = "spargio")]
            Self::Spargio => {
                scenario.ends_with("timeouts at once") || scenario.ends_with("a busy runtime")
            }
            _ => scenario.is_empty(),
        };
        if hangs {
            Err("does not come to an end")
        } else {
            Ok(())
        }
    }

    /// Whether it is an HTTP client, which takes part only where those are compared.
    #[must_use]
    pub fn is_http_client(self) -> bool {
        match self {
            #[cfg(feature = "http-clients")]
            Self::Reqwest | Self::HyperUtil | Self::Hyper | Self::HeistHyper | Self::HeistCodec => {
                true
            }
            _ => false,
        }
    }

    /// Whether it has threads that share no tasks, with a runtime each.
    #[must_use]
    pub fn is_thread_per_core(self) -> bool {
        match self {
            #[cfg(feature = "monoio")]
            Self::Monoio => true,
            #[cfg(feature = "compio")]
            Self::Compio => true,
            #[cfg(feature = "glommio")]
            Self::Glommio => true,
            _ => false,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_contenders_are_unique() {
        let mut names: Vec<_> = Contender::ALL.iter().map(|one| one.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Contender::ALL.len());
    }
}
