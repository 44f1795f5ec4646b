//! TLS 1.2 and 1.3 ([RFC 5246], [RFC 8446]) over any stream, by [rustls](https://docs.rs/rustls) with `ring`, in the
//! shape of tokio-rustls. With the feature `tls`.
//!
//! | file | idea |
//! |---|---|
//! | `error.rs` | [`Error`]: what goes wrong, in words that say what to do about it |
//! | `version.rs` | [`Version`] |
//! | `certificate.rs` | [`Certificate`] and [`Identity`] |
//! | `roots.rs` | which issuers a client trusts |
//! | `dangerous.rs` | checks that are left out on request |
//! | `session.rs` | the state machine of one connection, behind which rustls is hidden |
//! | `stream.rs` | [`TlsStream`]: the same with I/O |
//! | `split.rs` | its two halves |
//! | `connector.rs` | [`TlsConnector`]: the client's side |
//! | `acceptor.rs` | [`TlsAcceptor`]: the server's side |
//!
//! # What is trusted
//!
//! | feature | roots |
//! |---|---|
//! | `native-roots` | those of the system (`/etc/ssl`, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` point) |
//! | `webpki-roots` | Mozilla's, as of the build |
//! | neither | none but those that the program adds |
//!
//! With both, the roots of both. Whatever weakens the checks is behind the feature `dangerous`, and its name begins with
//! `danger_`. There is no renegotiation and no early data, and TLS 1.2 is spoken with forward secrecy only.
//!
//! # Cancel safety
//!
//! A dropped handshake drops its stream. Reads and writes lose nothing, as those of a socket: see [`TlsStream`].
//!
//! ```
//! use heist_net::io::{AsyncReadExt, AsyncWriteExt};
//! use heist_net::tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
//! use heist_net::{TcpListener, TcpStream};
//!
//! # let rcgen::CertifiedKey { cert, signing_key } =
//! #     rcgen::generate_simple_self_signed(["heist.test".to_owned()])?;
//! # let (cert_pem, key_pem) = (cert.pem(), signing_key.serialize_pem());
//! # heist_runtime::block_on(async {
//! let identity = Identity::from_pem_parts(cert_pem.as_bytes(), key_pem.as_bytes())?;
//! let acceptor = TlsAcceptor::new(identity)?;
//! let root = Certificate::from_pem(cert_pem.as_bytes())?;
//! let connector = TlsConnector::builder().add_root_certificate(root).build()?;
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let socket = TcpStream::connect(listener.local_addr()?).await?;
//! let server = heist_runtime::spawn(async move {
//!     let (socket, _) = listener.accept().await?;
//!     let mut stream = acceptor.accept(socket).await?;
//!     stream.write_all(b"hello").await?;
//!     stream.shutdown().await
//! });
//!
//! let mut stream = connector.connect("heist.test", socket).await?;
//! let mut all = String::new();
//! stream.read_to_string(&mut all).await?;
//! assert_eq!(all, "hello");
//! server.await.expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [RFC 5246]: https://www.rfc-editor.org/rfc/rfc5246
//! [RFC 8446]: https://www.rfc-editor.org/rfc/rfc8446

mod error;
mod version;
mod certificate;
mod roots;
#[cfg(feature = "dangerous")]
mod dangerous;
mod session;
mod stream;
mod split;
mod connector;
mod acceptor;

pub use acceptor::{TlsAcceptor, TlsAcceptorBuilder};
pub use certificate::{Certificate, Identity};
pub use connector::{TlsConnector, TlsConnectorBuilder};
pub use error::Error;
pub use split::{ReadHalf, WriteHalf};
pub use stream::TlsStream;
pub use version::Version;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The cryptography. Not the process's default, which other libraries may have set to something else.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
