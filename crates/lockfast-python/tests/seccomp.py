"""Makes system calls of a process fail, as some systems do. (Cannot be undone.)"""

import ctypes
import platform
import struct

#: Numbers of `fcntl`, `clone` and `clone3`.
CALLS = {"x86_64": (72, 56, 435), "aarch64": (25, 220, 435)}

F_OFD_SETLK, F_OFD_SETLKW = 37, 38
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def is_known():
    return platform.machine() in CALLS


def refuse_locks(errno):
    """Each lock on a file is refused, and no question names a holder."""
    fcntl, _, _ = CALLS[platform.machine()]
    # Bytes 24 to 27 are the lower half of the second argument.
    _install(
        [
            (_LOAD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 4, fcntl),
            (_LOAD, 0, 0, 24),
            (_JUMP_IF_EQUAL, 1, 0, F_OFD_SETLK),
            (_JUMP_IF_EQUAL, 0, 1, F_OFD_SETLKW),
            (_RETURN, 0, 0, _ERRNO | errno),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def refuse_threads(errno):
    _, clone, clone3 = CALLS[platform.machine()]
    _install(
        [
            (_LOAD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 1, 0, clone),
            (_JUMP_IF_EQUAL, 0, 1, clone3),
            (_RETURN, 0, 0, _ERRNO | errno),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def _install(program):
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    rules = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER, rules, 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "no filter of system calls")
