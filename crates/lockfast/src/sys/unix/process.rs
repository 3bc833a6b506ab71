//! The user, and the namespace in which a pid means something.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that two processes share when a pid means the same process to both.
///
/// Made of the boot and of the pid namespace: neither can change while a process runs, so it is
/// computed once. 0 where they can't be known.
pub(crate) fn namespace() -> u64 {
    static NAMESPACE: AtomicU64 = AtomicU64::new(UNKNOWN);
    const UNKNOWN: u64 = u64::MAX;
    match NAMESPACE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let namespace = fingerprint().unwrap_or(0);
            NAMESPACE.store(namespace, Ordering::Relaxed);
            namespace
        }
        namespace => namespace,
    }
}

/// The user whose files this process creates.
#[allow(
    clippy::unnecessary_wraps,
    reason = "there is none on the side that is not supported"
)]
pub(crate) fn user() -> io::Result<u32> {
    // SAFETY: takes nothing and can't fail.
    Ok(unsafe { libc::geteuid() })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fingerprint() -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;

    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(fnv1a(boot.iter().chain(namespace.as_os_str().as_bytes())))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn fingerprint() -> Option<u64> {
    None
}

/// FNV-1a: processes of different builds must agree on it, which the standard hasher does not
/// promise.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_published_fnv1a() {
        assert_eq!(fnv1a(b"".iter()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar".iter()), 0x8594_4171_f739_67e8);
        assert_eq!(namespace(), namespace());
        assert_ne!(namespace(), 0);
    }
}
