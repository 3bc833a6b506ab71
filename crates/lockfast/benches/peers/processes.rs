//! Figures that the kernel has of a process.

use std::fs;

use crate::Outcome;

/// The nanoseconds that the threads of that process have been on a processor.
pub(crate) fn cpu_time(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path().join("schedstat");
        let line = fs::read_to_string(&path)
            .map_err(|error| format!("the kernel keeps no schedstat: {error}"))?;
        let on_cpu = line.split(' ').next().ok_or("an empty schedstat")?;
        sum += on_cpu.parse::<u64>()?;
    }
    Ok(sum)
}

/// How often the threads of that process have gone to sleep.
pub(crate) fn times_slept(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let mut lines = status.lines();
        let times = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += times.ok_or("no such count")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

/// Whether it sleeps until something happens.
pub(crate) fn sleeps(pid: u32) -> Outcome<bool> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before the state is in parentheses and may contain anything.
    let (_, rest) = line.rsplit_once(") ").ok_or("no state")?;
    Ok(rest.starts_with('S'))
}

/// The version of the kernel, without what its builder appended.
pub(crate) fn kernel() -> Outcome<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version = release.trim_end().split('-').next().unwrap_or_default();
    Ok(version.to_owned())
}
