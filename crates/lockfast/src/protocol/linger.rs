//! How one who keeps a lock that it does not use learns that others want it.
//!
//! With [`Options::linger`](crate::Options::linger) a process keeps the kernel's lock after a release,
//! idle, and takes it again without a system call. Who finds a lock held can't tell an idle holder
//! from one that is inside, so it has to say that it wants the lock, and a keeper has to listen.
//!
//! | bytes | name | meaning |
//! |---|---|---|
//! | `L = 2^62 + 2^61 + 2^60 + 2^57` | wanted | shared by those who wait beside a keeper |
//! | `[L + 1, L + 2 + 2^42)` | signs | shared, all of them, by each keeper |
//! | one of `[L + 2, L + 2 + 2^42)` | a sign | exclusive: the one whose it is waits |
//!
//! # Who waits
//!
//! Before it waits in the kernel, it locks its own sign. If that can be had, nobody keeps the lock,
//! and nobody can begin to before the sign is gone: one call, and it is released with the rest. If
//! not, there may be a keeper. Then it shares the wanted byte, and rings: it opens and closes the
//! file, which wakes those who watch it.
//!
//! # Who keeps
//!
//! It watches the file all the time. After a release it first shares all signs, and then looks whether
//! the wanted byte is taken. If either tells that somebody waits, it gives everything back to the
//! kernel. Else it keeps main bytes and signs until it is rung, or until its time is over; and whatever
//! it hears, it does not keep again for a while, so that the one who waits gets in.
//!
//! # Why nobody who waits is overheard
//!
//! A sign that is locked keeps everybody from sharing all of them. One that could not be locked is
//! followed by wanted byte and ring, in this order; and a keeper shares the signs and then looks for
//! the wanted byte. So if the look does not find the wanted byte, the ring comes later than the look,
//! and the watch hears it.
//!
//! A sign is found by the pid of its owner and the number of its descriptor. Two processes of
//! different pid namespaces may have the same: then the second one rings in vain.
//!
//! Programs that know nothing of this open the file when they want the lock, as a rule, and are heard.
//! But one that was heard may lose the race for the lock, and one that has opened the file long ago may
//! begin to wait at any time. So whoever keeps the lock looks into the kernel's table of locks now and then,
//! at least once a second, and gives it up when somebody waits.

use crate::sys::Range;

const WANTED: u64 = (1 << 62) + (1 << 61) + (1 << 60) + (1 << 57);
const SIGN_BITS: u32 = 42;
const DESCRIPTOR_BITS: u32 = 20;

/// Shared by those who wait beside a keeper.
pub(crate) fn wanted() -> Range {
    range(WANTED, 1)
}

/// All signs, which a keeper shares.
pub(crate) fn signs() -> Range {
    range(WANTED + 1, 1 + (1 << SIGN_BITS))
}

/// A byte among them that is nobody's sign: if it is locked, there is a keeper.
pub(crate) fn kept() -> Range {
    range(WANTED + 1, 1)
}

/// That of one who waits.
pub(crate) fn sign(pid: u32, descriptor: u32) -> Range {
    let number = (u64::from(pid) << DESCRIPTOR_BITS) | u64::from(descriptor);
    range(WANTED + 2 + (number & ((1 << SIGN_BITS) - 1)), 1)
}

/// Whose sign that is: the pid, in its namespace.
#[cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only that feature asks")
)]
pub(crate) fn owner_of_sign(sign: Range) -> Option<u32> {
    let number = sign.start.checked_sub(WANTED + 2)?;
    let is_sign = sign.len == 1 && number < 1 << SIGN_BITS;
    let pid = u32::try_from(number >> DESCRIPTOR_BITS).ok()?;
    (is_sign && pid > 0).then_some(pid)
}

/// Everything that this is about.
pub(crate) fn all() -> Range {
    range(WANTED, 2 + (1 << SIGN_BITS))
}

fn range(start: u64, len: u64) -> Range {
    Range { start, len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{permits, tickets};

    fn end(range: Range) -> u64 {
        range.start + range.len
    }

    #[test]
    fn signs_lie_among_the_signs_and_apart_from_all_else() {
        assert!(end(permits::presence(permits::MAX)) <= wanted().start);
        assert_eq!(end(wanted()), signs().start);
        for (pid, descriptor) in [
            (0, 0),
            (1, 3),
            ((1 << 22) - 1, (1 << 20) - 1),
            (u32::MAX, 7),
        ] {
            let sign = sign(pid, descriptor);
            assert!(sign.start > kept().start && end(sign) <= end(signs()));
        }
        assert_eq!(owner_of_sign(sign((1 << 22) - 1, 7)), Some((1 << 22) - 1));
        assert_eq!(owner_of_sign(sign(1, (1 << 20) - 1)), Some(1));
        for other in [kept(), wanted(), signs(), range(end(signs()), 1)] {
            assert_eq!(owner_of_sign(other), None);
        }
        assert_ne!(sign(1, 3), sign(1, 4));
        assert_ne!(sign(1, 3), sign(2, 3));
        assert_eq!(end(signs()), end(all()));
        assert!(end(all()) <= tickets::START);
    }
}
