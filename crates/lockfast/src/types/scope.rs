//! The processes that share a lock of a name.

/// With whom a lock that has a name is shared: see [`Options::scope`](crate::Options::scope).
///
/// # Examples
///
/// ```
/// assert_eq!(lockfast::Scope::default(), lockfast::Scope::User);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The processes of one user.
    ///
    /// The file is in a directory that belongs to the user and that nobody else can enter:
    ///
    /// * `/run/lock/lockfast-UID`, where users may create files in `/run/lock` and can't remove those
    ///   of others (Debian, Ubuntu; for root everywhere on Linux);
    /// * else `/var/tmp/lockfast-UID`, if `/var/tmp` belongs to root and has a sticky bit.
    ///
    /// Which of the two it is depends on the system alone: not on the session, nor on any variable
    /// (`XDG_RUNTIME_DIR`, `TMPDIR`, `HOME`), nor on what stands there. So a login session, a cron job, a
    /// service and a job that outlives its logout have the same lock. If that one directory can't be
    /// used, or belongs to somebody else, that is an error and no other place is tried; so is a
    /// `/var/tmp` that systemd made for one service (`PrivateTmp=`).
    ///
    /// The processes of a container that has a `/run/lock` or `/var/tmp` of its own have locks of their
    /// own.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows it is `AppData\Local\lockfast` in the user's profile, whatever the environment says,
    /// and the same in all sessions of the user. Administrators and the system can enter it too.
    #[default]
    User,
    /// All processes of the machine, whoever runs them.
    ///
    /// The file is `lockfast-NAME.lock` in `/run/lock` (`/var/lock` on older systems), with mode
    /// `0o666`. **Any user can hold such a lock for ever**, and the user who created the file can
    /// remove it while somebody holds it. A service can create it as root when the system starts
    /// (with systemd, `f /run/lock/lockfast-NAME.lock 0666 root root` in `tmpfiles.d`); where
    /// `/run/lock` is root's alone, that is the only way.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows the file is in `C:\ProgramData` (wherever the system has that), where every user may
    /// create files and none remove those of others. Everybody may lock it; the user who created it can
    /// remove it.
    ///
    /// Where there is no such directory (on most systems other than Linux), that is an error with
    /// [`is_unsupported`](crate::Error::is_unsupported).
    Machine,
}
