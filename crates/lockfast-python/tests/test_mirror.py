"""The package has what the library has: each public function of Rust is here, or left out for a reason."""

import dataclasses
import importlib
import pathlib
import re

import lockfast
import pytest

SOURCES = pathlib.Path(__file__).parents[2] / "lockfast" / "src"
if not SOURCES.is_dir():
    pytest.skip("the sources of the library are not here", allow_module_level=True)

HANDLES = ["Lock", "ReentrantLock", "RwLock", "Semaphore"]
RW_GUARDS = ["RwLockReadGuard", "RwLockUpgradableReadGuard", "RwLockWriteGuard"]
GUARDS = ["LockGuard", "ReentrantLockGuard", "SemaphorePermit", *RW_GUARDS]
RECORD_GUARDS = ["LockGuard", "ReentrantLockGuard", "RwLockWriteGuard"]


def of(classes, name):
    return [f"{cls}.{name}" for cls in classes]


ACQUIRE = of(["Lock", "ReentrantLock"], "acquire")
TRY_ACQUIRE = of(["Lock", "ReentrantLock"], "try_acquire")
IN_REPORT = "_inspect.Report"

#: The names in Python of each public function of Rust.
MIRRORED = {
    # Handles.
    "open": of(HANDLES, "__init__"),
    "named": of(HANDLES, "named"),
    "open_named": of(HANDLES, "named"),
    "from_file": of(["Lock", "RwLock"], "from_file"),
    "lock": ACQUIRE,
    "try_lock": TRY_ACQUIRE,
    "try_lock_for": ACQUIRE,
    "lock_async": ["Lock.acquire_async"],
    "lock_async_for": ["Lock.acquire_async"],
    "read": ["RwLock.read"],
    "try_read": ["RwLock.try_read"],
    "try_read_for": ["RwLock.read"],
    "read_async": ["RwLock.read_async"],
    "read_async_for": ["RwLock.read_async"],
    "upgradable_read": ["RwLock.upgradable_read"],
    "try_upgradable_read": ["RwLock.try_upgradable_read"],
    "try_upgradable_read_for": ["RwLock.upgradable_read"],
    "upgradable_read_async": ["RwLock.upgradable_read_async"],
    "upgradable_read_async_for": ["RwLock.upgradable_read_async"],
    "write": ["RwLock.write"],
    "try_write": ["RwLock.try_write"],
    "try_write_for": ["RwLock.write"],
    "write_async": ["RwLock.write_async"],
    "write_async_for": ["RwLock.write_async"],
    "acquire": ["Semaphore.acquire"],
    "acquire_many": ["Semaphore.acquire"],
    "try_acquire": ["Semaphore.try_acquire"],
    "try_acquire_many": ["Semaphore.try_acquire"],
    "try_acquire_for": ["Semaphore.acquire"],
    "try_acquire_many_for": ["Semaphore.acquire"],
    "acquire_async": ["Semaphore.acquire_async"],
    "acquire_async_for": ["Semaphore.acquire_async"],
    "acquire_many_async": ["Semaphore.acquire_async"],
    "acquire_many_async_for": ["Semaphore.acquire_async"],
    "available_permits": ["Semaphore.available"],
    "permits": ["Semaphore.permits"],
    "name": of(HANDLES, "name"),
    "capabilities": of(["Lock", "RwLock"], "capabilities"),
    # Guards.
    "release": [*of(GUARDS, "release"), *of(HANDLES, "release"), "Guards.release"],
    "path": [*of(GUARDS, "path"), *of(HANDLES, "path"), "LockError.filename", "inspect"],
    "file": of([guard for guard in GUARDS if guard != "SemaphorePermit"], "fileno"),
    "is_current": of(GUARDS, "is_current"),
    "hand_over": of(["LockGuard", *RW_GUARDS], "hand_over"),
    "token": [*of(GUARDS, "token"), "Owner.token"],
    "epoch": of(GUARDS, "epoch"),
    "state": of(GUARDS, "state"),
    "lease_left": of(GUARDS, "lease_left"),
    "check": of(GUARDS, "check"),
    "lost": of(GUARDS, "lost"),
    "lost_within": of(GUARDS, "wait_lost"),
    "on_lost": [*of(GUARDS, "on_lost"), "LostCallback"],
    "abandoned": of(RECORD_GUARDS, "abandoned"),
    "count": ["SemaphorePermit.count"],
    "depth": ["ReentrantLockGuard.depth"],
    "upgrade": ["RwLockUpgradableReadGuard.upgrade"],
    "try_upgrade": ["RwLockUpgradableReadGuard.try_upgrade"],
    "try_upgrade_for": ["RwLockUpgradableReadGuard.upgrade"],
    "upgrade_async": ["RwLockUpgradableReadGuard.upgrade_async"],
    "downgrade": of(RW_GUARDS[1:], "downgrade"),
    "downgrade_to_upgradable": ["RwLockWriteGuard.downgrade_to_upgradable"],
    # Several at once.
    "lock_all": ["lock_all"],
    "try_lock_all": ["try_lock_all"],
    "try_lock_all_for": ["lock_all"],
    "lock_all_async": ["lock_all_async"],
    "lock_all_async_for": ["lock_all_async"],
    "into_guards": ["Guards.__iter__"],
    "iter": ["Guards.__iter__"],
    "len": ["Guards.__len__"],
    "is_empty": ["Guards.__len__"],
    # Errors, holders and owners.
    "holder": ["LockError.holder", "Waiting.holder"],
    "kind": ["LockError"],
    "raw_os_error": ["LockError.errno"],
    "is_contended": ["WouldBlock"],
    "is_timed_out": ["Timeout"],
    "is_deadlock": ["Deadlock"],
    "is_unsupported": ["Unsupported"],
    "is_permission_denied": ["PermissionDenied"],
    "is_invalid_path": ["InvalidPath"],
    "pid": ["Holder.pid", "Owner.pid"],
    "since": ["Holder.since", "Owner.since"],
    "host": ["Owner.host", "Holder.host"],
    "is_running": ["Owner.is_running"],
    "waited": ["Waiting.waited"],
    # Cancellation.
    "new": ["CancelToken.__new__"],
    "cancel": ["CancelToken.cancel"],
    "is_cancelled": ["CancelToken.is_cancelled", "Cancelled"],
    "run": [*ACQUIRE, "RwLock.read", "Semaphore.acquire"],
    # Reports.
    "machine": ["inspect"],
    "holders": [f"{IN_REPORT}.holders"],
    "waiters": [f"{IN_REPORT}.waiters"],
    "is_free": [f"{IN_REPORT}.is_free"],
}

