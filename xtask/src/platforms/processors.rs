//! Tests for other processors, in an emulator of single programs. This machine runs those for 32-bit x86.

use super::toolchain::Toolchain;
use crate::debian;
use crate::step::{self, Outcome};
use crate::test::EXPLORED;

/// A processor whose programs can run here.
#[derive(Debug)]
pub(super) struct Processor {
    target: &'static str,
    /// The linker, with the processor's C library.
    linker: &'static str,
    packages: &'static [(&'static str, &'static str)],
    /// The emulator, if this machine can't run the programs itself.
    runner: &'static str,
    flags: &'static str,
}

pub(super) const AARCH64: Processor = Processor {
    target: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    packages: &[
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        (
            "/usr/aarch64-linux-gnu/include/stdio.h",
            "libc6-dev-arm64-cross",
        ),
        ("qemu-aarch64", "qemu-user"),
    ],
    runner: "qemu-aarch64 -L /usr/aarch64-linux-gnu",
    flags: "",
};

pub(super) const ARMV7: Processor = Processor {
    target: "armv7-unknown-linux-gnueabihf",
    linker: "arm-linux-gnueabihf-gcc",
    packages: &[
        ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"),
        (
            "/usr/arm-linux-gnueabihf/include/stdio.h",
            "libc6-dev-armhf-cross",
        ),
        ("qemu-arm", "qemu-user"),
    ],
    runner: "qemu-arm -L /usr/arm-linux-gnueabihf",
    flags: "",
};

/// Big-endian.
pub(super) const S390X: Processor = Processor {
    target: "s390x-unknown-linux-gnu",
    linker: "s390x-linux-gnu-gcc",
    packages: &[
        ("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu"),
        (
            "/usr/s390x-linux-gnu/include/stdio.h",
            "libc6-dev-s390x-cross",
        ),
        ("qemu-s390x", "qemu-user"),
    ],
    runner: "qemu-s390x -L /usr/s390x-linux-gnu",
    flags: "",
};

/// 32 bits; this machine runs the programs.
pub(super) const I686: Processor = Processor {
    target: "i686-unknown-linux-gnu",
    linker: "i686-linux-gnu-gcc",
    packages: &[
        ("i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
        (
            "/usr/i686-linux-gnu/include/stdio.h",
            "libc6-dev-i386-cross",
        ),
    ],
    runner: "",
    // The C library is not where programs look for it.
    flags: "-Clink-arg=-Wl,--dynamic-linker=/usr/i686-linux-gnu/lib/ld-linux.so.2 \
            -Clink-arg=-Wl,-rpath,/usr/i686-linux-gnu/lib",
};

/// Tests that can't run in an emulator, with the reason.
const NOT_EMULATED: &[(&str, &str)] = &[
    (
        "a_server_is_asked_again_and_again",
        "strace sees the emulator's calls",
    ),
    ("at_each_system_call", "strace sees the emulator's calls"),
    (
        "inputs::a_read_only_file_system",
        "it is started by unshare(1), not by the emulator",
    ),
    (
        "inputs::a_file_system_without_locks",
        "it is started by unshare(1), not by the emulator",
    ),
    (
        "inputs::no_permission",
        "it is started as another user, not by the emulator",
    ),
    (
        "servers::",
        "it is started by unshare(1), not by the emulator",
    ),
    (
        "descriptors::",
        "it closes all descriptors, also those of the emulator",
    ),
    (
        "fork::a_fork_during_the_first_use",
        "the emulator aborts when a forked child starts threads",
    ),
    (
        "leases::a_wait_for_a_lease_can_be_ended",
        "it looks for the one thread that waits, and the emulator has threads of its own",
    ),
    (
        "fork::a_fork_without_handlers_is_noticed",
        "a fork by a raw system call: the emulator does not wipe pages in the child",
    ),
    (
        "fork::a_childs_copy_of_a_permit_is_inert",
        "a fork by a raw system call: the emulator does not wipe pages in the child",
    ),
    (
        "fork::a_childs_copy_of_a_reentrant",
        "a fork by a raw system call: the emulator does not wipe pages in the child",
    ),
    (
        "waiting::a_fork_leaves_the_waits_of_the_parent_to_it",
        "a fork by a raw system call: the emulator does not wipe pages in the child",
    ),
    (
        "tasks::a_forked_childs_copy_of_a_wait_is_inert",
        "a fork by a raw system call: the emulator does not wipe pages in the child",
    ),
    (
        "tasks::a_forked_childs_copy_of_a_wait_says_so_when_it_is_polled",
        "the emulator aborts when a forked child starts threads",
    ),
    (
        "mixture::",
        "an emulated worker may need longer for its rounds than counts as a standstill",
    ),
    (
        "waiting::a_handled_signal_does_not_end_a_wait",
        "it looks for the one thread that waits, and the emulator has threads of its own",
    ),
    (
        "waiting::a_hook_may_end_a_wait_after_a_signal",
        "it looks for the one thread that waits, and the emulator has threads of its own",
    ),
    (
        "waiting::a_hook_may_end_a_wait_among_threads_after_a_signal",
        "it looks for the one thread that waits, and the emulator has threads of its own",
    ),
    (
        "waiting::a_signal_that_the_program_reads_is_left_to_it",
        "the emulator can't send the highest signal",
    ),
    (
        "semaphore::a_signal_is_told_to_the_head",
        "it looks for the one thread that waits, and the emulator has threads of its own",
    ),
    (
        "tasks::a_forked_child_may_wait_as_a_task_too",
        "the emulator aborts when a forked child starts threads",
    ),
    (
        "linger::ends::a_forked_child_keeps_nothing_and_frees_nothing",
        "the emulator aborts when a forked child starts threads",
    ),
    (
        "owner::the_holder_is_named_with_its_label",
        "the emulator tells another start of the process than the kernel does",
    ),
    (
        "chaos::",
        "thousands of starts, each by the emulator, take too long",
    ),
    (
        "a_thousand_waits_cost_what_the_docs_say",
        "it measures threads and memory, which are the emulator's there",
    ),
    (
        "owner::killed_at_random",
        "thousands of starts, each by the emulator, take too long",
    ),
];

/// Tests that run reliably in an emulator on a busy machine.
const STEADY: [&str; 7] = [
    "--lib",
    "--test=descriptors",
    "--test=group",
    "--test=named",
    "--test=reentrant",
    "--test=tasks",
    "--test=tracing",
];

/// Runs all tests, or only the steady ones.
pub(super) fn test(processor: &Processor, only_steady: bool) -> Outcome {
    debian::require(processor.packages)?;
    let toolchain = Toolchain::install()?;
    let mut tests = toolchain.cargo("test");
    let name = processor.target.to_uppercase().replace('-', "_");
    tests
        .args(["--target", processor.target, "--package", "lockfast"])
        .args(["--features", "macros,tracing", "--no-fail-fast"])
        .args(if only_steady {
            &STEADY[..]
        } else {
            &["--lib", "--tests"]
        })
        .env(format!("CARGO_TARGET_{name}_LINKER"), processor.linker)
        .env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), processor.flags);
    if !processor.runner.is_empty() {
        tests
            .env(format!("CARGO_TARGET_{name}_RUNNER"), processor.runner)
            .env("LOCKFAST_TEST_RUNNER", processor.runner);
    }
    tests.args(["--", "--skip", EXPLORED]);
    if !processor.runner.is_empty() {
        for (name, reason) in NOT_EMULATED {
            println!("{name} is left out: {reason}");
            tests.args(["--skip", name]);
        }
    }
    step::run(&mut tests)
}
