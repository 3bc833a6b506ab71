//! Types and lints for both compilers of Windows, and the tests in Wine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::toolchain::Toolchain;
use crate::debian;
use crate::step::{self, Failure, Outcome};
use crate::test::EXPLORED;

/// The target that Wine runs.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// The target that is only checked, because nothing here links it.
const CHECKED: &str = "x86_64-pc-windows-msvc";

const NEEDED: [(&str, &str); 2] = [
    ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix"),
    (WINE, "wine64"),
];

/// The folder with C sources of functions that Wine lacks.
const SOURCES: &str = "xtask/windows";

/// Targets that are checked in addition to the tests.
const COMMAND: &str = "--bins";

/// The package `wine64` alone puts no program of that name in the path.
const WINE: &str = "/usr/lib/wine/wine64";
const WINE_SERVER: &str = "/usr/lib/wine/wineserver64";

/// Sources of functions that Wine implements differently from Windows.
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

pub(crate) fn run(in_ci: bool) -> Outcome {
    let toolchain = Toolchain::install()?;
    debian::require(&NEEDED)?;
    let wine = Wine::install()?;
    clippy(&toolchain, CHECKED)?;
    if !in_ci {
        // The same code: the tests compile it, too.
        clippy(&toolchain, TARGET)?;
    }
    let mut test = toolchain.cargo("test");
    test.args(TESTS)
        .args(["--target", TARGET, "--no-fail-fast"]);
    wine.prepare(&mut test)?;
    // The models give the same result everywhere, and take minutes here.
    let tested = step::run(test.args(["--", "--skip", "model", "--skip", EXPLORED]));
    wine.stop();
    tested?;
    println!("{NOT_VERIFIED}");
    Ok(())
}

/// Promises that no test here can verify.
const NOT_VERIFIED: &str = "
Not verified, because Wine is not Windows:
- waits: Wine completes no overlapped lock request, so a stand-in does it in the tests
  (xtask/windows/overlapped.c). How fast Windows wakes a waiter, in which order, and what it does when a
  request is granted and cancelled in one instant, was not seen.
- that others can't read or write what is locked: under Wine they can. A stand-in (mandatory.c) refuses
  to read it, which is how lockfast notices that a lock is held.
- the Restart Manager: Wine's knows no process, so a stand-in (openers.c) reports who has a file open.
- locks of the machine by name, and directories of other users: in Wine everything belongs to one user.
- how soon the locks of a killed process are free.
- files that are deleted while others have them open: Wine deletes them when all have closed them.
- events of a console: Wine has none.
- symbolic links and other reparse points, ids of files with 128 bits, locks of a file server.
- the precision of deadlines: Wine's clock ticks like that of the system below.";

fn clippy(toolchain: &Toolchain, target: &str) -> Outcome {
    let mut clippy = toolchain.clippy();
    clippy.args(TESTS).arg(COMMAND).args(["--target", target]);
    // There is no C compiler for this target; nothing is linked, so none is needed.
    let archiver = step::root().join("xtask/no-archiver");
    clippy.env("TARGET_CC", "true").env("TARGET_AR", archiver);
    clippy.args(["--", "--deny", "warnings"]);
    // On these targets this lint complains about thread-locals that are const already.
    step::run(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
}

/// Wine, with its own Windows folder below `target`.
struct Wine {
    directory: PathBuf,
}

impl Wine {
    /// Creates that folder, unless it exists.
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

    /// Compiles the functions that Wine lacks, and returns the path of the object file. The path is one of
    /// the compiler's flags: it is the same in all clones, so that they can share what they build.
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

    /// Makes cargo link the stand-ins into programs and run these in Wine.
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
            // Wine would ask whether to download these.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY")
    }

    /// Ends the processes that Wine keeps for the next program.
    fn stop(&self) {
        // Fails if there are none.
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
