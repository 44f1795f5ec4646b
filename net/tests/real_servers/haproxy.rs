//! HAProxy, in front of Python's server: what it passes on, and what it answers itself.

use std::path::Path;

use heist_runtime::block_on;

use crate::checks::*;
use crate::program::{Program, SMALL};
use crate::python;

const CONFIGURATION: &str = r#"
global
    maxconn 200
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout http-keep-alive 20s
frontend all
    bind 127.0.0.1:@PORT@
    http-response set-header x-port %[src_port]
    http-request return status 200 content-type text/plain string "from the proxy" if { path /own }
    http-request deny deny_status 403 if { path /denied }
    http-request redirect location /small.txt code 307 if { path /moved }
    http-request silent-drop if { path /dropped }
    use_backend nobody if { path /nobody }
    default_backend python
backend python
    server one 127.0.0.1:@BEHIND@
backend nobody
    server none 127.0.0.1:1
"#;

fn start(behind: &Program) -> Option<Program> {
    Program::start("haproxy", |folder: &Path, port| {
        let file = format!("{}/haproxy.cfg", folder.to_str().unwrap());
        let text = CONFIGURATION
            .replace("@PORT@", &port.to_string())
            .replace("@BEHIND@", &behind.port().to_string());
        std::fs::write(&file, text).unwrap();
        ["-db", "-f", &file].map(str::to_owned).to_vec()
    })
}

#[test]
fn haproxy_passes_on_what_comes() {
    let Some(behind) = python::start() else {
        return;
    };
    let Some(server) = start(&behind) else { return };
    block_on(async {
        let client = client();
        files(&client, &server).await;
        conditions(&client, &server).await;
        crowd(&client, &server).await;
        python::dynamic(&client, &server).await;
        let url = server.url("/small.txt");
        assert_eq!(connections(&self::client(), &url, 30).await, 1);
    });
}

#[test]
fn haproxy_answers_itself() {
    let Some(behind) = python::start() else {
        return;
    };
    let Some(server) = start(&behind) else { return };
    block_on(async {
        let client = client();
        let get = async |path: &str| client.get(server.url(path)).send().await.unwrap();
        for _ in 0..3 {
            assert_eq!(get("/own").await.text().await.unwrap(), "from the proxy");
            assert_eq!(get("/denied").await.status(), 403);
            assert_eq!(get("/nobody").await.status(), 503);
            assert_eq!(get("/moved").await.text().await.unwrap(), SMALL);
        }
    });
}
