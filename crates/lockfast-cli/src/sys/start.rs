//! The start of the command.
//!
//! A fork would copy this process's page tables, and each page that it touches afterwards, which takes
//! a good part of the time of a short command. `posix_spawn` avoids that, but can't ask the kernel to
//! kill the command with its parent. So this is what `posix_spawn` does, with that request.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{self, CloneFlags};
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{self, Pid};

/// The state that the command starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// Blocked signals.
    pub(crate) mask: SigSet,
    /// Signals that this process catches. The command gets their default actions.
    pub(crate) caught: Vec<Signal>,
    /// Signals that the command ignores.
    pub(crate) ignored: Vec<Signal>,
    /// Whether the kernel kills the command when the thread that starts it ends, which must be the
    /// main thread.
    pub(crate) dies_with_parent: bool,
}

impl Start {
    /// Starts the command by its program, arguments and environment.
    ///
    /// Like `execvp` it runs a file without an interpreter line in the shell.
    pub(crate) fn spawn(self, command: &mut Command) -> io::Result<Pid> {
        let image = Image::of(command)?;
        let (from_child, to_parent) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        let parent = unistd::getpid();
        let write = to_parent.as_raw_fd();
        let child = || {
            let errno = self.execute(&image, parent) as i32;
            // SAFETY: the buffer is as long as the call is told.
            unsafe { libc::write(write, (&raw const errno).cast(), size_of::<i32>()) };
            127
        };
        // `execvp` copies the arguments to its stack to run a script in the shell.
        let mut stack = vec![0; (64 << 10) + image.arguments.len() * size_of::<usize>()];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // With blocked signals no handler can run in the child, which shares the memory.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // SAFETY: this thread stands still until the child has executed a program or ended, and the
        // child only makes system calls, on a stack that is large enough.
        let cloned =
            unsafe { sched::clone(Box::new(child), &mut stack, flags, Some(libc::SIGCHLD)) };
        before.thread_set_mask()?;
        let pid = cloned?;
        drop(to_parent);
        let mut errno = [0; size_of::<i32>()];
        // The start of a program closes the pipe, and so does the end of the child.
        if File::from(from_child).read_exact(&mut errno).is_ok() {
            let _ = waitpid(pid, None);
            return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)));
        }
        Ok(pid)
    }

    /// Executes the command in the child. Returns only on failure.
    fn execute(&self, image: &Image, parent: Pid) -> Errno {
        match self.prepare(parent) {
            Ok(()) => image.execute(),
            Err(errno) => errno,
        }
    }

    fn prepare(&self, parent: Pid) -> nix::Result<()> {
        let set = |signals: &[Signal], action| {
            signals.iter().try_for_each(|&of| {
                // SAFETY: no handler is installed.
                unsafe { signal::signal(of, action) }.map(drop)
            })
        };
        set(&self.caught, SigHandler::SigDfl)?;
        set(&self.ignored, SigHandler::SigIgn)?;
        // The standard library ignores it at the start of this process.
        set(&[Signal::SIGPIPE], SigHandler::SigDfl)?;
        if self.dies_with_parent {
            // SAFETY: takes numbers.
            Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
            // The parent may have ended before the request.
            if unistd::getppid() != parent {
                signal::raise(Signal::SIGKILL)?;
            }
        }
        self.mask.thread_set_mask()
    }
}

/// The program with its arguments and its environment, in the form of the kernel.
struct Image {
    arguments: Vec<CString>,
    /// `None` for the environment of this process.
    environment: Option<Vec<CString>>,
    argument_pointers: Vec<*const libc::c_char>,
    environment_pointers: Vec<*const libc::c_char>,
}

impl Image {
    fn of(command: &Command) -> io::Result<Self> {
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let arguments = words
            .map(|word| CString::new(word.as_bytes()))
            .collect::<Result<Vec<_>, NulError>>()?;
        let environment = environment(command)?;
        let pointers = |texts: &[CString]| {
            let texts = texts.iter().map(|text| text.as_ptr());
            texts.chain([ptr::null()]).collect()
        };
        Ok(Self {
            argument_pointers: pointers(&arguments),
            environment_pointers: pointers(environment.as_deref().unwrap_or_default()),
            arguments,
            environment,
        })
    }

    /// Executes the program. Returns only on failure.
    fn execute(&self) -> Errno {
        let (program, arguments) = (self.arguments[0].as_ptr(), self.argument_pointers.as_ptr());
        if self.environment.is_some() {
            let environment = self.environment_pointers.as_ptr();
            // SAFETY: strings that end in NUL, in lists that end in null.
            unsafe { libc::execvpe(program, arguments, environment) };
        } else {
            // SAFETY: as above.
            unsafe { libc::execvp(program, arguments) };
        }
        Errno::last()
    }
}

/// Returns the changed environment of the command; `None` if there are no changes.
fn environment(command: &Command) -> io::Result<Option<Vec<CString>>> {
    let mut changes = command.get_envs().peekable();
    if changes.peek().is_none() {
        return Ok(None);
    }
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in changes {
        match value {
            Some(value) => variables.insert(name.to_owned(), value.to_owned()),
            None => variables.remove(name),
        };
    }
    let line = |(name, value): (OsString, OsString)| {
        CString::new(
            [name.as_os_str(), value.as_os_str()]
                .join(OsStr::new("="))
                .into_encoded_bytes(),
        )
    };
    let lines = variables.into_iter().map(line);
    Ok(Some(lines.collect::<Result<_, NulError>>()?))
}
