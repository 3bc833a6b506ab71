//! Scenes in which two machines lock files in a shared directory, by the released command.

use super::machine::{Answer, Machine};
use crate::step::{Failure, Outcome};

/// Expected and actual results, in order.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(String, bool, String)>);

impl Findings {
    /// Adds a result, and prints it.
    pub(super) fn add(&mut self, what: &str, is_so: bool, found: impl Into<String>) {
        let found = found.into();
        let verdict = if is_so { "ok" } else { "NOT" };
        println!(
            "  {verdict:3} {what}{}{found}",
            if found.is_empty() { "" } else { ": " }
        );
        self.0.push((what.to_owned(), is_so, found));
    }

    /// Adds the exit code of a command.
    pub(super) fn add_code(&mut self, what: &str, answer: &Answer, expected: i32) {
        let found = match answer.code {
            code if code == expected => String::new(),
            code => format!("the code is {code}, not {expected}: {}", answer.text),
        };
        self.add(what, answer.code == expected, found);
    }

    /// Fails if a result was not the expected one.
    pub(super) fn conclude(self, of: &str) -> Outcome {
        let wrong: Vec<_> = self.0.iter().filter(|(_, is_so, _)| !is_so).collect();
        if wrong.is_empty() {
            println!("{of}: all {} findings are as expected", self.0.len());
            return Ok(());
        }
        let wrong: Vec<_> = wrong
            .iter()
            .map(|(what, _, found)| format!("  {what}: {found}"))
            .collect();
        Err(Failure(format!(
            "{of}: not as expected:\n{}",
            wrong.join("\n")
        )))
    }
}

/// The exit code of `lockfast run` when a lock is held.
pub(super) const HELD: i32 = 75;

/// A lock that `lockfast run` holds on a machine until [`Hold::release`].
pub(super) struct Hold {
    name: String,
}

/// Takes the lock. The command under it reports by a file that is not shared.
pub(super) fn hold(machine: &mut Machine, options: &str, path: &str) -> Result<Hold, Failure> {
    let hold = begin(machine, options, path)?;
    machine.run(&format!(
        "{WAIT} [ -e /tmp/{}.in ]; do sleep 0.05; done'",
        hold.name
    ))?;
    Ok(hold)
}

/// Starts to take the lock, without waiting for it.
pub(super) fn begin(machine: &mut Machine, options: &str, path: &str) -> Result<Hold, Failure> {
    let name = machine.new_name();
    let inside =
        format!("touch /tmp/{name}.in; while [ ! -e /tmp/{name}.end ]; do sleep 0.05; done");
    machine.run(&format!(
        "(lockfast run {options} {path} -- sh -c '{inside}' 2>/tmp/{name}.said & echo $! >/tmp/{name}.pid; \
         wait $!; echo $? >/tmp/{name}.code) >/dev/null &"
    ))?;
    machine.run(&format!(
        "{WAIT} [ -s /tmp/{name}.pid ]; do sleep 0.05; done'"
    ))?;
    Ok(Hold { name })
}

/// The beginning of a wait for a condition, with a time limit.
const WAIT: &str = "timeout 150 sh -c 'until";

impl Hold {
    /// Waits until `lockfast run` reports that it waits.
    pub(super) fn waits(&self, machine: &mut Machine) -> Outcome {
        let name = &self.name;
        let waits = format!("{WAIT} grep -q waiting /tmp/{name}.said; do sleep 0.05; done'");
        machine.run(&waits).map(drop)
    }

    /// Waits until the lock is held; false after this number of seconds.
    pub(super) fn has_it_within(
        &self,
        machine: &mut Machine,
        seconds: u32,
    ) -> Result<bool, Failure> {
        let is_in = format!("[ -e /tmp/{}.in ]", self.name);
        let wait = format!("timeout {seconds} sh -c 'until {is_in}; do sleep 0.05; done'");
        Ok(machine.ask(&wait)?.code == 0)
    }

    /// Releases the lock.
    pub(super) fn release(self, machine: &mut Machine) -> Outcome {
        let name = &self.name;
        let end =
            format!("touch /tmp/{name}.end; {WAIT} [ -s /tmp/{name}.code ]; do sleep 0.05; done'");
        machine.run(&end).map(drop)
    }

    /// Kills `lockfast run`; the kernel then kills the command under it.
    pub(super) fn kill(self, machine: &mut Machine) -> Outcome {
        machine
            .run(&format!("kill -9 $(cat /tmp/{}.pid)", self.name))
            .map(drop)
    }
}