#: The methods of `Options`, which are keyword arguments.
OPTIONS = [
    *["any_owner", "create_dirs", "fairness", "follow_symlinks", "label", "linger", "mode"],
    *["on_wait", "owner_record", "protocol", "remove_on_release", "verify", "wait_interval"],
]

#: The functions that the package lacks, with the reason.
DEADLINES = "a timeout is the way in Python"
CONVERSION = "a failed conversion raises, and the guard stays as it was"
TEXT = "the values are strings"
LEFT_OUT = {
    **{
        f"{name}_until": DEADLINES
        for way in ["lock", "read", "upgradable_read", "write", "acquire", "acquire_many"]
        for name in (f"try_{way}", f"{way}_async")
    },
    "try_upgrade_until": DEADLINES,
    "try_lock_all_until": DEADLINES,
    "lock_all_async_until": DEADLINES,
    "options": "options are keyword arguments",
    "scope": "an argument of named()",
    "on_interrupt": "the package uses it to run the handlers of signals",
    "error": CONVERSION,
    "into_guard": CONVERSION,
    "into_parts": CONVERSION,
    "io_error": "the exception is an OSError",
    "resource": "the path or the name is a string",
    "split": "release() ends what one call of acquire() took",
    "merge": "release() ends what one call of acquire() took",
    "as_str": TEXT,
    "explain": "inspect(error.filename) reports more",
    "command_line": "shlex.join(process.command) returns it",
}

#: The public fields that the classes of a report lack.
FIELDS_LEFT_OUT = {
    ("Report", "openers"): "on Windows only",
    ("Incomplete", "shared_unseen"): "on Windows only",
    ("Permits", "count"): "the first of a pair",
    ("Permits", "of"): "the second of a pair",
    ("Opener", "file"): "on Windows only",
    ("Opener", "process"): "on Windows only",
}

# Parts for the bindings, the command and the engines, no part of the library's interface.
HIDDEN = re.compile(r"_support|types/words\.rs|text\.rs|engine|wait_limit\.rs")
HIDDEN_FUNCTION = re.compile(r"#\[doc\(hidden\)\]\n(?:\s*#\[.*\n)*\s*pub fn \w+")


def sources(folder="."):
    paths = [
        path
        for path in (SOURCES / folder).rglob("*.rs")
        if not HIDDEN.search(str(path.relative_to(SOURCES)))
    ]
    return [HIDDEN_FUNCTION.sub("", path.read_text()) for path in sorted(paths)]


def functions():
    pattern = re.compile(r"^\s*pub (?:async |const |unsafe )*fn (\w+)", re.MULTILINE)
    # The macro writes a function for each name in lines like `try_lock_for, try_lock_until;`.
    forms = re.compile(r"^    wait_forms! \{\n(.*?)^    \}", re.MULTILINE | re.DOTALL)
    names = re.compile(r"^ +([a-z_]+(?:, [a-z_]+)*);$", re.MULTILINE)
    found = set()
    for source in sources():
        found.update(pattern.findall(source))
        for form in forms.findall(source):
            found.update(name for line in names.findall(form) for name in line.split(", "))
    return found


def fields():
    structs = re.compile(r"^pub struct (\w+)[^;{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
    field = re.compile(r"^    pub (\w+):", re.MULTILINE)
    for source in sources("inspect"):
        for struct, body in structs.findall(source):
            for name in field.findall(body):
                yield struct, name


def found(name):
    """The class, method or attribute with that name. A subclass may have it too."""
    target = lockfast
    for part in name.split("."):
        if part.startswith("_") and not part.endswith("_"):
            target = importlib.import_module(f"lockfast.{part}")
            continue
        if not hasattr(target, part):
            # Some attributes are set by `__init__`.
            return part in getattr(target, "__slots__", ())
        target = getattr(target, part)
    return True


def test_each_function_of_rust_has_a_place():
    places = [*MIRRORED, *OPTIONS, *LEFT_OUT]
    assert functions() == set(places)
    # `label` and `mode` are functions of other types too.
    assert len(places) == len(set(places))


@pytest.mark.parametrize("name", MIRRORED)
def test_each_name_of_python_is_there(name):
    assert [mirror for mirror in MIRRORED[name] if not found(mirror)] == []


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_is_an_argument(path, option):
    # The value is of no type that an option has.
    with pytest.raises((TypeError, ValueError)) as caught:
        lockfast.Lock(path, **{option: object()})
    assert "unexpected keyword" not in str(caught.value)


def test_each_field_of_a_report_is_there():
    module = importlib.import_module("lockfast._inspect")
    missing, seen = set(), 0
    for struct, name in fields():
        cls = getattr(module, struct, None)
        names = {field.name for field in dataclasses.fields(cls)} if cls else set()
        seen += name in names
        if name not in names:
            missing.add((struct, name))
    assert missing == set(FIELDS_LEFT_OUT)
    assert seen > 20
