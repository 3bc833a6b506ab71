"""What the peers in Python have in common: a command a line in, an answer a line out."""

import sys


def say(text):
    print(text, flush=True)


def tell_waiting():
    """Tells the test that the lock is held and that this program waits for it now."""
    say("event waiting")


def serve(take, release):
    """Does as it is told until the test goes away.

    `take(mode, wait)` answers whether it got the lock; `release()` gives it back.
    """
    for line in sys.stdin:
        number, *words = [word for word in line.split() if word != "&"]
        match words:
            case ["try", mode]:
                say(f"{number} ok" if take(mode, wait=False) else f"{number} error held")
            case ["lock", mode]:
                take(mode, wait=True)
                say(f"{number} ok")
            case ["release"]:
                release()
                say(f"{number} ok")
            case _:
                raise ValueError(f"unknown command {line!r}")
