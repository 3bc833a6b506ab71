//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections, so that a server that is down keeps its port.
const FIRST: u16 = 10_000;
const NUMBER: u16 = 22_000;

/// Returns a port that nobody listens on, and that this process did not return before.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs run side by side: each begins elsewhere.
    let own = std::process::id().wrapping_mul(211);
    for _ in 0..NUMBER {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let place = own.wrapping_add(next) % u32::from(NUMBER);
        let port = FIRST + u16::try_from(place).expect("less than NUMBER");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
