//! The attributes of `lockfast` that run a whole function under a lock between processes.
//!
//! They are `lockfast::locked`, `lockfast::read_locked` and `lockfast::write_locked`, with the
//! feature `macros` of the library; this crate is not for direct use. What all three have in common
//! is said at [`macro@locked`].

mod arguments;
mod expand;
mod guard;
mod timeout;

use proc_macro::TokenStream;
use syn::{Error, ItemFn};

use crate::arguments::Arguments;
use crate::guard::Kind;

/// Runs the function under an exclusive lock.
///
/// The lock is taken before the body begins and released when it has ended: at its end, by
/// `return`, by `?` or by a panic. What the function owns (arguments passed by value, temporaries)
/// is dropped before the release, except a `self` by value.
///
/// # Which lock
///
/// | form | the lock |
/// |---|---|
/// | `#[locked("state.lock")]` | at that path |
/// | `#[locked(dir.join("x.lock"))]` or `#[locked(path = …)]` | at the path that an expression over the arguments gives |
/// | `#[locked(name = "nightly")]` | with that name, as of `Lock::named`; any expression |
/// | `#[locked(lock = self.lock)]` | a handle: a `Lock` (an `RwLock` for the other attributes) or what derefs to one |
/// | `#[locked]` | named after the package, the module and the function: `package::crate::module::function` |
///
/// A path or a name that is written as a literal, and the function's own name, are opened by the
/// first call, and all calls share that handle: a relative path is that of the working directory
/// then, and threads queue first come, first served. Other expressions are evaluated, and the lock
/// opened, at each call.
///
/// An attribute does not see the type that a method belongs to: methods of one name in one module
/// share their own name, and so one lock, unless they say `name = …`.
///
/// The function's own name says nothing of where a program is installed or was built: a program and
/// its next version have the same lock, and so have two packages of one name that have nothing to do
/// with each other. Say `name = …` in programs whose package has a common name (`app`, `backup`).
///
/// # How long to wait
///
/// As long as it takes, or
///
/// * `timeout = "10s"`: at most that long; numbers with the units `ms`, `s`, `m`, `h`, as in
///   `"1m 30s"`, or an expression for a `Duration`;
/// * `try`: not at all.
///
/// An `async fn` waits as a task, as by `lock_async`: the thread that polls is not blocked, and
/// dropping the future ends the wait. With `timeout` a helper thread has all of the wait, so no
/// runtime's clock is needed. A function that *returns* a future is refused: it has ended before the
/// future runs.
///
/// # Errors
///
/// A function that returns a `Result` returns the error of the lock, as by `?`: its error type must
/// implement `From<lockfast::Error>`. `timeout` and `try` need such a function. The attribute knows
/// it by the name of the type, which must end in `Result`: `Result<…>`, `io::Result<…>`,
/// `MyResult`.
///
/// A function that calls itself, or another one with the same lock, would wait for itself: an error
/// with `is_deadlock()`, or what else `timeout` and `try` make of a lock that is held.
///
/// # Panics
///
/// A function that does not return a `Result` panics when its lock can't be taken, with the text of
/// the error.
///
/// # Blocking
///
/// As `Lock::lock`; an `async fn` as `Lock::lock_async`. With `try` the file may still have to be opened, which does not wait.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use std::path::Path;
/// use std::{fs, io};
///
/// #[lockfast::locked(dir.join("counter.lock"), timeout = "10s")]
/// fn count(dir: &Path) -> io::Result<u32> {
///     let file = dir.join("counter");
///     let count = match fs::read_to_string(&file) {
///         Ok(text) => text.parse().map_err(io::Error::other)?,
///         Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
///         Err(error) => return Err(error),
///     };
///     fs::write(&file, format!("{}", count + 1))?;
///     Ok(count + 1)
/// }
///
/// assert_eq!(count(dir.path())?, 1);
/// assert_eq!(count(dir.path())?, 2);
///
/// let other = lockfast::Lock::open(dir.path().join("counter.lock"))?;
/// let guard = other.lock()?;
/// # #[cfg(any())] // it does not take ten seconds to show that
/// assert_eq!(count(dir.path()).unwrap_err().kind(), io::ErrorKind::TimedOut);
/// drop(guard);
/// assert_eq!(count(dir.path())?, 3);
/// # Ok(())
/// # }
/// ```
///
/// One at a time for this user on this machine, whichever processes call it:
///
/// ```
/// #[lockfast::locked]
/// fn rebuild_index() {
///     // Nobody else is here now.
/// }
///
/// rebuild_index();
/// ```
///
/// A single attempt, in a method, by a handle that the value has:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("store.lock");
/// struct Store {
///     lock: lockfast::Lock,
///     entries: Vec<String>,
/// }
///
/// impl Store {
///     #[lockfast::locked(lock = self.lock, try)]
///     fn add(&mut self, entry: &str) -> lockfast::Result<usize> {
///         self.entries.push(entry.to_owned());
///         Ok(self.entries.len())
///     }
/// }
///
/// let lock = lockfast::Lock::open(&path)?;
/// let mut store = Store { lock: lock.clone(), entries: Vec::new() };
/// assert_eq!(store.add("one")?, 1);
///
/// let guard = lock.lock()?;
/// assert!(store.add("two").unwrap_err().is_contended());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn locked(arguments: TokenStream, function: TokenStream) -> TokenStream {
    attribute(Kind::Locked, arguments, function)
}

