# Run by gdb: lists the functions that run between the call of a free lock and the kernel, and their files.
import os
import re

import gdb

SOURCES = "crates/lockfast/src/"
# Line tables name no functions to stop at, only lines.
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.rs")
LINE = [line.strip() for line in open(PROGRAM)].index("lock.lock()") + 1

gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute(f"break {PROGRAM}:{LINE}")
gdb.execute("run")
functions = []
while True:
    frame = gdb.selected_frame()
    if frame.architecture().disassemble(frame.pc())[0]["asm"].startswith("syscall"):
        break
    symbols = frame.find_sal().symtab
    file = symbols.fullname() if symbols else ""
    if SOURCES in file:
        name = re.sub("::h[0-9a-f]{16}$", "", frame.name() or "")
        function = (file.split(SOURCES)[1], name)
        if function not in functions:
            functions.append(function)
    gdb.execute("stepi", to_string=True)
for file, function in functions:
    print("passed", file, function)
gdb.execute("kill")
