//! TLS: who is trusted, what is told, and that no byte is lost.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "io/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;
#[path = "common/certificates.rs"]
mod certificates;
#[path = "tls/ends.rs"]
mod ends;
#[path = "tls/trust.rs"]
mod trust;
#[path = "tls/agreeing.rs"]
mod agreeing;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/transfer.rs"]
mod transfer;
#[path = "tls/cancelling.rs"]
mod cancelling;
#[path = "tls/openssl.rs"]
mod openssl;
