//! Certificates for servers and clients, made by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority of its own for a test, with its files in a directory of the test.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority in the directory, which must exist.
    ///
    /// # Panics
    ///
    /// Panics if `openssl` fails.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-days", "2", "-subj", "/CN=authority"])
            .args(KEY)
            .arg("-keyout")
            .arg(directory.join("authority.key"))
            .arg("-out")
            .arg(directory.join("authority.pem"));
        run(&mut make);
        Self { directory }
    }

    /// The certificate of the authority, as PEM.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    /// Makes a certificate for servers on this machine.
    ///
    /// # Panics
    ///
    /// Panics if `openssl` fails.
    pub fn server(&self) -> Identity {
        self.identity("server", "IP:127.0.0.1,DNS:localhost")
    }

    /// Makes a certificate for a client of that name.
    ///
    /// # Panics
    ///
    /// Panics if `openssl` fails.
    pub fn client(&self, name: &str) -> Identity {
        self.identity(name, &format!("DNS:{name}"))
    }

    fn identity(&self, name: &str, alternatives: &str) -> Identity {
        let path = |end: &str| self.directory.join(format!("{name}.{end}"));
        let (key, certificate, request) = (path("key"), path("pem"), path("csr"));
        let mut ask = Command::new("openssl");
        ask.args(["req", "-subj", &format!("/CN={name}")])
            .args(KEY)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&request);
        run(&mut ask);
        let extensions = path("extensions");
        let text = format!("subjectAltName={alternatives}\n");
        fs::write(&extensions, text).expect("a file for openssl");
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-CAcreateserial", "-in"])
            .arg(&request)
            .arg("-CA")
            .arg(self.certificate())
            .arg("-CAkey")
            .arg(self.directory.join("authority.key"))
            .arg("-extfile")
            .arg(&extensions)
            .arg("-out")
            .arg(&certificate);
        run(&mut sign);
        restrict(&key);
        Identity { certificate, key }
    }
}

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// PostgreSQL refuses a key that others can read.
fn restrict(key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn run(command: &mut Command) {
    let done = command.output().expect("openssl is installed");
    assert!(done.status.success(), "{command:?}: {done:?}");
}
