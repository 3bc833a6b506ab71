"""Processes that do what tests ask. Order comes from their messages and from what the kernel shows."""

import ast
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

import lockfast
import pytest

#: The limit of every wait of a test: only a standstill takes that long, a busy machine up to a minute.
PATIENCE = 300.0
HERE = pathlib.Path(__file__).parent


def needs(name):
    """Returns the module. Without it the test is skipped, with the reason."""
    reason = f"{name} is not installed; `cargo xtask setup` installs it"
    return pytest.importorskip(name, reason=reason)


class Failed(Exception):
    """The other process got an exception; the first argument is the name of its class."""


class Actor:
    """A process. Killed at the end of the test."""

    def __init__(self, *setup, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-B", HERE / "actor.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        for code in setup:
            self.do(code)

    @property
    def pid(self):
        return self.process.pid

    def do(self, code):
        """Runs the code, and returns the value of an expression."""
        self.begin(code)
        return self.answer()

    def begin(self, code):
        self.process.stdin.write(json.dumps(code).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "it does not answer"
        line = self.process.stdout.readline()
        assert line, "it has ended"
        word, *rest = json.loads(line)
        if word == "failed":
            raise Failed(*rest)
        try:
            return None if rest[0] is None else ast.literal_eval(rest[0])
        except (SyntaxError, ValueError):
            return rest[0]

    def is_silent(self):
        """Whether it has answered nothing so far."""
        return not select.select([self.process.stdout], [], [], 0)[0]

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(PATIENCE)

    def end(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


def until(condition):
    """Waits until it holds, which something else brings about."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, "that never came true"
        time.sleep(0.002)


def until_waits(path, pid):
    """Waits until the kernel shows that this process waits for a lock on the file."""

    def is_waiting():
        return any(
            process.pid == pid
            for waiter in lockfast.inspect(path).waiters
            for process in waiter.processes
        )

    until(is_waiting)


def descriptors(path, pid="self"):
    """Returns the number of descriptors of the file that a process has."""
    directory = f"/proc/{pid}/fd"
    count = 0
    for number in os.listdir(directory):
        try:
            count += os.readlink(f"{directory}/{number}") == os.path.realpath(path)
        except FileNotFoundError:
            pass
    return count
