//! Findings about a cluster, for `lockfast doctor`.

use std::sync::Arc;
use std::time::Duration;

use lockfast::engine::Operation;
use lockfast_lease::Check;
use tokio::time::Instant;

use crate::client::Client;
use crate::core::{Core, is_too_old};
use crate::failure::Reason;
use crate::keys::{self, Range};
use crate::proto::{MemberListRequest, RangeRequest, StatusRequest, StatusResponse};
use crate::session::Granted;
use crate::stop::Stop;
use crate::transport::grpc::causes;
use crate::txn;

/// The limit of a question to a single server.
const ONE_ANSWER: Duration = Duration::from_secs(2);
/// A request that takes longer makes each lock slow.
const SLOW: Duration = Duration::from_millis(100);
/// The number of revisions from which on a history is long. Two of them are a lock and its release.
const LONG_HISTORY: i64 = 100_000;

impl Client {
    /// Tries what a cluster has to give: each server, its version and leader, the history that it keeps, the speed,
    /// the permission to write, the lease.
    ///
    /// # Blocking
    ///
    /// Blocks for up to 2 seconds a server that does not answer, and the timeout of the URL.
    pub fn diagnose(&self) -> Vec<Check> {
        let core = self.core();
        let work = async move { diagnose(&core).await };
        let checks = self
            .blame(Operation::UseDirectory)
            .and_then(|_| self.connection().run(work));
        match checks {
            Ok(checks) => checks,
            Err(error) => vec![Check::fail("thread", error.to_string())],
        }
    }
}

pub(crate) async fn diagnose(core: &Arc<Core>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut clusters = Vec::new();
    for (server, url) in core.address.servers.iter().enumerate() {
        let begin = Instant::now();
        let answer = core
            .servers
            .ask_one(server, StatusRequest {}, ONE_ANSWER)
            .await;
        checks.push(match answer {
            Ok(status) => {
                clusters.extend(status.header.map(|header| header.cluster_id));
                about_server(url, &status, begin.elapsed())
            }
            Err(status) => Check::fail("server", format!("{url}: {}", causes(&status))),
        });
    }
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.len() > 1 {
        let text = "the servers of the URL belong to different clusters: locks of one are unknown to the other";
        checks.push(Check::fail("cluster", text));
    }
    checks.push(about_members(core).await);
    checks.push(about_history(core, LONG_HISTORY).await);
    match lease(core).await {
        Ok(granted) => {
            checks.push(about_writes(core, &granted).await);
            checks.push(about_lease(&granted));
        }
        Err(reason) => checks.push(Check::fail("lease", reason.to_string())),
    }
    checks
}

fn about_server(url: &str, status: &StatusResponse, took: Duration) -> Check {
    let version = &status.version;
    if is_too_old(status) {
        return Check::fail(
            "server",
            format!("{url}: etcd {version}; 3.4 is the oldest that has all"),
        );
    }
    if status.leader == 0 {
        return Check::fail("server", format!("{url}: etcd {version} has no leader"));
    }
    if let Some(error) = status.errors.first() {
        return Check::fail("server", format!("{url}: etcd {version} reports {error}"));
    }
    match known_fault(version) {
        Some(fault) => Check::warn("server", format!("{url}: etcd {version} {fault}")),
        None => Check::ok("server", format!("{url}: etcd {version}, {took:.1?}")),
    }
}

/// Faults of releases that concern leases.
fn known_fault(version: &str) -> Option<&'static str> {
    let numbers: Vec<u32> = version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect();
    let &[major, minor, patch] = numbers.as_slice() else {
        return None;
    };
    let (keeps, confirms) = match (major, minor) {
        (3, 4) => (31, 38),
        (3, 5) => (13, 23),
        (3, 6) => (0, 5),
        _ => return None,
    };
    if patch < keeps {
        Some(
            "may end a lease early when a leader comes back (etcd #15247); \
             use 3.4.38, 3.5.23, 3.6.5 or later",
        )
    } else if patch < confirms {
        Some(
            "may confirm a lease that was revoked (etcd #14758), so a holder may learn late that its lock is lost; \
             use 3.4.38, 3.5.23, 3.6.5 or later",
        )
    } else {
        None
    }
}

async fn about_members(core: &Core) -> Check {
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let answer = core.servers.ask(MemberListRequest {}, &stop).await;
    let voting = match answer {
        Ok(answer) => answer
            .members
            .iter()
            .filter(|member| !member.is_learner)
            .count(),
        Err(failure) => return Check::warn("members", Reason::from(failure).to_string()),
    };
    let named = core.address.servers.len();
    match voting {
        1 => Check::warn("members", "one member: when it is down, nobody gets a lock"),
        2 => Check::warn(
            "members",
            "two members: when one is down, nobody gets a lock; use three",
        ),
        _ if named == 1 => Check::warn(
            "members",
            format!(
                "{voting} members, and the URL names one: name all, so that another is asked when it is down"
            ),
        ),
        _ => Check::ok("members", format!("{voting} members, {named} in the URL")),
    }
}

