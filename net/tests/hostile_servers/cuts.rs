//! Ends and resets at every byte of a few responses.

use heist_runtime::block_on;

use crate::memory;
use crate::server::*;

/// A response, its body, and whether it says itself where it ends.
const RESPONSES: &[(&str, &str, bool)] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "hello",
        true,
    ),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n\
         3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\nT: u\r\n\r\n",
        "abcde",
        true,
    ),
    ("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", "", true),
    (
        "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello",
        "hello",
        false,
    ),
];

/// Control: `eof` in the middle of a chunk that is no error.
#[test]
fn an_end_at_every_byte() {
    let _alone = memory::alone();
    cut_everywhere(
        |_| {},
        |text, whole, at_close, complete| {
            complete && text == whole || at_close && whole.starts_with(text)
        },
    );
}

/// Control: a reset that is taken for an end.
#[test]
fn a_reset_at_every_byte() {
    let _alone = memory::alone();
    let linger = |peer: &mut Peer| {
        // What is on its way when the connection is reset may be lost with it.
        std::thread::sleep(std::time::Duration::from_micros(300));
        peer.reset();
    };
    cut_everywhere(linger, |text, whole, at_close, complete| {
        complete && !at_close && text == whole
    });
}

/// `is_right` judges a success by its text, that of the whole response, whether that ends with the connection, and
/// whether all of it was sent.
fn cut_everywhere(finish: fn(&mut Peer), is_right: fn(&str, &str, bool, bool) -> bool) {
    for &(response, body, delimited) in RESPONSES {
        let server = Server::new(move |peer| {
            memory::do_not_count_this_thread();
            let Some(head) = peer.request() else {
                return;
            };
            let cut = head.split(['/', ' ']).nth(2).unwrap().parse::<usize>();
            peer.send(&response[..cut.unwrap()]);
            finish(peer);
        });
        block_on(async {
            let client = client();
            for cut in 0..=response.len() {
                let result = get(&client, &server.url(&format!("/{cut}"))).await;
                let complete = cut == response.len();
                match result {
                    Ok(text) => assert!(
                        is_right(&text, body, !delimited, complete),
                        "{response:?} cut at {cut} gave {text:?}"
                    ),
                    Err(error) => {
                        assert!(
                            error.is_request() || error.is_body(),
                            "{response:?} cut at {cut}: {error}"
                        );
                        assert!(
                            !error.is_timeout() && !error.is_decode() && !error.is_limit(),
                            "{response:?} cut at {cut}: {error}"
                        );
                    }
                }
            }
        });
        // Each attempt had a connection of its own.
        assert_eq!(server.connections(), response.len() + 1, "{response:?}");
    }
}
