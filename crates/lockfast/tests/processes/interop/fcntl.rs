//! [`Protocol::Fcntl`](lockfast::Protocol::Fcntl), the default, and the programs that take record
//! locks.

use libtest_mimic::Trial;

use super::encounter;
use super::peer::{CLASSIC, CLASSIC_FIRST_BYTE, FASTENERS, FASTENERS_READER_WRITER, JAVA, LOCKF};

pub(crate) fn trials() -> Vec<Trial> {
    let peers = [
        LOCKF,
        FASTENERS,
        FASTENERS_READER_WRITER,
        JAVA,
        CLASSIC,
        CLASSIC_FIRST_BYTE,
    ];
    encounter::trials("fcntl", "fcntl", &peers)
}
