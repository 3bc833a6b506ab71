//! Windows: types and lints for both of its compilers, and the tests under Wine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::processors;
use super::toolchain::Toolchain;
use crate::debian;
use crate::step::{self, Failure, Outcome};

/// What is run under Wine.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// What is checked only: nothing here links it.
const CHECKED: &str = "x86_64-pc-windows-msvc";

const NEEDED: [(&str, &str); 2] = [
    ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix"),
    (WINE, "wine64"),
];

/// What Wine lacks, in C.
const SOURCES: &str = "xtask/windows";

/// What is checked beside the tests.
const COMMAND: &str = "--bins";

/// Debian's `wine64` alone has no program of that name in the path.
const WINE: &str = "/usr/lib/wine/wine64";
const WINE_SERVER: &str = "/usr/lib/wine/wineserver64";

/// What Wine does not do as Windows does, done so for the tests.
const STAND_INS: [&str; 4] = ["overlapped.c", "mandatory.c", "openers.c", "profiles.c"];

/// The tests that are not about Unix.
const TESTS: [&str; 7] = [
    "--lib",
    "--test=windows",
    "--test=group",
    "--test=reentrant",
    "--package=lockfast",
    "--package=lockfast-cli",
    "--all-features",
];

pub(crate) fn run() -> Outcome {
    let toolchain = Toolchain::install()?;
    debian::require(&NEEDED)?;
    let wine = Wine::install()?;
    clippy(&toolchain, TARGET)?;
    clippy(&toolchain, CHECKED)?;
    let mut test = toolchain.cargo("test");
    test.args(TESTS)
        .args(["--target", TARGET, "--no-fail-fast"]);
    wine.prepare(&mut test)?;
    // What the models explore is the same everywhere, and takes minutes here.
    let tested = step::run(test.args(["--", "--skip", "model", "--skip", processors::MODELS]));
    wine.stop();
    tested?;
    println!("{NOT_VERIFIED}");
    Ok(())
}

/// What no test here can show.
const NOT_VERIFIED: &str = "
Not verified, because Wine is not Windows:
- waits: Wine completes no overlapped lock request, so a stand-in does it in the tests
  (xtask/windows/overlapped.c). How fast Windows wakes a waiter, in which order, and what it does when a
  request is granted and cancelled in one instant, was not seen.
- that others can't read or write what is locked: under Wine they can. A stand-in (mandatory.c) refuses
  to read it, which is how lockfast sees that a lock is held.
- the Restart Manager: Wine's knows of no process, so a stand-in (openers.c) tells who has a file open.
- locks of the machine by name, and directories of other users: there all belongs to one.
- how soon the locks of a killed process are free.
- files that are deleted while others have them open: Wine deletes them when all have closed them.
- events of a console: there is none.
- symbolic links and other reparse points, ids of files with 128 bits, locks of a file server.
- the precision of deadlines: Wine's clock ticks like that of the system below.";

fn clippy(toolchain: &Toolchain, target: &str) -> Outcome {
    let mut clippy = toolchain.clippy();
    clippy.args(TESTS).arg(COMMAND).args(["--target", target]);
    // Nothing is linked, so of C nothing needs to be compiled, for which there is no compiler.
    clippy.env("TARGET_CC", "true").env("TARGET_AR", "true");
    clippy.args(["--", "--deny", "warnings"]);
    // It takes what is const already for something that could be made so, on these targets.
    step::run(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
}

/// Wine, with a Windows of its own below `target`.
struct Wine {
    directory: PathBuf,
}

impl Wine {
    /// Makes that Windows, unless it is there.
    fn install() -> Result<Self, Failure> {
        let wine = Self {
            directory: super::folder().join("windows"),
        };
        fs::create_dir_all(&wine.directory)
            .map_err(|error| step::failed("create", &wine.directory, &error))?;
        let complete = wine.directory.join("complete");
        if !complete.exists() {
            step::run(wine.set_up(Command::new(WINE).args(["wineboot", "--init"])))?;
            step::run(wine.set_up(Command::new(WINE_SERVER).arg("--wait")))?;
            let library = "prefix/drive_c/windows/system32/bcryptprimitives.dll";
            let mut compile = compile(&["random.c"]);
            compile.args(["-shared", "-s", "-o"]);
            compile.arg(wine.directory.join(library));
            step::run(compile.arg("-ladvapi32"))?;
            fs::write(&complete, "").map_err(|error| step::failed("write", &complete, &error))?;
        }
        Ok(wine)
    }

    /// What takes the place of the functions that Wine lacks. Its path is one of the compiler's
    /// flags, so it has to be the same in all clones, or nothing that was built could be used again.
    fn stand_ins() -> Result<PathBuf, Failure> {
        let mut sources = Vec::new();
        for name in STAND_INS {
            let path = step::root().join(SOURCES).join(name);
            let source = fs::read(&path).map_err(|error| step::failed("read", &path, &error))?;
            sources.extend(source);
        }
        let key = cache::key(&sources);
        let object = cache::folder()?.join(format!("stand-ins-{key}.o"));
        let making = cache::alone()?;
        if !object.exists() {
            let mut compile = compile(&STAND_INS);
            compile.args(["-r", "-nostdlib", "-o"]);
            step::run(compile.arg(&object))?;
        }
        drop(making);
        Ok(object)
    }

    /// Has cargo run by Wine what it builds, and link the stand-ins into it.
    fn prepare(&self, cargo: &mut Command) -> Outcome {
        let link = format!("-Zpre-link-args={}", Self::stand_ins()?.display());
        self.set_up(cargo)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", link)
            .env("LOCKFAST_TEST_WINE", "1");
        Ok(())
    }

    fn set_up<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("WINEPREFIX", self.directory.join("prefix"))
            .env("WINELOADER", WINE)
            .env("WINESERVER", WINE_SERVER)
            .env("WINEDEBUG", "-all")
            // It would ask whether to download them.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY")
    }

    /// Ends what Wine has left running for the next program.
    fn stop(&self) {
        // There may be nothing to end.
        let _ = step::run(self.set_up(Command::new(WINE_SERVER).arg("--kill")));
    }
}

fn compile(sources: &[&str]) -> Command {
    let mut command = Command::new("x86_64-w64-mingw32-gcc");
    command.args(["-O2", "-Wall", "-Wextra", "-Werror"]);
    let sources = sources.iter();
    command.args(sources.map(|source| Path::new(SOURCES).join(source)));
    command
}
