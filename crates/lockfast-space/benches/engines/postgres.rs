//! PostgreSQL.

use std::time::Duration;

use lockfast_servers::postgres::{Release, Server};
use lockfast_space::Space;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, Statement};

use crate::cut;
use crate::report::{Report, time};

const KEY: i64 = 4711;

/// The number of times that both connect anew.
const PARTS: usize = 20;

pub(crate) fn measure(report: &mut Report, rounds: usize) {
    if let Err(reason) = Release::Debian.find() {
        return report.leave_out("PostgreSQL", &reason);
    }
    let server = Server::start();
    for has_fence in [false, true] {
        let (ours, raw) = in_turns(&server, has_fence, rounds);
        if has_fence {
            let label = "PostgreSQL: lock + fence + unlock / bare lock + upsert + unlock";
            report.compare(label, &ours, &raw, 1.3);
        } else {
            let label = "PostgreSQL: lock + unlock / bare pg_advisory_lock + unlock";
            report.compare(label, &ours, &raw, 1.5);
        }
    }
    cut::measure(
        report,
        "PostgreSQL",
        rounds / 50,
        &server.endpoint(),
        |endpoint| format!("postgres://postgres@{endpoint}/postgres?namespace=cut"),
    );
}

/// Measures both in turns, with new connections for each part of the rounds.
///
/// The scheduler keeps a client and its process of the server on one processor, or on two, where each wake-up takes
/// four times as long. Which of the two a connection gets is chance.
fn in_turns(server: &Server, has_fence: bool, rounds: usize) -> (Vec<Duration>, Vec<Duration>) {
    let fence = if has_fence { "on" } else { "off" };
    let url = format!("{}?fence={fence}", server.url());
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..PARTS {
        let space = Space::open(&url).unwrap_or_else(|error| panic!("{error}"));
        let lock = space.lock("bench").expect("opened");
        let bare = Bare::new(server);
        for _ in 0..rounds.div_ceil(PARTS) {
            ours.push(time(|| lock.lock().expect("free").release().expect("held")));
            raw.push(time(|| bare.pair(has_fence)));
        }
    }
    (ours, raw)
}

/// Prepared statements on a connection.
struct Bare {
    runtime: Runtime,
    client: Client,
    lock: Statement,
    fence: Statement,
    unlock: Statement,
}

impl Bare {
    fn new(server: &Server) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (client, [lock, fence, unlock]) = runtime.block_on(async {
            let connected = tokio_postgres::connect(&server.url(), NoTls).await;
            let (client, connection) = connected.expect("connected");
            tokio::spawn(connection);
            let table =
                "create table if not exists bench (key bigint primary key, fence bigint not null)";
            client.batch_execute(table).await.expect("created");
            let statements = [
                "select pg_advisory_lock($1)",
                "insert into bench as b values ($1, 1) \
                 on conflict (key) do update set fence = b.fence + 1 returning fence",
                "select pg_advisory_unlock($1)",
            ];
            let mut prepared = Vec::new();
            for statement in statements {
                prepared.push(client.prepare(statement).await.expect("prepared"));
            }
            (client, prepared.try_into().expect("three"))
        });
        Self {
            runtime,
            client,
            lock,
            fence,
            unlock,
        }
    }

    fn pair(&self, has_fence: bool) {
        self.runtime.block_on(async {
            let run = async |statement| {
                self.client.query(statement, &[&KEY]).await.expect("done");
            };
            run(&self.lock).await;
            if has_fence {
                run(&self.fence).await;
            }
            run(&self.unlock).await;
        });
    }
}