/// Tests that two machines respect each other's locks.
pub(super) fn between(
    one: &mut Machine,
    other: &mut Machine,
    directory: &str,
    findings: &mut Findings,
) -> Outcome {
    let path = format!("{directory}/between.lock");
    let attempt = |options: &str| format!("lockfast run -n {options} {path} -- true");

    let held = hold(one, "", &path)?;
    findings.add_code(
        "held alone, it is refused elsewhere",
        &other.ask(&attempt(""))?,
        HELD,
    );
    findings.add_code("and to readers too", &other.ask(&attempt("-s"))?, HELD);
    let limited = other.ask(&format!("lockfast run -w 2 {path} -- true"))?;
    findings.add_code("a wait ends when its time is over", &limited, HELD);
    held.release(one)?;
    findings.add_code(
        "released, it is free elsewhere",
        &other.ask(&attempt(""))?,
        0,
    );

    let reader = hold(one, "-s", &path)?;
    findings.add_code("readers are together", &other.ask(&attempt("-s"))?, 0);
    findings.add_code("and a writer is refused", &other.ask(&attempt(""))?, HELD);
    reader.release(one)?;

    for (how, killed) in [("releases", false), ("is killed", true)] {
        let holder = hold(one, "", &path)?;
        let waiter = begin(other, "", &path)?;
        waiter.waits(other)?;
        if killed {
            holder.kill(one)?;
        } else {
            holder.release(one)?;
        }
        let is_in = waiter.has_it_within(other, 30)?;
        findings.add(
            &format!("a waiter gets it when the holder {how}"),
            is_in,
            "",
        );
        waiter.release(other)?;
    }
    Ok(())
}

/// Tests that waiters are served in order, and that a semaphore has no more than its permits. The players are
/// numbers of machines, which may be the same.
pub(super) fn in_line(
    machines: &mut [&mut Machine],
    [one, other]: [usize; 2],
    directory: &str,
    findings: &mut Findings,
) -> Outcome {
    let path = format!("{directory}/in-order.lock");
    let holder = hold(machines[one], "--fifo", &path)?;
    let first = begin(machines[other], "--fifo", &path)?;
    first.waits(machines[other])?;
    let second = begin(machines[one], "--fifo", &path)?;
    second.waits(machines[one])?;
    holder.release(machines[one])?;
    let is_in = first.has_it_within(machines[other], 30)?;
    findings.add(
        "in a strict order the first to wait is the first",
        is_in,
        "",
    );
    let is_in = second.has_it_within(machines[one], 2)?;
    findings.add("and the second one waits on", !is_in, "");
    first.release(machines[other])?;
    let is_in = second.has_it_within(machines[one], 30)?;
    findings.add("until it is through", is_in, "");
    second.release(machines[one])?;

    let path = format!("{directory}/permits.lock");
    let permits = "--permits 2";
    let attempt = |options: &str| format!("lockfast run -n {options} {path} -- true");
    let killed = hold(machines[one], permits, &path)?;
    let released = hold(machines[other], permits, &path)?;
    let refused = machines[other].ask(&attempt(permits))?;
    findings.add_code("a third permit of two is refused", &refused, HELD);
    let other_number = machines[other].ask(&attempt("--permits 3"))?;
    let is_told = other_number.code != 0 && other_number.text.contains("permits");
    findings.add("and another number of permits", is_told, other_number.text);
    let waiter = begin(machines[other], permits, &path)?;
    waiter.waits(machines[other])?;
    killed.kill(machines[one])?;
    let is_in = waiter.has_it_within(machines[other], 30)?;
    findings.add(
        "one of a killed holder goes to the one who waits",
        is_in,
        "",
    );
    waiter.release(machines[other])?;
    released.release(machines[other])
}

/// Restarts the server while one machine holds a lock; the attempt of the other one must end with this code.
pub(super) fn restarted(
    one: &mut Machine,
    other: &mut Machine,
    directory: &str,
    restart: impl FnOnce() -> Outcome,
    (what, code): (&str, i32),
    findings: &mut Findings,
) -> Outcome {
    let path = format!("{directory}/restart.lock");
    let held = hold(one, "", &path)?;
    restart()?;
    let asked = other.ask(&format!("lockfast run -w 40 {path} -- true"))?;
    findings.add_code(what, &asked, code);
    held.release(one)?;
    let free = other.ask(&format!("lockfast run -w 60 {path} -- true"))?;
    findings.add_code("and it is free when it is released", &free, 0);
    Ok(())
}

/// Replaces the lock file on one machine while the other one waits for it.
pub(super) fn replaced(
    one: &mut Machine,
    other: &mut Machine,
    directory: &str,
    findings: &mut Findings,
) -> Outcome {
    let path = format!("{directory}/replaced.lock");
    let change = |how: &str| format!("{how} {path} {directory}/old.lock");
    for (how, command) in [("renamed", change("mv")), ("deleted", format!("rm {path}"))] {
        let old = hold(other, "", &path)?;
        let waiter = begin(one, "", &path)?;
        waiter.waits(one)?;
        other.run(&command)?;
        let new = hold(other, "", &path)?;
        old.release(other)?;
        let is_in = waiter.has_it_within(one, 5)?;
        let what = format!("a lock file that was {how} and replaced elsewhere is noticed");
        findings.add(&what, !is_in, "");
        new.release(other)?;
        let is_in = waiter.has_it_within(one, 30)?;
        findings.add("and the new one is waited for", is_in, "");
        waiter.release(one)?;
    }
    Ok(())
}

/// Compares the findings of `lockfast doctor` on a machine.
pub(super) fn doctor(machine: &mut Machine, directory: &str, findings: &mut Findings) -> Outcome {
    let Answer { code, text } = machine.ask(&format!("NO_COLOR=1 lockfast doctor {directory}"))?;
    println!("{text}");
    findings.add(
        "lockfast doctor finds every promise kept on one machine",
        code == 0,
        "",
    );
    Ok(())
}
