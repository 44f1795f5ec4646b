//! What an answer says: addresses for their time, that there are none, or that this server is no help.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name as DnsName, RData, RecordType};

use super::super::error::Kind;

/// One of the two kinds of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn record_type(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }

    pub(super) fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// What a server has said.
#[derive(Debug)]
pub(super) enum Answer {
    /// Addresses, at least one, for so long.
    Found(Arc<[IpAddr]>, Duration),
    /// There are none (`NoSuchName` or `NoAddress`); for how long, if the server says so (RFC 2308).
    None(Kind, Option<Duration>),
    /// Another server may know.
    Failed(Kind),
}

/// The most aliases that are followed.
const CHAIN: usize = 16;

/// Reads what hickory found for `name`.
pub(super) fn read(
    name: &DnsName,
    family: Family,
    timeout: Duration,
    result: Result<Lookup, NetError>,
) -> Answer {
    match result {
        Ok(lookup) => found(name, family, &lookup),
        Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code,
            negative_ttl,
            ..
        }))) => {
            let ttl = negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
            match response_code {
                ResponseCode::NXDomain => Answer::None(Kind::NoSuchName, ttl),
                ResponseCode::NoError => Answer::None(Kind::NoAddress, ttl),
                code => Answer::Failed(of_code(code)),
            }
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => Answer::Failed(of_code(code)),
        Err(NetError::Timeout) => Answer::Failed(Kind::TimedOut(timeout)),
        Err(NetError::Io(error)) => Answer::Failed(match error.kind() {
            io::ErrorKind::TimedOut => Kind::TimedOut(timeout),
            kind => Kind::Io(io::Error::new(kind, error)),
        }),
        Err(error @ (NetError::Busy | NetError::NoConnections)) => {
            Answer::Failed(Kind::Io(io::Error::other(error)))
        }
        Err(error) => Answer::Failed(Kind::Malformed(error.to_string().into())),
    }
}

fn of_code(code: ResponseCode) -> Kind {
    match code {
        ResponseCode::ServFail => Kind::ServerFailure,
        ResponseCode::Refused => Kind::Refused,
        code => Kind::Malformed(format!("it has the response code {code}").into()),
    }
}

/// The addresses of the name, or of what it is an alias of. Others in the answer are none of its business. They are good
/// for as long as everything is that led to them.
fn found(name: &DnsName, family: Family, lookup: &Lookup) -> Answer {
    let records = lookup.answers();
    let (mut owners, mut ttl) = (vec![name], u32::MAX);
    while owners.len() <= CHAIN {
        let last = owners[owners.len() - 1];
        let alias = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *last => Some((&target.0, record.ttl)),
            _ => None,
        });
        match alias {
            Some((target, seconds)) if !owners.contains(&target) => {
                owners.push(target);
                ttl = ttl.min(seconds);
            }
            _ => break,
        }
    }
    let mut addresses = Vec::new();
    for record in records {
        let Some(address) = record.data.ip_addr() else {
            continue;
        };
        if family.has(address) && owners.contains(&&record.name) && !addresses.contains(&address) {
            addresses.push(address);
            ttl = ttl.min(record.ttl);
        }
    }
    if addresses.is_empty() {
        return Answer::None(Kind::NoAddress, None);
    }
    Answer::Found(addresses.into(), Duration::from_secs(ttl.into()))
}
