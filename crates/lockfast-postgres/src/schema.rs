//! The table with the readable names and the fences.

use tokio_postgres::Client;
use tokio_postgres::error::{Error, SqlState};

/// Statements for a user who may create the table, if the user of the locks may not.
pub(crate) const SETUP: &str = "\
create schema if not exists lockfast;
create table if not exists lockfast.names (
    key bigint primary key,
    namespace text not null,
    name text not null,
    permits integer,
    fence bigint not null default 0,
    pid integer,
    since timestamptz
);
comment on table lockfast.names is
    'Names and fencing tokens of lockfast. A row that is deleted begins with token 1 again.';
";

/// The advisory lock under which the table is created: `if not exists` alone fails when two sessions do it at
/// the same time.
const SETUP_KEY: i64 = i64::from_be_bytes(*b"lockfast");

/// Creates the table if it is not there.
///
/// # Errors
///
/// `42501` if it is not there and this role may not create it.
pub(crate) async fn ensure(client: &Client) -> Result<(), Error> {
    let is_there = "select to_regclass('lockfast.names') is not null";
    if client
        .query_typed(is_there, &[])
        .await?
        .iter()
        .all(|row| row.get(0))
    {
        return Ok(());
    }
    let create = format!("begin; select pg_advisory_xact_lock({SETUP_KEY}); {SETUP} commit");
    let created = client.batch_execute(&create).await;
    if created.is_err() {
        // The statement after the failed one is still in the transaction.
        client.batch_execute("rollback").await?;
    }
    created
}

/// Returns what a user with more rights has to run for this role.
pub(crate) fn remedy(error: &Error, role: &str) -> Option<String> {
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return None;
    }
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    Some(format!(
        "have the owner of the database run:\n{SETUP}\
         grant usage on schema lockfast to {role};\n\
         grant select, insert, update on lockfast.names to {role};"
    ))
}
