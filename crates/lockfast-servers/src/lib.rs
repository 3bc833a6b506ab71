//! Real servers for the tests of the engines.
//!
//! [`etcd::Server`] and [`postgres::Server`] start a server on a free port of the loopback interface, with its data
//! in a temporary directory. Dropping it stops the server. If the test program dies, the kernel stops it.
//!
//! `cargo xtask setup` installs the servers. A test asks for what it needs beforehand, and is skipped without it:
//!
//! ```ignore
//! if let Err(reason) = etcd::Release::Debian.find() {
//!     skip!("{reason}");
//! }
//! let server = etcd::Server::start();
//! ```
#![cfg(target_os = "linux")]

pub mod checkers;
pub mod etcd;
pub mod network;
pub mod pgbouncer;
mod ports;
pub mod postgres;
mod process;
pub mod proxy;
mod python;
pub mod tls;
mod wall_clock;

pub use process::{Process, within};
pub use wall_clock::WallClock;
