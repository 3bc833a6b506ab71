//! Servers start, answer, keep their data over a restart, and end with their owner.
#![cfg(target_os = "linux")]

use std::fs;

use lockfast_servers::etcd::{self, Clients};
use lockfast_servers::postgres;
use lockfast_testing::skip;

#[test]
fn etcd_keeps_its_data_over_a_kill() {
    for release in etcd::RELEASES {
        if let Err(reason) = release.find() {
            skip!("{reason}");
        }
        let mut server = etcd::Options::default().release(release).start();
        server.etcdctl(&["put", "a", "b"]);
        server.kill();
        server.restart();
        assert_eq!(server.etcdctl(&["get", "a"]), "a\nb\n");
        let id = server.process().id();
        drop(server);
        assert!(!is_alive(id));
    }
}

#[test]
fn etcd_refuses_clients_without_certificate_or_password() {
    for release in etcd::RELEASES {
        if let Err(reason) = release.find() {
            skip!("{reason}");
        }
        let options = etcd::Options::default()
            .release(release)
            .password("secret")
            .tls(Clients::Certified);
        let server = options.start();
        server.etcdctl(&["put", "a", "b"]);
        let nameless = server.client().args(["get", "a"]).output().expect("run");
        assert!(!nameless.status.success(), "{nameless:?}");
    }
}

#[test]
fn postgres_keeps_its_data_over_a_restart() {
    for release in postgres::RELEASES {
        if let Err(reason) = release.find() {
            skip!("{reason}");
        }
        let mut server = postgres::Options::default()
            .release(release)
            .password("secret")
            .setting("max_connections=20")
            .start();
        server.query("create table numbers as select 7 as number");
        assert_eq!(server.query("show max_connections"), "20");
        server.restart();
        assert_eq!(server.query("select number from numbers"), "7");
        let id = server.process().id();
        drop(server);
        assert!(!is_alive(id));
    }
}

#[test]
fn postgres_encrypts() {
    if let Err(reason) = postgres::Release::Debian.find() {
        skip!("{reason}");
    }
    let server = postgres::Options::default().tls().start();
    assert_eq!(server.query("show ssl"), "on");
    let own = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(server.query(own), "t");
    assert!(server.authority().certificate().exists());
}

fn is_alive(process: u32) -> bool {
    fs::exists(format!("/proc/{process}")).expect("the list of processes")
}
