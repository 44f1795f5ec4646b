//! Certificates made on the spot.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::sync::atomic::{AtomicUsize, Ordering};

use heist_net::tls::{Certificate, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Who issues certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// The certificates between this one and the root, as PEM.
    chain: String,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (params, key) = (Self::params(), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
            chain: String::new(),
        }
    }

    fn params() -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // The name is what an issuer is found by.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("Authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params
    }

    /// One that this one vouches for.
    pub(crate) fn intermediate(&self) -> Self {
        let (params, key) = (Self::params(), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            chain: format!("{pem}{}", self.chain),
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Forgets what is in between, as careless administrators do.
    pub(crate) fn without_chain(mut self) -> Self {
        self.chain.clear();
        self
    }

    pub(crate) fn root(&self) -> Certificate {
        Certificate::from_pem(self.pem.as_bytes()).unwrap()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_between(names, 2020, 2080)
    }

    /// Valid from the first day of one year to that of another.
    pub(crate) fn issue_between(&self, names: &[&str], from: i32, to: i32) -> Issued {
        let params = leaf(names, from, to);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain: format!("{}{}", certificate.pem(), self.chain),
            key: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// Issued by itself.
    pub(crate) fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            chain: leaf(names, 2020, 2080).self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem_parts(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes()).unwrap()
    }
}

fn leaf(names: &[&str], from: i32, to: i32) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}
