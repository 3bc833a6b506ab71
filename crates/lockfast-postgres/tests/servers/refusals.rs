//! Bad input, and servers that can't be used: each is an error that says what to do.

use libtest_mimic::Trial;
use lockfast::{Error, ErrorKind};
use lockfast_postgres::Client;
use lockfast_servers::pgbouncer::{self, PgBouncer};
use lockfast_servers::postgres::{Options, Release, Server};
use lockfast_servers::tls::Authority;
use lockfast_testing::trial_needing;

use crate::releases::{Shared, lock, open, semaphore};

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = vec![
        shared.trial(
            "a_server_that_is_not_there_is_named",
            server_that_is_not_there,
        ),
        shared.trial(
            "a_database_that_is_not_there_is_named",
            database_that_is_not_there,
        ),
        shared.trial("names_that_no_lock_can_have_are_refused", bad_names),
        shared.trial("a_name_is_for_one_primitive", a_name_is_for_one_primitive),
        shared.trial("a_name_with_the_key_of_another_is_refused", a_collision),
        shared.trial("locks_have_no_upgradable_readers", no_upgradable_readers),
        shared.trial(
            "a_role_without_rights_is_shown_what_to_run",
            role_without_rights,
        ),
        shared.trial(
            "clients_that_come_first_at_once_create_one_table",
            first_at_once,
        ),
        shared.trial_alone("a_wrong_password_is_not_repeated", wrong_password),
        shared.trial_alone("a_standby_is_refused", a_standby_is_refused),
    ];
    // The release of Python has no TLS, and one release in front of a pooler is enough.
    if shared.release() == Release::Debian {
        trials.push(shared.trial_alone("certificates_are_checked", certificates_are_checked));
        let server = shared.clone();
        let needed = shared.release().find().and(pgbouncer::find()).map(drop);
        trials.push(trial_needing!(
            "a_pooler_of_transactions_is_refused",
            needed,
            move || {
                a_pooler_of_transactions_is_refused(server.server());
            }
        ));
    }
    trials
}

fn refused(url: &str) -> Error {
    Client::open(url).expect_err("it can't be used")
}

fn server_that_is_not_there(_: &Server) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let url = format!("postgres://me@127.0.0.1:{port}/db");
    let error = refused(&url);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

fn database_that_is_not_there(server: &Server) {
    let error = refused(&format!(
        "postgres://postgres@{}/nowhere",
        server.endpoint()
    ));
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    assert!(
        error.to_string().contains("\"nowhere\" does not exist"),
        "{error}"
    );
}

fn bad_names(server: &Server) {
    let client = open(server, "names_of_locks");
    for name in ["", "a\0b", &"x".repeat(4096)] {
        let error = client.lock(name).expect_err("no lock has that name");
        assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
    }
    for name in ["a/b/c", "Ärger %", "'; drop table x --", &"x".repeat(1024)] {
        assert!(lock(&client, name).try_lock().is_ok());
    }
}

fn a_name_is_for_one_primitive(server: &Server) {
    let client = open(server, "kinds_of_names");
    drop((lock(&client, "lock"), semaphore(&client, "pool", 3)));
    let kind = |result: lockfast::Result<()>| result.expect_err("refused").kind();
    let semaphore = |name, permits| client.semaphore(name, permits).map(drop);
    assert_eq!(kind(semaphore("lock", 3)), ErrorKind::InvalidOption);
    assert_eq!(
        kind(client.lock("pool").map(drop)),
        ErrorKind::InvalidOption
    );
    assert_eq!(kind(semaphore("pool", 4)), ErrorKind::OtherPermits);
    assert_eq!(kind(semaphore("none", 0)), ErrorKind::InvalidOption);
    assert_eq!(kind(semaphore("many", 1001)), ErrorKind::InvalidOption);
    assert!(semaphore("pool", 3).is_ok());
}

