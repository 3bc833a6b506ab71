//! Functions with attributes.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lockfast::{Error, Lock, RwLock, locked, read_locked, write_locked};
use tempfile::TempDir;

/// A directory, and the path of a lock in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    (directory, path)
}

/// Whether another handle would have to wait.
fn is_held(path: &Path) -> bool {
    match Lock::open(path).expect("a lock").try_lock() {
        Ok(_guard) => false,
        Err(error) => {
            assert!(error.is_contended(), "{error}");
            true
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().expect("a text")
}

#[test]
fn the_lock_is_held_during_the_body_and_no_longer() {
    #[locked(path)]
    fn plain(path: &Path) -> bool {
        is_held(path)
    }
    #[locked(path = path.join("b.lock"))]
    fn under(path: &Path) {
        assert!(is_held(&path.join("b.lock")));
    }
    let (directory, path) = place();
    assert!(plain(&path));
    assert!(!is_held(&path));
    under(directory.path());
    assert!(!is_held(&directory.path().join("b.lock")));
}

#[test]
fn every_way_out_of_the_body_releases() {
    #[locked(path)]
    fn leave(path: &Path, way: u32) -> io::Result<u32> {
        assert!(is_held(path));
        if way == 0 {
            return Ok(7);
        }
        if way == 1 {
            Err(io::Error::other("asked for"))?;
        }
        assert_ne!(way, 2, "asked for");
        Ok(way)
    }
    let (_directory, path) = place();
    assert_eq!(leave(&path, 0).expect("returned"), 7);
    assert!(!is_held(&path));
    assert_eq!(leave(&path, 1).expect_err("?").to_string(), "asked for");
    assert!(!is_held(&path));
    assert!(catch_unwind(|| leave(&path, 2)).is_err());
    assert!(!is_held(&path));
    assert_eq!(leave(&path, 3).expect("to the end"), 3);
    assert!(!is_held(&path));
}

/// Records on drop whether the lock is held.
struct Probe {
    path: PathBuf,
    seen: Rc<RefCell<Vec<bool>>>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.seen.borrow_mut().push(is_held(&self.path));
    }
}

impl Probe {
    fn number(&self) -> usize {
        self.seen.borrow().len()
    }
}

#[test]
fn owned_values_are_dropped_before_the_release() {
    #[locked(path)]
    fn take(path: &Path, _unused: Probe, (one, mut other): (Probe, Option<Probe>)) -> bool {
        other.take();
        one.path.exists()
    }
    #[locked(path)]
    fn temporary(path: &Path, probe: impl Fn() -> Probe) -> usize {
        probe().number()
    }
    let (_directory, path) = place();
    let seen = Rc::default();
    let probe = || Probe {
        path: path.clone(),
        seen: Rc::clone(&seen),
    };
    assert!(take(&path, probe(), (probe(), Some(probe()))));
    assert_eq!(temporary(&path, probe), 3);
    assert_eq!(*seen.borrow(), [true; 4]);
}

#[test]
fn a_literal_path_is_opened_once_for_all_calls() {
    #[locked("literal.lock", try)]
    fn attempt() -> lockfast::Result<bool> {
        Ok(is_held(Path::new("literal.lock")))
    }
    let (directory, _) = place();
    std::env::set_current_dir(directory.path()).expect("there");
    assert!(attempt().expect("free"));
    let path = directory.path().join("literal.lock");

    std::env::set_current_dir("/").expect("elsewhere");
    let lock = Lock::open(path).expect("a lock");
    let guard = lock.lock().expect("free");
    assert!(attempt().expect_err("held").is_contended());
    drop(guard);
}

#[test]
fn without_a_path_the_function_has_a_lock_of_its_own() {
    mod one {
        #[lockfast::locked(timeout = "1m")]
        pub(super) fn of_its_own() -> lockfast::Result<bool> {
            let name = "lockfast-macros::locked::one::of_its_own";
            Ok(lockfast::Lock::named(name)?.try_lock().is_err())
        }
    }
    mod other {
        use lockfast::RwLock;

        #[lockfast::read_locked(timeout = "1m")]
        pub(super) fn read() -> lockfast::Result<bool> {
            let lock = RwLock::named("lockfast-macros::locked::other")?;
            Ok(lock.try_write().is_err())
        }

        #[lockfast::write_locked(timeout = "1m")]
        pub(super) fn write() -> lockfast::Result<bool> {
            let lock = RwLock::named("lockfast-macros::locked::other")?;
            Ok(lock.try_read().is_err())
        }
    }
    assert!(one::of_its_own().expect("free"));
    assert!(other::read().expect("free"));
    assert!(other::write().expect("free"));
}

#[test]
fn a_name_may_be_given() {
    #[locked(name = format!("{prefix}-{}", std::process::id()))]
    fn named(prefix: &str) -> bool {
        let name = format!("lockfast-test-attribute-{}", std::process::id());
        let lock = lockfast::Lock::named(name).expect("a lock");
        let held = lock.try_lock().is_err();
        std::fs::remove_file(lock.path()).expect("removed");
        held
    }
    #[locked(name = "lockfast-test-attribute")]
    fn literal() -> bool {
        let lock = lockfast::Lock::named("lockfast-test-attribute").expect("a lock");
        lock.try_lock().is_err()
    }
    assert!(named("lockfast-test-attribute"));
    assert!(literal());
}

#[test]
fn readers_run_together_and_writers_alone() {
    #[read_locked(path)]
    fn read(path: &Path, inside: impl FnOnce()) {
        inside();
    }
    #[write_locked(path)]
    fn write(path: &Path, inside: impl FnOnce()) {
        inside();
    }
    let (_directory, path) = place();
    let other = RwLock::open(&path).expect("a lock");
    read(&path, || {
        drop(other.try_read().expect("beside"));
        assert!(other.try_write().expect_err("held").is_contended());
    });
    write(&path, || {
        assert!(other.try_read().expect_err("held").is_contended());
    });
    drop(other.try_write().expect("released"));
}

#[test]
fn threads_and_handles_exclude_each_other() {
    static INSIDE: AtomicU32 = AtomicU32::new(0);

    #[locked(path, timeout = "2m")]
    fn enter(path: &Path) -> Result<u32, Error> {
        let others = INSIDE.fetch_add(1, Ordering::SeqCst);
        std::thread::yield_now();
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        Ok(others)
    }
    let (_directory, path) = place();
    let lock = Lock::open(&path).expect("a lock");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(enter(&path).expect("in time"), 0);
                    let _guard = lock.lock().expect("in time");
                    assert_eq!(INSIDE.load(Ordering::SeqCst), 0);
                }
            });
        }
    });
}

