//! The suite that every engine of lockfast passes, generic over a [`Place`] that opens the locks.
//!
//! ```ignore
//! mod in_memory {
//!     lockfast_conformance::suite!(super::Space::new());
//! }
//! ```

mod duties;
mod place;

pub use place::Place;

/// Defines a list of the duties as tests, and as values.
macro_rules! list {
    ($dollar:tt $($duty:ident),* $(,)?) => {
        $(
            #[doc = concat!("Checks the duty `", stringify!($duty), "`.")]
            ///
            /// # Panics
            ///
            /// If the engine does not meet it.
            pub fn $duty(place: &impl Place) {
                duties::$duty(place);
            }
        )*

        /// Returns all duties with their names, for tests that are made at run time.
        pub fn duties<P: Place>() -> Vec<(&'static str, fn(&P))> {
            vec![$((stringify!($duty), duties::$duty::<P>)),*]
        }

        /// Makes a test of each duty. The expression returns a new [`Place`], or leaves the test by `return`.
        #[macro_export]
        macro_rules! suite {
            ($dollar place:expr) => {
                $(#[test]
                fn $duty() {
                    $dollar crate::$duty(&$dollar place);
                })*
            };
        }
    };
}

list! { $
    threads_keep_each_other_out,
    tasks_keep_each_other_out,
    a_thread_waits_inside_a_task,
    readers_share_and_a_writer_is_alone,
    guards_are_converted_or_given_back,
    permits_are_counted_split_and_merged,
    timed_waits_end,
    a_token_ends_the_wait_of_a_thread,
    a_dropped_wait_leaves_nothing,
    a_release_wakes_the_waiter,
    waiters_get_in_in_the_order_of_their_arrival,
    a_wait_for_oneself_is_reported,
    several_locks_are_taken_together,
    tokens_grow_where_there_are_tokens,
    a_lost_lock_is_reported_by_its_guard,
    a_thread_takes_a_reentrant_lock_again,
}
