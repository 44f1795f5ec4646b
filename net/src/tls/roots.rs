//! Which issuers a client trusts.

#[cfg(feature = "native-roots")]
use std::sync::OnceLock;

use rustls::RootCertStore;

use super::certificate::Certificate;
use super::error::Error;

/// The roots that are compiled in or found on the system (if `built_in`), and the program's own.
pub(super) fn roots(built_in: bool, own: &[Certificate]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if built_in {
        #[cfg(feature = "webpki-roots")]
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        #[cfg(feature = "native-roots")]
        store.extend(native().roots.iter().cloned());
    }
    for certificate in own {
        store.add(certificate.der.clone())?;
    }
    Ok(store)
}

/// The system's, read once: it is a hundred files.
///
/// What cannot be read or parsed is left out, as other programs do; a system without any is noticed as an unknown
/// issuer, whose message says what to do.
#[cfg(feature = "native-roots")]
fn native() -> &'static RootCertStore {
    static NATIVE: OnceLock<RootCertStore> = OnceLock::new();
    NATIVE.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    })
}
