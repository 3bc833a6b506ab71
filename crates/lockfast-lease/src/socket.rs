//! A socket that a thread waits for by itself, without the thread of the [runtime](crate::runtime).
//!
//! A wake-up of another thread takes longer than the answer of a server on a quiet machine.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::sys::socket as sys;

/// Whether this platform has it. Without it, nothing else in this module is of use.
pub const CAN_WAIT: bool = sys::CAN_WAIT;

/// The limits of a connection whose other side is silent.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time after which sent data must be acknowledged.
    pub silence: Duration,
    /// The time after which a silent connection is probed, in whole seconds.
    pub idle: Duration,
    /// The time between two probes, in whole seconds.
    pub interval: Duration,
    /// The number of probes without an answer that end the connection.
    pub probes: u32,
}

/// Sets the limits, and sends each request at once.
///
/// # Errors
///
/// If the system refuses one of them.
pub fn set_limits(socket: &TcpStream, limits: Limits) -> io::Result<()> {
    sys::set_limits(socket, limits)
}

/// Waits until the socket has something to read or has ended. False at the limit, and at a signal.
#[must_use]
pub fn wait_readable(socket: &TcpStream, limit: Duration) -> bool {
    sys::wait_readable(socket, limit)
}

/// Receives what is there, whether or not the runtime knows of it.
///
/// # Errors
///
/// `WouldBlock` if there is nothing.
pub fn receive(socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    sys::receive(socket, bytes)
}
