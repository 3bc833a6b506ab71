# Run by gdb: lists the functions that run between the call of a free lock and the kernel, and their files.
import gdb

SOURCES = "crates/lockfast/src/"

gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("break xtask::structure::calls::take")
gdb.execute("run")
functions = []
while True:
    frame = gdb.selected_frame()
    if frame.architecture().disassemble(frame.pc())[0]["asm"].startswith("syscall"):
        break
    symbols = frame.find_sal().symtab
    file = symbols.fullname() if symbols else ""
    if SOURCES in file:
        function = (file.split(SOURCES)[1], frame.name() or "")
        if function not in functions:
            functions.append(function)
    gdb.execute("stepi", to_string=True)
for file, function in functions:
    print("passed", file, function)
gdb.execute("kill")
