"""Time-outs and delays of the drop-in, where the program has a way to sleep of its own."""

import os
import time

import lockfast.fasteners as fasteners
import pytest
from stage import descriptors


@pytest.mark.parametrize(
    "keywords, error, text",
    [
        ({"delay": -1}, ValueError, "Delay must be greater than or equal to zero"),
        ({"timeout": -1}, ValueError, "Timeout must be greater than or equal to zero"),
        ({"timeout": "1"}, TypeError, None),
        ({"delay": None}, TypeError, None),
    ],
)
def test_delays_and_time_outs_are_looked_at_before_the_file(path, keywords, error, text):
    lock = fasteners.InterProcessLock(path)
    readers = fasteners.InterProcessReaderWriterLock(path)
    for acquire in (lock.acquire, readers.acquire_read_lock, readers.acquire_write_lock):
        with pytest.raises(error, match=text):
            acquire(**keywords)
    assert not os.path.exists(path)


def test_a_sleep_function_is_called_at_the_intervals_of_fasteners(path, holder):
    naps = []

    def sleep(seconds):
        naps.append(round(seconds, 6))
        if len(naps) == 12:
            holder.kill()

    lock = fasteners.InterProcessLock(path, sleep_func=sleep)
    assert lock.acquire() is True
    assert naps == [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.1, 0.1]
    lock.release()


@pytest.mark.parametrize(
    "keywords, expected",
    [
        ({"delay": 0.2, "max_delay": 0.05}, [0.2, 0.2, 0.2]),
        ({"delay": 0.05, "max_delay": 10}, [0.05, 0.1, 0.15]),
        ({"delay": 0}, [0, 0, 0]),
    ],
)
def test_delays(path, holder, keywords, expected):
    class Enough(Exception):
        pass

    naps = []

    def sleep(seconds):
        naps.append(round(seconds, 6))
        if len(naps) == 3:
            raise Enough

    for acquire in (
        fasteners.InterProcessLock(path, sleep).acquire,
        fasteners.InterProcessReaderWriterLock(path, sleep).acquire_read_lock,
        fasteners.InterProcessReaderWriterLock(path, sleep).acquire_write_lock,
    ):
        naps.clear()
        with pytest.raises(Enough):
            acquire(**keywords)
        assert naps == expected
    assert descriptors(path) == 0


def test_a_nap_is_no_longer_than_what_is_left(path, holder):
    naps = []
    lock = fasteners.InterProcessLock(path, sleep_func=lambda s: naps.append(s) or time.sleep(s))
    assert lock.acquire(delay=5, timeout=1) is False
    assert max(naps) <= 1
