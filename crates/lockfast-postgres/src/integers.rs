//! Numbers on their way to the server, which has only signed ones: the bits stay.

pub(crate) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

pub(crate) fn signed_count(count: u32) -> i32 {
    i32::from_ne_bytes(count.to_ne_bytes())
}

pub(crate) fn unsigned_count(count: i32) -> u32 {
    u32::from_ne_bytes(count.to_ne_bytes())
}
