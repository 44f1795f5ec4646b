//! What is asked of every server.

use std::collections::{BTreeSet, hash_map::DefaultHasher};
use std::hash::Hasher;
use std::time::Duration;

use heist_net::http::{Client, Response};
use heist_sync::join_all;

use crate::program::{LARGE, Program, SMALL, large};

pub(crate) fn client() -> Client {
    let builder = Client::builder().timeout(Duration::from_secs(60));
    builder.build().unwrap()
}

/// Files of all sizes, one that is not there, and HEAD.
pub(crate) async fn files(client: &Client, server: &Program) {
    let small = client.get(server.url("/small.txt")).send().await.unwrap();
    assert_eq!(small.status(), 200);
    assert_eq!(small.content_length(), Some(SMALL.len() as u64));
    assert_eq!(small.text().await.unwrap(), SMALL);

    let empty = client.get(server.url("/empty.txt")).send().await.unwrap();
    assert_eq!(empty.status(), 200);
    assert_eq!(empty.text().await.unwrap(), "");

    let missing = client.get(server.url("/missing")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert!(!missing.bytes().await.unwrap().is_empty());

    let head = client.head(server.url("/large.bin")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.content_length(), Some(LARGE as u64));
    assert!(head.bytes().await.unwrap().is_empty());

    let large_file = client.get(server.url("/large.bin")).send().await.unwrap();
    assert_eq!(large_file.content_length(), Some(LARGE as u64));
    assert_eq!(hash_of(large_file).await, (LARGE, hash(&large())));
}

/// Parts of a file, and one behind its end.
pub(crate) async fn ranges(client: &Client, server: &Program) {
    let get = async |range: &str| {
        let request = client.get(server.url("/large.bin")).header("range", range);
        request.send().await.unwrap()
    };
    let whole = large();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=1000000-3000000", 1_000_000..3_000_001),
        ("bytes=-7", LARGE - 7..LARGE),
    ] {
        let response = get(range).await;
        assert_eq!(response.status(), 206);
        let expected = format!("bytes {}-{}/{LARGE}", part.start, part.end - 1);
        assert_eq!(response.header("content-range"), Some(expected.as_bytes()));
        assert!(response.bytes().await.unwrap() == whole[part], "{range}");
    }
    let response = get("bytes=99999999999-").await;
    assert_eq!(response.status(), 416);
    response.bytes().await.unwrap();
}

/// A file that has not changed since.
pub(crate) async fn conditions(client: &Client, server: &Program) {
    let url = server.url("/small.txt");
    let first = client.get(&url).send().await.unwrap();
    let modified = first.header("last-modified").unwrap().to_vec();
    first.bytes().await.unwrap();
    for _ in 0..3 {
        let request = client.get(&url).header("if-modified-since", &*modified);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 304);
        assert!(response.bytes().await.unwrap().is_empty());
    }
}

/// How many connections `count` requests need, one after the other. The server says in `x-port` from where each came.
pub(crate) async fn connections(client: &Client, url: &str, count: usize) -> usize {
    let mut ports = BTreeSet::new();
    for _ in 0..count {
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        ports.insert(response.header("x-port").unwrap().to_vec());
        assert_eq!(response.text().await.unwrap(), SMALL);
    }
    ports.len()
}

/// A page that comes in chunks.
pub(crate) async fn chunks(client: &Client, url: &str) {
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let chunked = Some(&b"chunked"[..]);
    assert_eq!(response.header("transfer-encoding"), chunked);
    assert_eq!(response.content_length(), None);
    let text = response.text().await.unwrap();
    assert_eq!(text.matches(" and more. ").count(), 300);
    assert!(!text.contains("#echo"));
}

/// Many at once.
pub(crate) async fn crowd(client: &Client, server: &Program) {
    let urls = (0..60).map(|number| match number % 20 {
        0 => server.url("/large.bin"),
        _ => server.url("/small.txt"),
    });
    let expected = hash(&large());
    let fetches = urls.map(async |url| {
        let response = client.get(&url).send().await.unwrap();
        let (length, hash) = hash_of(response).await;
        match url.ends_with(".bin") {
            true => assert_eq!((length, hash), (LARGE, expected)),
            false => assert_eq!(length, SMALL.len()),
        }
    });
    join_all(fetches).await;
}

/// Reads a body piece by piece. Returns its length and hash.
pub(crate) async fn hash_of(mut response: Response) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    let mut length = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        hasher.write(&piece);
        length += piece.len();
    }
    (length, hasher.finish())
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
