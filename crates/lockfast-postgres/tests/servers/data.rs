//! The fence of data in the same database, as `docs/design/postgres.md` shows it.

use libtest_mimic::Trial;
use lockfast_servers::postgres::Server;

use crate::releases::{Shared, lock, open};

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("a_stale_writer_is_refused", a_stale_writer_is_refused),
        shared.trial("sql_computes_the_same_key", sql_computes_the_same_key),
    ]
}

fn a_stale_writer_is_refused(server: &Server) {
    let client = open(server, "data");
    server.query("create table balance as select 0 as amount");
    let key = client.key("balance");
    // Returns the number of rows that were written.
    let write = |amount: u32, token: u64| {
        server.query(&format!(
            "with held as materialized \
             (select 1 from lockfast.names where key = {key} and fence = {token} for share), \
             written as (update balance set amount = {amount} where exists (select from held) returning 1) \
             select count(*) from written"
        ))
    };
    let old = lock(&client, "balance").lock().expect("free");
    let stale = old.token().expect("a token");
    assert_eq!(write(1, stale), "1");
    assert!(client.break_token("balance", stale).expect("compared"));
    smol::block_on(old.lost());
    let new = lock(&client, "balance").lock().expect("freed");
    let token = new.token().expect("a token");
    assert_eq!(write(2, token), "1");
    assert_eq!(write(3, stale), "0", "the old holder believes that it may");
    assert_eq!(server.query("select amount from balance"), "2");
}

fn sql_computes_the_same_key(server: &Server) {
    let client = open(server, "jobs");
    let key = server.query(
        "select ('x' || left(encode(sha256(convert_to('jobs', 'UTF8') || '\\x00'::bytea \
         || convert_to('Ärger', 'UTF8')), 'hex'), 16))::bit(64)::bigint",
    );
    assert_eq!(key, client.key("Ärger").to_string());
}
