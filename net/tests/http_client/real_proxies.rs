//! Proxies that others wrote: Squid, microsocks and Dante, where they are installed.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use heist_net::http::{Client, Proxy};
use heist_runtime::block_on;

use crate::refusing::refusing;
use crate::server::*;

/// A program that runs until this is dropped, and its files.
struct Running {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a program, and waits until it listens. `None`, with a line that says so, when it is absent.
fn start(
    program: &str,
    configuration: impl Fn(u16, &str) -> String,
    arguments: impl Fn(u16, &str) -> Vec<String>,
) -> Option<Running> {
    let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(program))
        .find(|path| path.exists());
    let Some(path) = found else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let port = free_port();
    let folder =
        std::env::temp_dir().join(format!("heist-{program}-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("conf");
    let folder_name = folder.to_str().unwrap();
    std::fs::write(&file, configuration(port, folder_name)).unwrap();
    let child = Command::new(path)
        .args(arguments(port, file.to_str().unwrap()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running {
        child,
        port,
        folder,
    };
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = running.child.try_wait().unwrap() {
            eprintln!("skipped: {program} does not run here ({status})");
            return None;
        }
        assert!(begun.elapsed().as_secs() < 30, "{program} does not listen");
        std::thread::sleep(millis(20));
    }
    Some(running)
}

fn through(proxy: &str) -> Client {
    let client = Client::builder().timeout(millis(20_000));
    client.proxy(Proxy::all(proxy).unwrap()).build().unwrap()
}

fn squid() -> Option<Running> {
    let configuration = |port: u16, folder: &str| {
        format!(
            "http_port 127.0.0.1:{port}\nhttp_access allow localhost\nhttp_access deny all\n\
             pid_filename {folder}/pid\naccess_log none\ncache_log /dev/null\ncache deny all\n\
             netdb_filename none\npinger_enable off\nshutdown_lifetime 0 seconds\n\
             visible_hostname squid.test\ncoredump_dir {folder}\nvia on\n"
        )
    };
    // Two of one name share memory, whoever started them, and the second ends the first.
    let name = format!("heist{}", std::process::id());
    let arguments = |_, file: &str| ["-N", "-n", &name, "-f", file].map(str::to_owned).to_vec();
    start("squid", configuration, arguments)
}

#[test]
fn squid_passes_requests_on() {
    let Some(squid) = squid() else { return };
    let server = Server::answering(ok("hello"));
    let client = through(&format!("http://127.0.0.1:{}", squid.port));
    block_on(async {
        for _ in 0..3 {
            let response = client.get(server.url("/x?y=z")).send().await.unwrap();
            assert_eq!(response.remote_addr().unwrap().port(), squid.port);
            assert!(
                response.headers().contains_key("via"),
                "it did not go through Squid"
            );
            assert_eq!(response.text().await.unwrap(), "hello");
        }
        let refused = format!("http://{}/", refusing());
        assert_eq!(client.get(refused).send().await.unwrap().status(), 503);
    });
    assert!(server.requests()[0].starts_with("GET /x?y=z HTTP/1.1\r\n"));
}

#[test]
fn microsocks_connects_to_addresses_and_names() {
    let nothing = |_, _: &str| String::new();
    let port_of = |port: u16| port.to_string();
    for (login, user) in [
        (vec![], ""),
        (vec!["-u", "me", "-P", "secret"], "me:secret@"),
    ] {
        let arguments = |port, _: &str| {
            let mut all = vec!["-i".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned()];
            all.push(port_of(port));
            all.extend(login.iter().map(|&part| part.to_owned()));
            all
        };
        let Some(proxy) = start("microsocks", nothing, arguments) else {
            return;
        };
        let server = Server::answering(ok("hello"));
        let named = server.url("/").replace("127.0.0.1", "localhost");
        block_on(async {
            for scheme in ["socks5", "socks5h"] {
                let client = through(&format!("{scheme}://{user}127.0.0.1:{}", proxy.port));
                assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
                assert_eq!(get(&client, &named).await.unwrap(), "hello", "{scheme}");
                let refused = format!("http://{}/", refusing());
                let error = get(&client, &refused).await.unwrap_err();
                assert!(error.is_proxy() && error.is_connect(), "{error}");
            }
            if !user.is_empty() {
                let client = through(&format!("socks5://me:wrong@127.0.0.1:{}", proxy.port));
                let error = get(&client, &server.url("/")).await.unwrap_err();
                assert!(
                    error.is_proxy() && !error.to_string().contains("wrong"),
                    "{error}"
                );
            }
        });
    }
}

#[test]
fn dante_speaks_both_versions() {
    let configuration = |port: u16, _: &str| {
        format!(
            "logoutput: /dev/null\ninternal: 127.0.0.1 port = {port}\nexternal: lo\n\
             socksmethod: none\nclientmethod: none\nuser.privileged: root\n\
             user.unprivileged: nobody\n\
             client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
             socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n"
        )
    };
    let arguments = |_, file: &str| ["-f", file].map(str::to_owned).to_vec();
    let Some(proxy) = start("danted", configuration, arguments) else {
        return;
    };
    let server = Server::answering(ok("hello"));
    block_on(async {
        for scheme in ["socks5", "socks4"] {
            let client = through(&format!("{scheme}://127.0.0.1:{}", proxy.port));
            for _ in 0..2 {
                assert_eq!(
                    get(&client, &server.url("/")).await.unwrap(),
                    "hello",
                    "{scheme}"
                );
            }
        }
    });
}