fn a_collision(server: &Server) {
    let client = open(server, "collision");
    let opened = lock(&client, "a");
    let key = client.key("a");
    server.query(&format!(
        "update lockfast.names set name = 'other' where key = {key}"
    ));
    let error = client.lock("a").expect_err("the key is taken");
    assert!(error.to_string().contains("other"), "{error}");
    let error = opened.lock().expect_err("the key is taken");
    assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
    server.query(&format!("delete from lockfast.names where key = {key}"));
    assert!(opened.try_lock().is_ok(), "nothing is held after the error");
}

fn no_upgradable_readers(server: &Server) {
    let client = open(server, "upgradable");
    assert!(!client.capabilities().conversions);
    let lock = crate::releases::rwlock(&client, "a");
    assert!(
        lock.upgradable_read()
            .expect_err("not here")
            .is_unsupported()
    );
}

fn role_without_rights(server: &Server) {
    // A database of its own, in which nobody has created the table.
    server.query("create role plain login");
    server.query("create database fresh");
    let url = format!("postgres://plain@{}/fresh", server.endpoint());
    let error = refused(&url);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let text = error.to_string();
    let (_, remedy) = text
        .split_once("run:\n")
        .unwrap_or_else(|| panic!("{text}"));
    server.query_in("fresh", remedy);
    let client = Client::open(&url).unwrap_or_else(|error| panic!("{error}"));
    let guard = lock(&client, "a").lock().expect("it may now");
    assert_eq!(guard.token(), Some(1));
}

fn first_at_once(server: &Server) {
    server.query("create database together");
    let url = format!("postgres://postgres@{}/together", server.endpoint());
    let ready = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                ready.wait();
                let opened = Client::open(&url);
                assert!(opened.is_ok(), "{opened:?}");
            });
        }
    });
}

fn wrong_password(options: Options) {
    let server = options.password("hunter2").start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    let url = format!("{}?password-file={}", server.url(), file.display());
    std::fs::write(&file, "guessed7\n").expect("written");
    let error = refused(&url);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(
        !format!("{error} {error:#?}").contains("guessed7"),
        "{error:#?}"
    );
    assert!(error.to_string().contains("password-file="), "{error}");
    std::fs::write(&file, "hunter2\n").expect("written");
    let client = Client::open(&url).unwrap_or_else(|error| panic!("{error}"));
    assert!(!format!("{client:#?}").contains("hunter2"));
    assert!(lock(&client, "a").try_lock().is_ok());
}

fn a_standby_is_refused(options: Options) {
    let mut server = options.start();
    server.become_standby();
    let error = refused(&server.url());
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("standby"), "{error}");
}

fn certificates_are_checked(options: Options) {
    let server = options.tls().start();
    let own = server.authority().certificate();
    let directory = tempfile::tempdir().expect("a directory");
    let other = Authority::new(directory.path()).certificate();
    let open = |mode: &str, root: &std::path::Path| {
        let url = format!(
            "{}?sslmode={mode}&sslrootcert={}",
            server.url(),
            root.display()
        );
        Client::open(&url)
    };
    for mode in ["verify-ca", "verify-full", "require"] {
        let client = open(mode, &own).unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert!(lock(&client, "a").try_lock().is_ok());
        let error = open(mode, &other).expect_err("of another authority");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
    let url = format!("{}?sslmode=require", server.url());
    let client = Client::open(&url).unwrap_or_else(|error| panic!("{error}"));
    let encryption = |check: &&lockfast_lease::Check| check.name == "encryption";
    let checks = client.diagnose();
    assert_eq!(checks.iter().find(encryption).expect("checked").text, "TLS");
}

fn a_pooler_of_transactions_is_refused(server: &Server) {
    let pooler = PgBouncer::start(server, "transaction");
    let error = refused(&pooler.url());
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("PgBouncer"), "{error}");
    let pooler = PgBouncer::start(server, "session");
    let client = Client::open(&pooler.url()).unwrap_or_else(|error| panic!("{error}"));
    assert!(lock(&client, "pooled").try_lock().is_ok());
}
