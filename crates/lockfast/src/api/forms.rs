//! The forms of waiting, which are the same for each way to hold a lock.

/// Defines the forms of one way to hold a lock: without an end, without waiting, for a time, until an instant,
/// and as a task.
///
/// `what` is passed to `take` and `take_async` of the type. In the examples `open` opens a lock, `call` is the
/// receiver of a call, `all` and `first` are its arguments alone and before another one, and `hold` keeps others
/// out.
macro_rules! wait_forms {
    (
        $guard:ident, $what:expr, ($($count:ident: u32)?);
        examples: $open:literal, $call:literal, $all:literal, $first:literal, $hold:literal;
        $(#[$docs:meta])*
        $take:ident;
        $(#[$try_docs:meta])*
        $try_take:ident;
        $(#[$for_docs:meta])*
        $try_take_for:ident, $try_take_until:ident;
        $(#[$async_docs:meta])*
        $take_async:ident, $take_async_for:ident, $take_async_until:ident;
    ) => {
        $(#[$docs])*
        #[inline]
        pub fn $take(&self $(, $count: u32)?) -> Result<$guard<E>> {
            self.take($what, WaitLimit::Forever).map($guard::from_raw)
        }

        $(#[$try_docs])*
        ///
        /// # Errors
        ///
        /// With [`is_contended`](crate::Error::is_contended) when it would have to wait; otherwise as
        #[doc = concat!("[`", stringify!($take), "`](Self::", stringify!($take), ").")]
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        #[doc = $open]
        #[doc = concat!("let held = ", $hold, "?;")]
        #[doc = concat!(
            "assert!(", $call, ".", stringify!($try_take), "(", $all, ").unwrap_err().is_contended());"
        )]
        /// # drop(held);
        /// # Ok(())
        /// # }
        /// ```
        pub fn $try_take(&self $(, $count: u32)?) -> Result<$guard<E>> {
            self.take($what, WaitLimit::None).map($guard::from_raw)
        }

        #[doc = concat!(
            "As [`", stringify!($take), "`](Self::", stringify!($take), "), waiting for at most that long."
        )]
        ///
        /// The deadline is met within about a millisecond. A wait that timed out leaves nothing behind: no
        /// thread and no place in a queue.
        ///
        $(#[$for_docs])*
        ///
        /// # Errors
        ///
        /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
        #[doc = concat!("[`", stringify!($take), "`](Self::", stringify!($take), ").")]
        /// One attempt is made even if the time is zero.
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// use std::time::Duration;
        ///
        #[doc = $open]
        #[doc = concat!("let held = ", $hold, "?;")]
        /// let time = Duration::from_millis(5);
        #[doc = concat!(
            "let error = ", $call, ".", stringify!($try_take_for), "(", $first, "time).unwrap_err();"
        )]
        /// assert!(error.is_timed_out());
        /// # drop(held);
        /// # Ok(())
        /// # }
        /// ```
        pub fn $try_take_for(&self, $($count: u32,)? timeout: Duration) -> Result<$guard<E>> {
            self.take($what, WaitLimit::lasting(timeout)).map($guard::from_raw)
        }

        #[doc = concat!(
            "As [`", stringify!($try_take_for), "`](Self::", stringify!($try_take_for),
            "), until that instant at most."
        )]
        ///
        /// # Errors
        ///
        #[doc = concat!(
            "As [`", stringify!($try_take_for), "`](Self::", stringify!($try_take_for), ")."
        )]
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// use std::time::{Duration, Instant};
        ///
        #[doc = $open]
        /// let deadline = Instant::now() + Duration::from_secs(10);
        #[doc = concat!(
            "let guard = ", $call, ".", stringify!($try_take_until), "(", $first, "deadline)?;"
        )]
        /// # drop(guard);
        /// # Ok(())
        /// # }
        /// ```
        pub fn $try_take_until(&self, $($count: u32,)? deadline: Instant) -> Result<$guard<E>> {
            self.take($what, WaitLimit::Until(deadline)).map($guard::from_raw)
        }

        #[doc = concat!(
            "As [`", stringify!($take), "`](Self::", stringify!($take),
            "), as a task, without blocking the thread that polls."
        )]
        ///
        $(#[$async_docs])*
        ///
        /// # Cancellation
        ///
        /// Dropping the future ends the wait: after the drop no thread waits, no place in a queue is taken
        /// and nothing is held. The drop takes some ten microseconds if a helper thread waits.
        ///
        /// # Errors
        ///
        #[doc = concat!("As [`", stringify!($take), "`](Self::", stringify!($take), "),")]
        /// but a task that waits for itself is not noticed, because any thread may poll it. Also when the
        /// system has no thread for the wait.
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// # smol::block_on(async {
        #[doc = $open]
        #[doc = concat!(
            "let guard = ", $call, ".", stringify!($take_async), "(", $all, ").await?;"
        )]
        /// # drop(guard);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn $take_async(
            &self $(, $count: u32)?
        ) -> impl Future<Output = Result<$guard<E>>> + Send + use<E> {
            let taken = self.take_async($what, WaitLimit::Forever);
            async move { taken.await.map($guard::from_raw) }
        }

        #[doc = concat!(
            "As [`", stringify!($take_async), "`](Self::", stringify!($take_async),
            "), waiting for at most that long."
        )]
        ///
        /// The time begins now, not with the first poll. A wait has a helper thread for as long as it lasts.
        ///
        /// # Cancellation
        ///
        #[doc = concat!(
            "As [`", stringify!($take_async), "`](Self::", stringify!($take_async), ")."
        )]
        ///
        /// # Errors
        ///
        /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
        #[doc = concat!("[`", stringify!($take_async), "`](Self::", stringify!($take_async), ").")]
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// # smol::block_on(async {
        /// use std::time::Duration;
        ///
        #[doc = $open]
        #[doc = concat!("let held = ", $hold, "?;")]
        /// let time = Duration::from_millis(5);
        #[doc = concat!(
            "let error = ", $call, ".", stringify!($take_async_for), "(", $first,
            "time).await.unwrap_err();"
        )]
        /// assert!(error.is_timed_out());
        /// # drop(held);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn $take_async_for(
            &self, $($count: u32,)? timeout: Duration
        ) -> impl Future<Output = Result<$guard<E>>> + Send + use<E> {
            let taken = self.take_async($what, WaitLimit::lasting(timeout));
            async move { taken.await.map($guard::from_raw) }
        }

        #[doc = concat!(
            "As [`", stringify!($take_async_for), "`](Self::", stringify!($take_async_for),
            "), until that instant at most."
        )]
        ///
        /// # Cancellation
        ///
        #[doc = concat!(
            "As [`", stringify!($take_async), "`](Self::", stringify!($take_async), ")."
        )]
        ///
        /// # Errors
        ///
        #[doc = concat!(
            "As [`", stringify!($take_async_for), "`](Self::", stringify!($take_async_for), ")."
        )]
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// # smol::block_on(async {
        /// use std::time::{Duration, Instant};
        ///
        #[doc = $open]
        /// let deadline = Instant::now() + Duration::from_secs(10);
        #[doc = concat!(
            "let guard = ", $call, ".", stringify!($take_async_until), "(", $first, "deadline).await?;"
        )]
        /// # drop(guard);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn $take_async_until(
            &self, $($count: u32,)? deadline: Instant
        ) -> impl Future<Output = Result<$guard<E>>> + Send + use<E> {
            let taken = self.take_async($what, WaitLimit::Until(deadline));
            async move { taken.await.map($guard::from_raw) }
        }
    };
}

pub(crate) use wait_forms;
