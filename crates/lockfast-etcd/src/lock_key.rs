//! The key of a held lock, for data in the same cluster.

use std::fmt::Write;

use lockfast::engine::{Engine, RawLock};
use lockfast::{
    LockGuard, MemberGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};

use crate::lock::EtcdHold;

/// The key of a held lock, with the revision that created it.
///
/// It is the fence of data in the same cluster. etcd deletes the key when the lock is lost, and each hold has a new
/// one. So a transaction that compares the `create_revision` of the key writes only while the lock is held. etcd
/// decides at the moment of the write, and a writer that was stopped comes too late.
///
/// # Examples
///
/// See [`OnEtcd::etcd_key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockKey {
    /// The key, with the prefix of the URL.
    pub key: Vec<u8>,
    /// The revision that created it, which is the fencing token.
    pub create_revision: i64,
}

/// Guards whose lock may be a key on etcd.
pub trait OnEtcd {
    /// Returns the key of the lock; `None` for a lock that is not on etcd, and for permits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> lockfast::Result<()> {
    /// use lockfast::Lock;
    /// use lockfast_etcd::{Client, Etcd, OnEtcd};
    ///
    /// let client = Client::open("etcd://127.0.0.1:2379/jobs")?;
    /// let lock: Lock<Etcd> = Lock::from_raw(client.lock("balance")?);
    /// let guard = lock.lock()?;
    /// let key = guard.etcd_key().expect("the lock is on etcd");
    /// // The input of `etcdctl txn`: it prints FAILURE once the lock is lost.
    /// print!("{}\n\nput balance 200\n\n\n", key.comparison());
    /// # Ok(())
    /// # }
    /// ```
    fn etcd_key(&self) -> Option<LockKey>;
}

impl LockKey {
    /// Returns the comparison in the words of `etcdctl txn`: `create("jobs/v1/nightly/q/x/6f0c…") = "4711"`.
    pub fn comparison(&self) -> String {
        let mut text = String::from("create(\"");
        for &byte in &self.key {
            // Between quotes as Go reads them.
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                b' '..=b'~' => text.push(char::from(byte)),
                _ => write!(text, "\\x{byte:02x}").expect("a string has room"),
            }
        }
        write!(text, "\") = \"{}\"", self.create_revision).expect("a string has room");
        text
    }
}

impl OnEtcd for EtcdHold {
    fn etcd_key(&self) -> Option<LockKey> {
        Some(self.lock_key())
    }
}

macro_rules! on_etcd {
    ($($guard:ident),*) => {$(
        impl<E: Engine> OnEtcd for $guard<E>
        where
            <E::Lock as RawLock>::Hold: OnEtcd,
        {
            fn etcd_key(&self) -> Option<LockKey> {
                self.as_raw().etcd_key()
            }
        }
    )*};
}

on_etcd!(
    LockGuard,
    RwLockReadGuard,
    RwLockUpgradableReadGuard,
    RwLockWriteGuard
);

impl<E: Engine> OnEtcd for MemberGuard<E>
where
    <E::Lock as RawLock>::Hold: OnEtcd,
{
    fn etcd_key(&self) -> Option<LockKey> {
        match self {
            Self::Lock(guard) => guard.etcd_key(),
            Self::Read(guard) => guard.etcd_key(),
            Self::Upgradable(guard) => guard.etcd_key(),
            Self::Write(guard) => guard.etcd_key(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_quoted_as_go_reads_it() {
        let comparison = |key: &str| {
            let key = key.as_bytes().to_vec();
            let create_revision = 4711;
            LockKey {
                key,
                create_revision,
            }
            .comparison()
        };
        assert_eq!(comparison("jobs/a%20b"), r#"create("jobs/a%20b") = "4711""#);
        assert_eq!(comparison("a'b"), r#"create("a'b") = "4711""#);
        assert_eq!(
            comparison("a\"\\ü\n"),
            r#"create("a\"\\\xc3\xbc\x0a") = "4711""#
        );
    }
}
