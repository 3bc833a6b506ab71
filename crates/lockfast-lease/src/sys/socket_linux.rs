//! A socket that a thread waits for, on Linux.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv, sockopt};
use tokio::net::TcpStream;

use crate::socket::Limits;

pub(crate) const CAN_WAIT: bool = true;

pub(crate) fn set_limits(socket: &TcpStream, limits: Limits) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let millis = u32::try_from(limits.silence.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, millis)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, limits.idle)?;
    sockopt::set_tcp_keepintvl(socket, limits.interval)?;
    sockopt::set_tcp_keepcnt(socket, limits.probes)?;
    Ok(())
}

pub(crate) fn wait_readable(socket: &TcpStream, limit: Duration) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    let limit = Timespec::try_from(limit).ok();
    // An error is a signal: its receiver looks after it.
    poll(&mut fds, limit.as_ref()).is_ok_and(|ready| ready > 0)
}

pub(crate) fn receive(socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    let (received, _) = recv(socket, bytes, RecvFlags::DONTWAIT)?;
    Ok(received)
}
