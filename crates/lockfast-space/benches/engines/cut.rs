//! A holder that is cut off from its server.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use lockfast_servers::proxy::{Proxy, Way};

use crate::etcd::open;
use crate::report::Report;

/// The least lease of a server of etcd.
const TTL: &str = "ttl=2s";
/// Longer than a lease.
const LONG: Duration = Duration::from_secs(60);

/// Measures the time until the holder is told that it is cut off, and until the next waiter has the lock.
pub(crate) fn measure(
    report: &mut Report,
    engine: &str,
    rounds: usize,
    server: &str,
    url: impl Fn(&str) -> String,
) {
    let server: SocketAddr = server.parse().expect("an address");
    let at = |endpoint: &str| {
        let url = url(endpoint);
        let more = if url.contains('?') { '&' } else { '?' };
        open(&format!("{url}{more}{TTL}"))
    };
    let next = at(&server.to_string());
    let (mut told, mut freed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Each holder is a client of its own, which has to be cut off when it least expects it.
        let proxy = Proxy::start(server);
        let holder = at(&proxy.endpoint());
        let guard = holder.lock("cut").expect("opened").lock().expect("free");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let guard = next.lock("cut").expect("opened").lock();
                let granted = Instant::now();
                drop(guard.expect("the server frees it"));
                granted
            });
            let waiters = || next.holders("cut").expect("known");
            while waiters().is_none_or(|entry| entry.waiters.is_empty()) {
                thread::yield_now();
            }
            proxy.stall(Way::Requests);
            proxy.stall(Way::Answers);
            let cut = Instant::now();
            assert!(guard.lost_within(LONG));
            told.push(cut.elapsed());
            freed.push(waiter.join().expect("no panic") - cut);
        });
    }
    let label = format!("{engine}: cut to the holder's signal / cut to the next grant");
    report.precede(&label, &told, &freed);
}
