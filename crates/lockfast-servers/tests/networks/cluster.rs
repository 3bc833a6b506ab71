//! A cluster of three under faults.

use libtest_mimic::Trial;

use lockfast_servers::etcd::{Cluster, Release};
use lockfast_servers::network::{self, Network};
use lockfast_testing::trial_needing;

pub(crate) fn trials() -> Vec<Trial> {
    let cluster = || network::available().and(Release::Debian.find().map(drop));
    let network = network::available;
    vec![
        trial_needing!("cluster::survives_a_leader", cluster(), survives_a_leader),
        trial_needing!("cluster::is_cut", cluster(), is_cut),
        trial_needing!("network::loses_one_way", network(), loses_one_way),
    ]
}

fn survives_a_leader() {
    let mut cluster = Cluster::start(Release::Debian);
    cluster.etcdctl(0, &["put", "a", "b"]);
    let first = cluster.leader();
    cluster.kill(first);
    let second = cluster.leader();
    assert_ne!(first, second);
    assert_eq!(cluster.etcdctl(second, &["get", "a"]), "a\nb\n");
    cluster.restart(first);
    assert_eq!(cluster.etcdctl(first, &["get", "a"]), "a\nb\n");
}

fn is_cut() {
    let mut cluster = Cluster::start(Release::Debian);
    let leader = cluster.leader();
    let other = (leader + 1) % cluster.size();
    cluster.host(other).cut();
    cluster.etcdctl(leader, &["put", "a", "b"]);
    cluster.host(other).heal();
    cluster.wait_until_healthy(other);
    assert_eq!(cluster.etcdctl(other, &["get", "a"]), "a\nb\n");
}

/// A datagram is lost in one direction only.
fn loses_one_way() {
    let mut network = Network::new();
    let (one, other) = (network.add_host(), network.add_host());
    let connects = |from: &network::Host, to: &network::Host| {
        let script = format!(
            "exec 3<>/dev/udp/{}/9; echo a >&3; read -t 0.2 a <&3; [ $? = 1 ]",
            to.address()
        );
        let done = from.command("bash").args(["-c", &script]).output();
        done.expect("bash").status.success()
    };
    // The kernel answers that nobody listens, unless the datagram or the answer is lost.
    assert!(connects(&one, &other) && connects(&other, &one));
    other.lose_from(&one);
    assert!(!connects(&one, &other) && !connects(&other, &one));
    other.lose_nothing();
    assert!(connects(&one, &other) && connects(&other, &one));
}