#[test]
fn a_time_out_and_an_attempt_return_the_error_of_the_lock() {
    #[locked(path, timeout = "5ms")]
    fn short(path: &Path) -> io::Result<()> {
        unreachable!("the lock is held")
    }
    #[write_locked(path, timeout = limit)]
    fn limited(path: &Path, limit: Duration) -> Result<(), Error> {
        unreachable!("the lock is held")
    }
    #[locked(path, try)]
    fn once(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        unreachable!("the lock is held")
    }
    let (_directory, path) = place();
    let guard = Lock::open(&path)
        .and_then(|lock| lock.lock())
        .expect("free");
    let error = short(&path).expect_err("held");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let error = limited(&path, Duration::from_millis(5)).expect_err("held");
    assert!(error.is_timed_out(), "{error}");
    let error = once(&path).expect_err("held");
    let error = error.downcast_ref::<Error>().expect("of the lock");
    assert!(error.is_contended(), "{error}");
    drop(guard);
}

#[test]
fn a_call_of_itself_is_a_deadlock_and_not_a_hang() {
    #[locked(path)]
    fn recurse(path: &Path, depth: u32) -> Result<(), Error> {
        if depth == 0 {
            return Ok(());
        }
        recurse(path, depth - 1)
    }
    #[locked(name = "lockfast-test-recursion")]
    fn recurse_in_a_handle(depth: u32) {
        if depth > 0 {
            recurse_in_a_handle(depth - 1);
        }
    }
    let (_directory, path) = place();
    recurse(&path, 0).expect("no recursion");
    let error = recurse(&path, 1).expect_err("it would wait for itself");
    assert!(error.is_deadlock(), "{error}");

    recurse_in_a_handle(0);
    let panic = catch_unwind(|| recurse_in_a_handle(1)).expect_err("it would wait for itself");
    let text = text_of(&*panic);
    assert!(
        text.contains("`locked::recurse_in_a_handle` can't run under its lock: cannot take lock"),
        "{text}"
    );
    recurse_in_a_handle(0);
}

