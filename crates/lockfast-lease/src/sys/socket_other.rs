//! A socket for which no thread waits by itself.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::socket::Limits;

pub(crate) const CAN_WAIT: bool = false;

pub(crate) fn set_limits(_: &TcpStream, _: Limits) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn wait_readable(_: &TcpStream, _: Duration) -> bool {
    false
}

pub(crate) fn receive(_: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}
