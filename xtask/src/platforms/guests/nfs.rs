//! NFS: a server and two clients.

use super::image::Image;
use super::machine::{Card, Machine};
use super::scenes::{self, Findings, HELD};
use crate::step::{self, Outcome};

/// The mount options of a version, and the module that it needs.
const VERSIONS: [(&str, &str); 3] = [("3", "nfsv3"), ("4.0", "nfsv4"), ("4.2", "nfsv4")];

const SHARED: &str = "/mnt";

/// The shortest times that the server accepts, so that locks of dead clients do not last for minutes.
const SERVE: &str = "\
modprobe lockd nlm_grace_period=1; modprobe nfsd
mount -t nfsd none /proc/fs/nfsd && mount -t rpc_pipefs none /var/lib/nfs/rpc_pipefs
echo 10 >/proc/fs/nfsd/nfsv4leasetime; echo 10 >/proc/fs/nfsd/nfsv4gracetime
mkdir -p /run/rpcbind; touch /var/lib/nfs/etab /var/lib/nfs/rmtab
echo '/export *(rw,no_root_squash,fsid=0,insecure,no_subtree_check)' >/etc/exports
rpcbind -w && rpc.statd --no-notify && exportfs -r && rpc.mountd && rpc.nfsd 2
echo Y >/proc/fs/nfsd/v4_end_grace; true";

const RESTART: &str = "rpc.nfsd 0; sm-notify -f -d 2>/dev/null & rpc.nfsd 2";

pub(crate) fn run() -> Outcome {
    let image = Image::make()?;
    let mut done = Ok(());
    for (version, module) in VERSIONS {
        println!("\nNFS {version}");
        let mut findings = Findings::default();
        let played = play(&image, version, module, &mut findings);
        if let Err(failure) = &played {
            println!("{failure}");
        }
        let as_expected = played.and_then(|()| findings.conclude(&format!("NFS {version}")));
        done = step::both(done, as_expected);
    }
    done
}

fn play(image: &Image, version: &str, module: &str, findings: &mut Findings) -> Outcome {
    let cable = |name| image.socket(name);
    let mut server = Machine::start(
        image,
        "server",
        &[
            Card::Listens(cable("cable-one"), "10.0.1.1"),
            Card::Listens(cable("cable-other"), "10.0.2.1"),
        ],
    )?;
    let mut one = Machine::start(
        image,
        "one",
        &[Card::Connects(cable("cable-one"), "10.0.1.2")],
    )?;
    let mut other = Machine::start(
        image,
        "other",
        &[Card::Connects(cable("cable-other"), "10.0.2.2")],
    )?;
    server.is_up()?;
    server.run(SERVE)?;
    for (client, address) in [(&mut one, "10.0.1"), (&mut other, "10.0.2")] {
        client.is_up()?;
        client.run(&mount(version, module, address))?;
        // The first lock waits until the server's grace period is over.
        client.run(&format!("lockfast run -w 100 {SHARED}/first.lock -- true"))?;
    }
    scenes::doctor(&mut one, SHARED, findings)?;
    scenes::between(&mut one, &mut other, SHARED, findings)?;
    scenes::replaced(&mut one, &mut other, SHARED, findings)?;
    scenes::in_line(&mut [&mut one, &mut other], [0, 1], SHARED, findings)?;
    on_the_server(&mut server, &mut one, findings)?;
    // The server forgets all locks, and the clients reclaim theirs.
    let restart = || server.run(RESTART).map(drop);
    let expected = ("after a restart of the server it is still held", HELD);
    scenes::restarted(&mut one, &mut other, SHARED, restart, expected, findings)?;
    if version == "3" {
        without_locks(&mut one, &mut other, findings)?;
    }
    machine_lost(version, one, &mut other, findings)
}

fn mount(version: &str, module: &str, network: &str) -> String {
    if version == "3" {
        return format!(
            "modprobe {module}; mkdir -p /run/rpcbind; rpcbind -w && rpc.statd --no-notify && \
             mount.nfs {network}.1:/export {SHARED} -o vers=3,tcp,soft,timeo=100"
        );
    }
    format!(
        "modprobe {module}; mount.nfs4 {network}.1:/ {SHARED} \
         -o vers={version},clientaddr={network}.2,soft,timeo=100"
    )
}

/// Takes a lock in the exported directory itself.
fn on_the_server(server: &mut Machine, one: &mut Machine, findings: &mut Findings) -> Outcome {
    let (here, there) = (format!("{SHARED}/server.lock"), "/export/server.lock");
    let attempt = |options: &str| format!("lockfast run -n {options} {there} -- true");
    let held = scenes::hold(one, "", &here)?;
    findings.add_code(
        "the server itself is refused",
        &server.ask(&attempt(""))?,
        HELD,
    );
    held.release(one)?;

    let held = scenes::hold(server, "", there)?;
    let refused = one.ask(&format!("lockfast run -n {here} -- true"))?;
    findings.add_code("and refuses in turn", &refused, HELD);
    held.release(server)?;

    let held = scenes::hold(one, "--protocol flock", &here)?;
    let code = server.ask(&attempt("--protocol flock"))?;
    findings.add_code(
        "flock on the server does not see a client's flock",
        &code,
        0,
    );
    let code = server.ask(&attempt("--protocol both"))?;
    findings.add_code("but Protocol::Both there does", &code, HELD);
    held.release(one)
}

/// Mounts with `nolock`: each machine has its own locks.
fn without_locks(one: &mut Machine, other: &mut Machine, findings: &mut Findings) -> Outcome {
    for (client, network) in [(&mut *one, "10.0.1"), (&mut *other, "10.0.2")] {
        client.run(&format!(
            "mkdir -p /tmp/nolock && mount.nfs {network}.1:/export /tmp/nolock \
             -o vers=3,tcp,soft,timeo=100,nolock,nosharecache"
        ))?;
    }
    let path = "/tmp/nolock/nolock.lock";
    let held = scenes::hold(one, "", path)?;
    let attempt = format!("lockfast run -n {path} -- true");
    findings.add_code(
        "nolock: refused on the same machine",
        &one.ask(&attempt)?,
        HELD,
    );
    findings.add_code("nolock: not refused on another", &other.ask(&attempt)?, 0);
    held.release(one)?;
    scenes::doctor(one, "/tmp/nolock", findings)?;
    let warned = one.ask("lockfast doctor /tmp/nolock | grep -q 'locks stay on this machine'")?;
    findings.add_code("nolock: the doctor warns of it", &warned, 0);
    scenes::in_line(&mut [one], [0, 0], "/tmp/nolock", findings)
}

/// Switches off the machine that holds the lock.
fn machine_lost(
    version: &str,
    mut one: Machine,
    other: &mut Machine,
    findings: &mut Findings,
) -> Outcome {
    let path = format!("{SHARED}/lost.lock");
    scenes::hold(&mut one, "", &path)?;
    let waiter = scenes::begin(other, "", &path)?;
    waiter.waits(other)?;
    drop(one);
    if version == "3" {
        let is_in = waiter.has_it_within(other, 20)?;
        findings.add(
            "a lost machine keeps its locks until it starts again",
            !is_in,
            "",
        );
        return Ok(());
    }
    let is_in = waiter.has_it_within(other, 60)?;
    findings.add(
        "a waiter gets it when the holder's machine is lost",
        is_in,
        "",
    );
    waiter.release(other)
}
