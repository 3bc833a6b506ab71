# Run by gdb: lists the functions that run between the call of a free lock and the kernel, and their files.
import os
import re

import gdb

SOURCES = "crates/lockfast/src/"
# Line tables name no functions to stop at, only lines.
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.rs")
LINE = [line.strip() for line in open(PROGRAM)].index("lock.lock()") + 1
# Several times what an unoptimised free lock takes.
MAX_STEPS = 20_000


def is_in_vdso(frame):
    symbol = gdb.execute("info symbol $pc", to_string=True)
    return "system-supplied DSO" in symbol


def is_kernel_call(frame):
    instruction = frame.architecture().disassemble(frame.pc())[0]["asm"]
    return instruction.split()[0] in ("syscall", "svc")


def function_of(frame):
    symbols = frame.find_sal().symtab
    file = symbols.fullname() if symbols else ""
    if SOURCES not in file:
        return None
    return file.split(SOURCES)[1], re.sub("::h[0-9a-f]{16}$", "", frame.name() or "")


gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute(f"break {PROGRAM}:{LINE}")
gdb.execute("run")
passed = []
steps = 0
reached = False
while not reached and gdb.selected_inferior().pid and steps < MAX_STEPS:
    frame = gdb.selected_frame()
    if is_in_vdso(frame):
        # Reading the clock starts over when the kernel has updated its page, which it does between any two steps.
        gdb.execute("finish", to_string=True)
        continue
    reached = is_kernel_call(frame)
    function = function_of(frame)
    if function and function not in passed:
        passed.append(function)
    if not reached:
        gdb.execute("stepi", to_string=True)
        steps += 1
if reached:
    open_now = []
    while frame:
        open_now.append(function_of(frame))
        frame = frame.older()
    for function in passed:
        print("open" if function in open_now else "left", *function)
    gdb.execute("kill")
else:
    print(f"the kernel is not called in {steps} steps")
