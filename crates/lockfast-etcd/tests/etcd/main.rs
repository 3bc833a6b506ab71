//! Locks on a real server of etcd, of each release that is installed.

#![cfg(target_os = "linux")]

mod conformance;
mod data;
mod faults;
mod input;
mod prefix;
mod shared;