/// Tries whether more revisions than that are kept. A server goes through all keys that a name has had in them, so a
/// history that nobody compacts makes each lock slower.
async fn about_history(core: &Core, long: i64) -> Check {
    const NAME: &str = "history";
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let mut request = RangeRequest {
        key: Range::trial(&core.address.prefix, 0),
        ..RangeRequest::default()
    };
    let present = match core.servers.ask(request.clone(), &stop).await {
        Ok(answer) => answer.header.unwrap_or_default().revision,
        Err(failure) => return Check::warn(NAME, Reason::from(failure).to_string()),
    };
    if present <= long {
        return Check::ok(NAME, format!("{present} revisions at most"));
    }
    request.revision = present - long;
    match core.servers.ask(request, &stop).await {
        Ok(_) => Check::warn(
            NAME,
            format!(
                "more than {long} revisions are kept, which makes each lock slower: start the members with \
                 --auto-compaction-retention=1h, or run etcdctl compact"
            ),
        ),
        Err(failure) if failure.is_compacted() => {
            Check::ok(NAME, format!("less than {long} revisions are kept"))
        }
        Err(failure) => Check::warn(NAME, Reason::from(failure).to_string()),
    }
}

/// Writes and deletes a key of no name, under the lease: a request that is carried out late leaves no key for good.
async fn about_writes(core: &Core, granted: &Granted) -> Check {
    let Ok(id) = keys::random() else {
        return Check::fail("permission", "the system has no random numbers");
    };
    let key = Range::trial(&core.address.prefix, id);
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let begin = Instant::now();
    let write = txn::when(vec![], vec![txn::put(&key, b"", granted.id)], vec![]);
    let erase = txn::when(vec![], vec![txn::delete(&key)], vec![]);
    let written = core.txn(write, &stop).await;
    let took = begin.elapsed();
    let erased = core.txn(erase, &stop).await;
    let blame = core.blame_cluster(Operation::UseDirectory);
    match written.and(erased) {
        Err(failure) => Check::fail("permission", blame.failure(failure).to_string()),
        Ok(_) if took > SLOW => Check::warn(
            "speed",
            format!("a write takes {took:.1?}; see to the disks and the network of the servers"),
        ),
        Ok(_) => Check::ok("permission", format!("keys can be written, in {took:.1?}")),
    }
}

async fn lease(core: &Core) -> Result<Arc<Granted>, Reason> {
    let stop = Stop::at(Some(Instant::now() + core.address.timeout));
    let granted = core.session.lease().await?;
    granted.settled(&stop).await?;
    Ok(granted)
}

fn about_lease(granted: &Granted) -> Check {
    let (ttl, left) = (granted.ttl, granted.lease.remaining());
    Check::ok(
        "lease",
        format!("{ttl:?}; {left:.1?} are left by the boot clock of this machine"),
    )
}

#[cfg(test)]
mod tests {
    use lockfast_lease::Verdict;
    #[cfg(target_os = "linux")]
    use lockfast_servers::etcd::{Release, Server};

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_history_that_nobody_compacts_is_found() {
        if let Err(reason) = Release::Debian.find() {
            lockfast_testing::skip!("{reason}");
        }
        let server = Server::start();
        let client = Client::open(&format!("etcd://{}/a", server.endpoint())).expect("opened");
        let lock: lockfast::Lock<crate::Etcd> =
            lockfast::Lock::from_raw(client.lock("a").expect("opened"));
        let verdict = |long| {
            let core = client.core();
            let check = async move { about_history(&core, long).await };
            let check = client.connection().run(check).expect("answered");
            (check.name, check.verdict)
        };
        for _ in 0..10 {
            lock.lock().expect("free").release().expect("held");
        }
        assert_eq!(verdict(1_000), ("history", Verdict::Ok), "it is short");
        assert_eq!(verdict(10), ("history", Verdict::Warn));
        let revision = lock.lock().expect("free").token().expect("it has tokens");
        server.etcdctl(&["compact", &revision.to_string()]);
        assert_eq!(verdict(10), ("history", Verdict::Ok), "it is compacted");
    }

    #[test]
    fn tells_old_leaderless_and_faulty_servers() {
        let status = |version: &str, leader, errors: &[&str]| StatusResponse {
            version: version.to_owned(),
            leader,
            errors: errors.iter().map(ToString::to_string).collect(),
            ..StatusResponse::default()
        };
        let cases = [
            (status("3.4.38", 1, &[]), Verdict::Ok),
            (status("3.5.23", 1, &[]), Verdict::Ok),
            (status("3.6.5", 1, &[]), Verdict::Ok),
            (status("3.7.0", 1, &[]), Verdict::Ok),
            (status("3.4.37", 1, &[]), Verdict::Warn),
            (status("3.5.22", 1, &[]), Verdict::Warn),
            (status("3.6.4", 1, &[]), Verdict::Warn),
            (status("3.4.23", 1, &[]), Verdict::Warn),
            (status("3.5.1", 1, &[]), Verdict::Warn),
            (status("3.3.9", 1, &[]), Verdict::Fail),
            (status("2.3.8", 1, &[]), Verdict::Fail),
            (status("3.5.23", 0, &[]), Verdict::Fail),
            (status("3.5.23", 1, &["NOSPACE"]), Verdict::Fail),
        ];
        for (status, verdict) in cases {
            let check = about_server("http://a:1", &status, Duration::ZERO);
            assert_eq!(check.verdict, verdict, "{}", check.text);
        }
    }
}