/// Runs the function as a reader: beside other readers, and never while there is a writer.
///
/// Forms, waiting, errors and panics are those of [`macro@locked`], with an `RwLock`. Without a
/// path or a name the lock is named after the package and the *module*: then it is the lock of all
/// functions of this module that have `#[read_locked]` or [`#[write_locked]`](macro@write_locked).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use std::path::Path;
/// use std::{fs, io};
///
/// #[lockfast::write_locked(file.with_extension("lock"))]
/// fn save(file: &Path, text: &str) -> io::Result<()> {
///     fs::write(file, text)
/// }
///
/// #[lockfast::read_locked(file.with_extension("lock"))]
/// fn load(file: &Path) -> io::Result<String> {
///     fs::read_to_string(file)
/// }
///
/// let file = dir.path().join("settings.txt");
/// save(&file, "colour = blue")?;
/// assert_eq!(load(&file)?, "colour = blue");
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn read_locked(arguments: TokenStream, function: TokenStream) -> TokenStream {
    attribute(Kind::ReadLocked, arguments, function)
}

/// Runs the function as the writer: alone, with neither readers nor other writers.
///
/// Forms, waiting, errors and panics are those of [`macro@locked`], with an `RwLock`; about the
/// name, see [`macro@read_locked`].
///
/// # Examples
///
/// ```
/// use lockfast::{read_locked, write_locked};
///
/// #[write_locked] // both have the lock of this module
/// fn rotate() {}
///
/// #[read_locked]
/// fn report() {}
///
/// rotate();
/// report();
/// ```
#[proc_macro_attribute]
pub fn write_locked(arguments: TokenStream, function: TokenStream) -> TokenStream {
    attribute(Kind::WriteLocked, arguments, function)
}

fn attribute(kind: Kind, arguments: TokenStream, function: TokenStream) -> TokenStream {
    let unchanged = function.clone();
    expanded(kind, arguments, function).unwrap_or_else(|error| {
        // The function stays, so that nobody is told that it is missing.
        let mut tokens: TokenStream = error.into_compile_error().into();
        tokens.extend(unchanged);
        tokens
    })
}

fn expanded(kind: Kind, arguments: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let function: ItemFn = syn::parse(function).map_err(|error| {
        Error::new(
            error.span(),
            format!("this attribute is for functions and methods that have a body: {error}"),
        )
    })?;
    let arguments: Arguments = syn::parse(arguments)?;
    expand::expand(kind, &arguments, function).map(TokenStream::from)
}