#[test]
fn a_function_without_a_result_panics_with_the_error() {
    #[locked(path)]
    fn number(path: &Path) -> u32 {
        unreachable!("there is no lock")
    }
    let (directory, _) = place();
    let panic = catch_unwind(|| number(directory.path())).expect_err("a directory is no lock");
    let text = text_of(&*panic);
    let path = directory.path().to_str().expect("a plain path");
    assert!(text.contains("number") && text.contains(path), "{text}");
}

#[test]
fn an_async_function_holds_the_lock_until_it_is_done() {
    /// A future that is pending once.
    struct Pause(bool);

    impl Future for Pause {
        type Output = ();

        fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    #[locked(path, try)]
    async fn step(path: &Path, add: u32) -> lockfast::Result<u32> {
        Pause(false).await;
        Ok(add + 1)
    }

    fn is_send<T: Send>(it: T) -> T {
        it
    }

    let (_directory, path) = place();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut future = pin!(is_send(step(&path, 1)));
        assert!(!is_held(&path));
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(is_held(&path));
        let Poll::Ready(done) = future.as_mut().poll(&mut context) else {
            panic!("it is not done");
        };
        assert_eq!(done.expect("free"), 2);
        assert!(!is_held(&path));
    }
    {
        let mut dropped = Box::pin(step(&path, 1));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
    }
    assert!(!is_held(&path));
}

#[test]
fn an_async_function_waits_as_a_task() {
    #[locked(path)]
    async fn forever(path: &Path) {}

    #[locked(path, timeout = "1h")]
    async fn limited(path: &Path) -> lockfast::Result<()> {
        Ok(())
    }

    #[locked(path, timeout = Duration::from_millis(1))]
    async fn too_long(path: &Path) -> lockfast::Result<()> {
        Ok(())
    }

    #[lockfast::read_locked(path)]
    async fn reads(path: &Path) {}

    #[lockfast::write_locked(path, timeout = "1h")]
    async fn writes(path: &Path) -> lockfast::Result<()> {
        Ok(())
    }

    async fn of<T>(done: impl Future<Output = lockfast::Result<T>>) {
        done.await.expect("released");
    }

    let (_directory, path) = place();
    let mut context = Context::from_waker(Waker::noop());
    let waits: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = vec![
        Box::pin(forever(&path)),
        Box::pin(of(limited(&path))),
        Box::pin(reads(&path)),
        Box::pin(of(writes(&path))),
    ];
    for mut wait in waits {
        let held = Lock::open(&path).expect("opened").lock().expect("free");
        assert!(wait.as_mut().poll(&mut context).is_pending());
        let timed_out = block_on(too_long(&path)).expect_err("it is held");
        assert!(timed_out.is_timed_out(), "{timed_out}");
        drop(held);
        block_on(wait);
        assert!(!is_held(&path));
    }
}

/// Only the first waiter of a handle is in the kernel's queue; the others wait for it.
#[test]
fn each_task_whose_time_is_over_names_the_holder() {
    #[locked(lock = lock, timeout = "1h")]
    async fn patient(lock: &Lock) -> lockfast::Result<()> {
        Ok(())
    }
    #[locked(lock = lock, timeout = Duration::from_millis(20))]
    async fn too_long(lock: &Lock) -> lockfast::Result<()> {
        Ok(())
    }
    let (_directory, path) = place();
    let held = Lock::open(&path).expect("opened").lock().expect("free");
    let lock = Lock::open(&path).expect("opened");
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(patient(&lock));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let timed_out = [
        block_on(too_long(&lock)).expect_err("it is held"),
        lock.try_lock_for(Duration::from_millis(20))
            .expect_err("it is held"),
    ];
    for timed_out in timed_out {
        assert!(timed_out.is_timed_out(), "{timed_out}");
        #[cfg(target_os = "linux")]
        {
            let holder = timed_out.holder().expect("it is known");
            assert_eq!(holder.pid(), Some(std::process::id()), "{timed_out}");
        }
    }
    drop(held);
    block_on(first).expect("it is free");
}

