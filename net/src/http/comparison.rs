//! What this client does, beside reqwest 0.13, ureq 3, hyper-util 0.1 (its `legacy::Client`) and aiohttp 3.
//!
//! Each *yes* of ours names a test that shows it, in `net/tests`. Of the others it says what we know of them, untested;
//! *other crate* or *other package* is for what somebody else adds to them.
//!
//! | | ours | reqwest | ureq | hyper-util | aiohttp |
//! |---|---|---|---|---|---|
//! | **Connections** | | | | | |
//! | kept alive and used again | yes: `http_client/keep_alive.rs` `a_connection_is_used_again` | yes | yes | yes | yes |
//! | HTTP/2 | yes: `http2/sharing.rs` `a_hundred_requests_at_once_share_one_connection` | yes | no | yes | no |
//! | HTTP/3 | no | unstable | no | no | no |
//! | TLS | yes: `https/exchanges.rs` `a_connection_is_used_again` | yes | yes | other crate | yes |
//! | most connections of a host, idle or not | yes: `http_client/limits.rs` `connections_per_host_are_limited_and_fairly_shared` | no | no | no | yes |
//! | most connections of all hosts | yes: `http_client/pool.rs` `all_hosts_together_have_a_limit` | no | no | no | yes |
//! | opened beforehand | yes: `http_client/pool.rs` `connections_are_there_before_they_are_needed` | no | no | no | no |
//! | addresses of private networks refused | yes: `http_client/limits.rs` `private_addresses_can_be_blocked` | no | no | no | no |
//! | HTTP proxies | yes: `http_client/proxies.rs` `an_http_proxy_gets_plain_requests_whole` | yes | yes | yes | yes |
//! | HTTP proxies over TLS | yes: `https/secure_proxies.rs` `a_proxy_over_tls_hides_what_it_is_asked` | yes | no | no | yes |
//! | SOCKS proxies | yes: `http_client/proxies.rs` `socks_proxies_connect_to_names_and_addresses` | yes | yes | yes | other package |
//! | **Time** | | | | | |
//! | one limit for all, redirects too | yes: `http_client/redirects.rs` `the_timeout_covers_all_redirects` | yes | yes | no | yes |
//! | a limit for silence | yes: `http_client/timeouts.rs` `silence_is_timed` | yes | no | no | yes |
//! | a limit for the head alone | yes: `http_client/timeouts.rs` `the_head_is_timed` | no | yes | no | no |
//! | **Requests** | | | | | |
//! | redirects | yes: `http_client/redirects.rs` `ten_are_followed_and_eleven_are_not` | yes | yes | no | yes |
//! | cookies | yes: `http_client/cookies.rs` `a_session_goes_on_through_redirects` | yes | yes | no | yes |
//! | stale connections replaced | yes: `http_client/keep_alive.rs` `a_stale_connection_is_replaced` | yes | yes | yes | yes |
//! | retries with waits, and `Retry-After` | yes: `http_client/retries.rs` `a_server_says_when_to_come_back` | without waits | no | no | no |
//! | JSON | yes: `http_client/payloads.rs` `json_there_and_back` | yes | yes | no | yes |
//! | forms | yes: `http_client/payloads.rs` `forms_and_queries` | yes | yes | no | yes |
//! | streams as bodies | yes: `http_client/uploads.rs` `a_stream_goes_out_in_chunks` | yes | yes | yes | yes |
//! | `Expect: 100-continue` | yes: `http_client/uploads.rs` `a_server_that_knows_no_expectations` | no | yes | no | yes |
//! | **Responses** | | | | | |
//! | gzip, brotli, zstd, deflate | yes: `http_client/codings.rs` `a_coding_is_asked_for_and_removed` | yes | gzip, brotli | no | yes |
//! | a limit of what is decoded | yes: `http_client/codings.rs` `limits_hold_for_what_comes_out` | no | yes | no | no |
//! | trailers | yes: `http_client/bodies.rs` `trailers_come_at_the_end` | no | no | yes | no |
//! | the connection taken over (101) | yes: `http_client/bodies.rs` `a_connection_is_taken_over` | yes | no | yes | no |
//! | WebSockets | no | other crate | other crate | other crate | yes |
//! | **Around it** | | | | | |
//! | middleware | yes: `http_client/layers.rs` `layers_retry_and_limit` | tower | its own | tower | its own |
//! | a span for each request | yes: `http_client/traces.rs` `a_request_tells_its_phases_and_no_secret` | other crate | no | no | other package |
//! | counters | yes: `http_client/pool.rs` `numbers_are_exact` | no | no | no | no |
//! | without an async runtime | no | yes (`blocking`) | yes | no | no |
