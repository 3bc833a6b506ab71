//! Processes, and the namespace in which a pid means something.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fork;

/// Returns a number that two processes share if a pid means the same process to both.
///
/// It is a fingerprint of the boot and of the pid namespace. Neither changes while a process runs, so it is
/// computed once per process; a forked child is in another namespace if its parent has called `unshare`. It
/// is 0 where boot and namespace can't be known.
pub(crate) fn namespace() -> u64 {
    static NAMESPACE: AtomicU64 = AtomicU64::new(0);
    // The generation of the process that computed it; no process has 0.
    static GENERATION: AtomicU64 = AtomicU64::new(0);
    let generation = fork::generation();
    if GENERATION.load(Ordering::Acquire) == generation {
        return NAMESPACE.load(Ordering::Relaxed);
    }
    // Threads that run this at once compute the same number.
    let namespace = fingerprint().unwrap_or(0);
    NAMESPACE.store(namespace, Ordering::Relaxed);
    // After the number: whoever sees this generation sees its number.
    GENERATION.store(generation, Ordering::Release);
    namespace
}

/// Returns the number of the pid namespace, which no other one of this boot has.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn pid_namespace() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fingerprint() -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;

    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(crate::sys::hash::fnv1a(
        boot.iter().chain(namespace.as_os_str().as_bytes()),
    ))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn fingerprint() -> Option<u64> {
    None
}

/// Returns the start of a process in ticks since the boot. It tells the process from others with its pid.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may contain any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    // The fields begin with the third one of proc(5), and the start is the 22nd.
    fields.split(' ').nth(19)?.parse().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn started(_pid: u32) -> Option<u64> {
    None
}

/// Whether no process of this pid namespace has that pid.
pub(crate) fn has_ended(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return true;
    };
    // SAFETY: takes numbers, and sends nothing.
    let answer = unsafe { libc::kill(pid, 0) };
    // EPERM, on the other hand, is the answer for a process of another user.
    answer == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// Returns the id of this boot of the machine.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn boot() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim_end().to_owned())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn boot() -> Option<String> {
    None
}

/// Sets the name of this thread that the system shows. At most 15 bytes are kept.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn name_this_thread(name: &str) {
    let mut text = [0_u8; 16];
    for (to, from) in text.iter_mut().zip(name.as_bytes().iter().take(15)) {
        *to = *from;
    }
    // SAFETY: the text ends with a zero and lives until the call is over.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, text.as_ptr()) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn name_this_thread(_name: &str) {}

/// Returns the name of the machine or of the container; empty where there is none.
pub(crate) fn host() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as the call says, less the byte that ends it.
    let answer = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    match answer {
        0 => String::from_utf8_lossy(&name[..end]).into_owned(),
        _ => String::new(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_stays_the_same() {
        assert_eq!(namespace(), namespace());
        assert_ne!(namespace(), 0);
    }

    /// The first child of a process that has unshared its pid namespace is pid 1 of another one, and its
    /// locks must not name pid 1 of this one.
    #[test]
    fn a_forked_child_in_another_pid_namespace_has_another_fingerprint() {
        use nix::sys::wait::{WaitStatus, waitpid};
        use nix::unistd::{ForkResult, fork};

        const SAME: i32 = 1;
        const NOT_PERMITTED: i32 = 2;
        let here = namespace();
        let end = |code| -> ! {
            // SAFETY: ends a forked child, with nothing left to do.
            unsafe { libc::_exit(code) }
        };
        let code_of = |child| match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => code,
            other => panic!("{other:?}"),
        };
        // SAFETY: the children look at files and end.
        match unsafe { fork() }.expect("a child") {
            ForkResult::Parent { child } => match code_of(child) {
                NOT_PERMITTED => lockfast_testing::skip!("a pid namespace takes root"),
                code => assert_ne!(code, SAME, "the child has the fingerprint of its parent"),
            },
            ForkResult::Child => {
                // SAFETY: takes a number.
                if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
                    end(NOT_PERMITTED);
                }
                // SAFETY: as above.
                match unsafe { fork() } {
                    Ok(ForkResult::Child) => end(i32::from(namespace() == here)),
                    Ok(ForkResult::Parent { child }) => end(code_of(child)),
                    Err(_) => end(NOT_PERMITTED),
                }
            }
        }
    }

    #[test]
    fn a_process_has_one_start() {
        let own = started(std::process::id());
        assert!(own.is_some() && own == started(std::process::id()));
        assert_ne!(own, started(1));
        assert_eq!(started(u32::MAX), None);
    }
}
