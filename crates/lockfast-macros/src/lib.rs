//! Attributes of `lockfast` that run a function under an inter-process lock.
//!
//! Use them through the library with its feature `macros`, as `lockfast::locked`,
//! `lockfast::read_locked` and `lockfast::write_locked`. [`macro@locked`] documents what all three
//! share.

mod arguments;
mod duration;
mod expand;
mod guard;

use proc_macro::TokenStream;
use syn::{Error, ItemFn};

use crate::arguments::Arguments;
use crate::guard::Kind;

/// Runs the function under an exclusive lock.
///
/// The lock is taken before the body begins and released when the body ends, also by `return`, `?`
/// or a panic. Values that the function owns (arguments passed by value, temporaries) are dropped
/// before the release, except a `self` by value.
///
/// # The lock
///
/// | form | lock |
/// |---|---|
/// | `#[locked("state.lock")]` | at that path |
/// | `#[locked(dir.join("x.lock"))]` or `#[locked(path = …)]` | at the path given by an expression over the arguments |
/// | `#[locked(name = "nightly")]` | with that name, as for `Lock::named`; any expression |
/// | `#[locked(lock = self.lock)]` | a handle of any engine: a `Lock` (an `RwLock` for the other attributes), or a type that derefs to one |
/// | `#[locked]` | named after the package, the module and the function: `package::crate::module::function` |
///
/// A literal path or name, and the function's own name, are opened by the first call. All calls
/// share that handle: a relative path is resolved then, and threads queue in order of arrival.
/// Other expressions are evaluated, and the lock opened, at each call.
///
/// A name in a space of `lockfast-space` is a handle too: `lock = NIGHTLY` with a static
/// `LazyLock<lockfast_space::Lock>`, or `lock = SPACE.lock(name)?`, which opens the name at each
/// call and, on PostgreSQL, asks the server for it.
///
/// An attribute does not see the type that a method belongs to. Methods of the same name in one
/// module therefore share a lock, unless they use `name = …`.
///
/// The function's own name does not depend on where a program is installed or was built: a program
/// and its next version share the lock, and so do unrelated packages of the same name. Use
/// `name = …` in programs whose package has a common name (`app`, `backup`).
///
/// # Waiting
///
/// By default the function waits without limit.
///
/// * `timeout = "10s"` limits the wait. The value is a text or an expression for a `Duration`. A
///   text has one or more decimal numbers with the units `ms`, `s`, `m`, `h` or `d`, for example
///   `"500ms"`, `"1.5h"` or `"1m 30s"`; a single number without a unit is seconds. The command's
///   options have the same syntax.
/// * `try` does not wait.
///
/// An `async fn` waits as a task, as with `lock_async`: the polling thread is not blocked, and
/// dropping the future ends the wait. With `timeout` a helper thread does the whole wait, so it
/// needs no timer of a runtime. A function that *returns* a future is rejected, because it ends
/// before the future runs.
///
/// # Errors
///
/// A function that returns a `Result` returns the error of the lock, as with `?`: its error type
/// must implement `From<lockfast::Error>`. `timeout` and `try` require such a function. The
/// attribute recognizes it by the name of its return type, which must end in `Result`:
/// `Result<…>`, `io::Result<…>`, `MyResult`.
///
/// A function that calls itself, or another function with the same lock, would wait for itself.
/// That is an error with `is_deadlock()`; with `timeout` or `try` it may be the error for a held
/// lock.
///
/// # Panics
///
/// A function that does not return a `Result` panics with the error's message if its lock cannot be
/// taken.
///
/// # Blocking
///
/// Blocks as `Lock::lock` does; an `async fn` waits as `Lock::lock_async` does. With `try` it may
/// still have to open the file, which does not wait.
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
/// At most one call at a time, for all processes of this user on this machine:
///
/// ```
/// #[lockfast::locked]
/// fn rebuild_index() {
///     // No other process runs this now.
/// }
///
/// rebuild_index();
/// ```
///
/// A method that takes its value's lock without waiting:
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

/// Runs the function as a reader: together with other readers, and never with a writer.
///
/// Forms, waiting, errors and panics are those of [`macro@locked`], with an `RwLock`. Without a
/// path or a name the lock is named after the package and the *module*. All functions of the module
/// with `#[read_locked]` or [`#[write_locked]`](macro@write_locked) then share it.
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

/// Runs the function as a writer: alone, without readers or other writers.
///
/// Forms, waiting, errors and panics are those of [`macro@locked`], with an `RwLock`. The default
/// name is that of [`macro@read_locked`].
///
/// # Examples
///
/// ```
/// use lockfast::{read_locked, write_locked};
///
/// #[write_locked] // both use the lock of this module
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
        // The function stays, so that its callers get no further errors.
        let mut tokens: TokenStream = error.into_compile_error().into();
        tokens.extend(unchanged);
        tokens
    })
}

fn expanded(kind: Kind, arguments: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let function: ItemFn = syn::parse(function).map_err(|error| {
        Error::new(
            error.span(),
            format!("this attribute needs a function or method with a body: {error}"),
        )
    })?;
    let arguments: Arguments = syn::parse(arguments)?;
    expand::expand(kind, &arguments, function).map(TokenStream::from)
}
