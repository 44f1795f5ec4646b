//! Apache httpd, under either of its names.

use std::path::Path;

use heist_runtime::block_on;

use crate::checks::*;
use crate::program::Program;

const CONFIGURATION: &str = r#"
ServerRoot @FOLDER@
DefaultRuntimeDir @FOLDER@
PidFile @FOLDER@/pid
ErrorLog @FOLDER@/errors
ServerName localhost
Listen 127.0.0.1:@PORT@
User nobody
LoadModule mpm_event_module @MODULES@/mod_mpm_event.so
LoadModule authz_core_module @MODULES@/mod_authz_core.so
LoadModule headers_module @MODULES@/mod_headers.so
LoadModule include_module @MODULES@/mod_include.so
LoadModule mime_module @MODULES@/mod_mime.so
TypesConfig /dev/null
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
Header always set x-port "expr=%{REMOTE_PORT}"
KeepAlive On
MaxKeepAliveRequests 5
DocumentRoot @FOLDER@/site
<Directory @FOLDER@/site>
    Options +Includes
    Require all granted
</Directory>
"#;

const MODULES: [&str; 3] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/etc/httpd/modules",
];

fn start() -> Option<Program> {
    let modules = MODULES.iter().find(|folder| Path::new(folder).is_dir());
    let name = match modules {
        Some(folder) if folder.contains("httpd") => "httpd",
        _ => "apache2",
    };
    Program::start(name, |folder: &Path, port| {
        let folder = folder.to_str().unwrap();
        let file = format!("{folder}/httpd.conf");
        let text = CONFIGURATION
            .replace("@FOLDER@", folder)
            .replace("@MODULES@", modules.unwrap_or(&MODULES[0]))
            .replace("@PORT@", &port.to_string());
        std::fs::write(&file, text).unwrap();
        ["-D", "FOREGROUND", "-f", &file]
            .map(str::to_owned)
            .to_vec()
    })
}

#[test]
fn apache_serves_files() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        files(&client, &server).await;
        ranges(&client, &server).await;
        conditions(&client, &server).await;
        chunks(&client, &server.url("/page.shtml")).await;
        crowd(&client, &server).await;
    });
}

#[test]
fn apache_keeps_connections_alive_for_a_while() {
    let Some(server) = start() else { return };
    block_on(async {
        let url = server.url("/small.txt");
        assert_eq!(connections(&client(), &url, 5).await, 1);
        let many = connections(&client(), &url, 24).await;
        assert!((4..=5).contains(&many), "{many} connections");
    });
}
