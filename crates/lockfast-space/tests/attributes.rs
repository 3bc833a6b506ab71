//! Functions that run under a lock of a space.

#![cfg(not(lockfast_unsupported))]

use std::sync::LazyLock;
use std::time::Duration;

use lockfast::engine::Engine;
use lockfast::{Result, locked, read_locked, write_locked};
use lockfast_space::{Lock, RwLock, Space};
use tempfile::TempDir;

/// A program opens its space and its handles once.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
static SPACE: LazyLock<Space> = LazyLock::new(|| {
    let path = DIRECTORY.path().display().to_string().replace('\\', "/");
    Space::open(&format!("file:///{}", path.trim_start_matches('/'))).expect("a space")
});
static NIGHTLY: LazyLock<Lock> = LazyLock::new(|| SPACE.lock("nightly").expect("a name"));
static CACHE: LazyLock<RwLock> = LazyLock::new(|| SPACE.rwlock("cache").expect("a name"));

fn is_held(name: &str) -> bool {
    SPACE.rwlock(name).expect("a name").try_write().is_err()
}

fn is_held_alone(name: &str) -> bool {
    SPACE.rwlock(name).expect("a name").try_read().is_err()
}

#[test]
fn a_handle_may_be_shared_by_all_calls() {
    #[locked(lock = NIGHTLY)]
    fn forever() -> bool {
        is_held("nightly")
    }
    #[locked(lock = NIGHTLY, timeout = "1m")]
    fn limited() -> Result<bool> {
        Ok(is_held("nightly"))
    }
    assert!(forever());
    assert!(limited().expect("free"));
    assert!(!is_held("nightly"));
}

#[test]
fn a_name_may_be_opened_by_each_call() {
    #[locked(lock = SPACE.lock(name)?, try)]
    fn once(name: &str) -> Result<bool> {
        Ok(is_held(name))
    }
    assert!(once("a").expect("free"));
    let held = SPACE.lock("a").expect("a name").lock().expect("free");
    assert!(once("a").expect_err("held").is_contended());
    assert!(once("b").expect("free"));
    assert!(once("a/b").expect_err("no name").is_invalid_path());
    drop(held);
}

#[test]
fn a_time_out_is_the_error_of_the_lock() {
    #[locked(lock = SPACE.lock("limited")?, timeout = Duration::from_millis(5))]
    fn limited() -> Result<()> {
        unreachable!("the lock is held")
    }
    let _held = SPACE.lock("limited").expect("a name").lock().expect("free");
    let error = limited().expect_err("held");
    assert!(error.is_timed_out(), "{error}");
}

#[test]
fn readers_run_together_and_writers_alone() {
    #[read_locked(lock = CACHE)]
    fn read() -> (bool, bool) {
        (is_held("cache"), is_held_alone("cache"))
    }
    #[write_locked(lock = SPACE.rwlock("cache")?, timeout = "1m")]
    fn write() -> Result<(bool, bool)> {
        Ok((is_held("cache"), is_held_alone("cache")))
    }
    assert_eq!(read(), (true, false));
    assert_eq!(write().expect("free"), (true, true));
    assert!(!is_held("cache"));
}

#[test]
fn tasks_wait_for_it() {
    #[locked(lock = SPACE.lock("task")?)]
    async fn forever() -> Result<bool> {
        smol::future::yield_now().await;
        Ok(is_held("task"))
    }
    #[locked(lock = SPACE.lock("task")?, timeout = "1m")]
    async fn limited() -> Result<bool> {
        Ok(is_held("task"))
    }
    #[locked(lock = SPACE.lock("task")?, try)]
    async fn once() -> Result<bool> {
        Ok(is_held("task"))
    }
    #[read_locked(lock = CACHE)]
    async fn read() -> bool {
        is_held("cache")
    }
    #[write_locked(lock = CACHE, timeout = "1m")]
    async fn write() -> Result<bool> {
        Ok(is_held("cache"))
    }
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    smol::block_on(is_send(async {
        assert!(forever().await.expect("free"));
        assert!(limited().await.expect("free"));
        assert!(once().await.expect("free"));
        assert!(read().await);
        assert!(write().await.expect("free"));
    }));
    assert!(!is_held("task"));
}

#[test]
fn locks_of_every_engine_are_accepted() {
    struct Store<E: Engine> {
        lock: lockfast::Lock<E>,
        cache: lockfast::RwLock<E>,
    }

    impl<E: Engine> Store<E> {
        #[locked(lock = self.lock, timeout = "1m")]
        fn change(&self) -> Result<bool> {
            Ok(self.lock.try_lock().is_err())
        }

        #[read_locked(lock = self.cache)]
        async fn look(&self) -> bool {
            self.cache.try_read().is_ok() && self.cache.try_write().is_err()
        }
    }

    let (lock, cache) = (SPACE.lock("one"), SPACE.rwlock("other"));
    let store = Store {
        lock: lock.expect("a name"),
        cache: cache.expect("a name"),
    };
    assert!(store.change().expect("free"));
    assert!(smol::block_on(store.look()));
}
