//! The socket of a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lockfast_lease::socket::{self, Limits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::Host;

use crate::address::Address;
use crate::failure::Failure;

/// The time for which a thread waits by itself. The client's thread does the rest of a longer wait, and so do the
/// program's signals and tokens, which this does not notice.
const WAITS: Duration = Duration::from_millis(2);

/// A socket. Closed when it is dropped.
pub(crate) struct Wire(Arc<Shared>);

struct Shared {
    socket: TcpStream,
    /// A thread found that there is something to read. The client's thread may not know yet.
    is_readable: AtomicBool,
}

/// A thread's view of a socket.
pub(crate) struct Ear(Weak<Shared>);

impl Wire {
    /// Returns the name of the host for which a thread can wait by itself.
    pub(crate) fn host(address: &Address) -> Option<(&str, u16)> {
        let config = &address.config;
        match (config.get_hosts(), config.get_ports()) {
            ([Host::Tcp(host)], [port]) if socket::CAN_WAIT => Some((host, *port)),
            _ => None,
        }
    }

    /// Connects to that host.
    pub(crate) async fn connect(host: (&str, u16), address: &Address) -> Result<Self, Failure> {
        let socket = TcpStream::connect(host).await.map_err(Failure::Connect)?;
        let config = &address.config;
        let limits = Limits {
            silence: address.ttl,
            idle: config.get_keepalives_idle(),
            interval: config.get_keepalives_interval().unwrap_or(address.ttl),
            probes: config.get_keepalives_retries().unwrap_or(1),
        };
        socket::set_limits(&socket, limits).map_err(Failure::Connect)?;
        let is_readable = AtomicBool::new(false);
        Ok(Self(Arc::new(Shared {
            socket,
            is_readable,
        })))
    }

    /// The address of the server.
    pub(crate) fn server(&self) -> Result<SocketAddr, Failure> {
        self.0.socket.peer_addr().map_err(Failure::Connect)
    }

    pub(crate) fn ear(&self) -> Ear {
        Ear(Arc::downgrade(&self.0))
    }
}

impl Ear {
    /// Blocks for a moment, until there is something to read. Whether there is.
    pub(crate) fn wait(&self) -> bool {
        let Some(shared) = self.0.upgrade() else {
            return false;
        };
        let is_readable = socket::wait_readable(&shared.socket, WAITS);
        if is_readable {
            shared.is_readable.store(true, Ordering::Relaxed);
        }
        is_readable
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Shared {
            socket,
            is_readable,
        } = &*self.0;
        let is_would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let mut read = is_readable
            .swap(false, Ordering::Relaxed)
            .then(|| socket::receive(socket, buffer.initialize_unfilled()));
        loop {
            match read {
                Some(Ok(read)) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) if !is_would_block(&error) => return Poll::Ready(Err(error)),
                _ => {}
            }
            ready!(socket.poll_read_ready(context))?;
            read = Some(socket.try_read(buffer.initialize_unfilled()));
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &self.0.socket;
        loop {
            ready!(socket.poll_write_ready(context))?;
            match socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is dropped next.
        Poll::Ready(Ok(()))
    }
}
