//! Virtual machines that share a directory.

mod image;
mod machine;
mod nfs;
mod scenes;
mod smb;

pub(super) use nfs::run as nfs;
pub(super) use smb::run as smb;