/// Polls a future to its end, each time it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Store<T> {
    lock: Arc<Lock>,
    entries: Vec<T>,
}

impl<T> Store<T> {
    #[locked(lock = self.lock)]
    fn add<'a, D>(&'a mut self, entry: T, note: &'a D) -> &'a T
    where
        D: Display + ?Sized,
    {
        assert!(is_held(self.lock.path()), "{note}");
        self.entries.push(entry);
        self.entries.last().expect("just pushed")
    }

    #[locked(lock = self.lock, try)]
    fn into_entries(self) -> lockfast::Result<Vec<T>> {
        Ok(self.entries)
    }

    /// An associated function.
    #[inline]
    #[must_use]
    #[locked(path)]
    pub(crate) fn made_under(path: &Path) -> Self {
        Self {
            lock: Arc::new(Lock::open(path).expect("a lock")),
            entries: Vec::new(),
        }
    }
}

trait Visit {
    fn visit(&self, path: &Path) -> impl Iterator<Item = bool>;

    #[locked(path)]
    fn visit_provided(&self, path: &Path) -> Box<dyn Iterator<Item = bool>> {
        if is_held(path) {
            Box::new(std::iter::once(true))
        } else {
            Box::new(std::iter::empty())
        }
    }
}

impl Visit for () {
    #[locked(path)]
    fn visit(&self, path: &Path) -> impl Iterator<Item = bool> {
        std::iter::once(is_held(path))
    }
}

#[test]
fn methods_generics_and_traits_keep_their_types() {
    let (_directory, path) = place();
    let mut store = Store::made_under(&path);
    assert_eq!(*store.add(5, "a note"), 5);
    assert_eq!(store.into_entries().expect("free"), [5]);
    assert!(().visit(&path).all(|held| held));
    assert_eq!(().visit_provided(&path).count(), 1);
}

#[test]
fn signatures_of_all_sorts() {
    #[locked(path)]
    unsafe fn dangerous(path: &Path) -> bool {
        is_held(path)
    }
    #[locked(name = "lockfast-test-extern")]
    extern "C" fn called_from_c(number: u32) -> u32 {
        number + 1
    }
    #[locked(path)]
    fn diverges(path: &Path) -> ! {
        panic!("{}", is_held(path))
    }
    #[locked(path)]
    fn returns_in_all_branches(path: &Path, mut flag: bool) -> bool {
        loop {
            if flag {
                return flag;
            }
            flag |= is_held(path);
        }
    }
    #[locked(path)]
    fn r#match(path: &Path, #[cfg(any())] absent: u32, #[expect(unused)] unused: u32) -> bool {
        is_held(path)
    }
    #[rustfmt::skip]
    #[locked(path)]
    fn in_one_line(path: &Path) -> bool { is_held(path) }
    // The attribute's own variables do not clash with those of the function.
    #[locked(path, timeout = timeout)]
    fn same_names(path: &Path, timeout: Duration, guard: u32, lock: u32) -> io::Result<u32> {
        let value = guard + lock;
        Ok(value + u32::from(timeout.is_zero()))
    }

    let (_directory, path) = place();
    #[allow(unsafe_code, reason = "the attribute keeps the word")]
    // SAFETY: it does nothing dangerous.
    let held = unsafe { dangerous(&path) };
    assert!(held);
    assert_eq!(called_from_c(1), 2);
    let panic = catch_unwind(|| diverges(&path)).expect_err("it panics");
    assert_eq!(text_of(&*panic), "true");
    assert!(returns_in_all_branches(&path, false));
    assert!(r#match(&path, 1));
    assert!(in_one_line(&path));
    assert_eq!(same_names(&path, Duration::ZERO, 1, 2).expect("free"), 4);
}

#[test]
fn the_library_may_have_another_name() {
    mod renamed {
        pub(crate) use lockfast as locks;
    }
    #[locked(path, crate = renamed::locks)]
    fn held(path: &Path) -> bool {
        is_held(path)
    }
    let (_directory, path) = place();
    assert!(held(&path));
}
