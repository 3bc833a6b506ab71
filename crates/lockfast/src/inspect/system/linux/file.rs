//! The file that a report is for.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::mounts::Mounts;
use super::scan;
use crate::inspect::snapshot::FileKey;
use crate::sys::FileId;

/// The file that a report is for.
#[derive(Debug)]
pub(super) struct InspectedFile {
    pub(super) id: FileId,
    pub(super) key: FileKey,
    pub(super) is_remote: bool,
    /// Its metadata, and an `O_PATH` descriptor that keeps it.
    pub(super) metadata: Metadata,
    pub(super) file: File,
}

impl InspectedFile {
    /// Finds the file by a descriptor that opens nothing: no device and no watch notices, and its close
    /// releases no lock of this process.
    pub(super) fn find(path: &Path, mounts: &mut Mounts) -> io::Result<Self> {
        // With musl, the standard library takes `O_PATH` for an access mode and drops it.
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let file = File::from(file);
        let metadata = file.metadata()?;
        let id = FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            upper: 0,
        };
        Ok(Self {
            id,
            key: mounts.key(
                id,
                scan::numbers_of(&file).map_err(scan::without_proc)?,
                None,
            ),
            is_remote: crate::sys::FsTraits::of(&file).is_remote,
            metadata,
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::system::linux::reading::TableReader;
    use crate::sys::{self, Access, Range};

    #[test]
    fn a_file_is_named_as_the_table_of_locks_names_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let target = InspectedFile::find(file.path(), &mut Mounts::default()).expect("it is there");
        let whole = sys::Target::Bytes(Range { start: 0, len: 0 });
        let granted = sys::lock::try_lock(file.as_file(), Access::Exclusive, whole);
        assert!(granted.expect("no error"), "it is free");
        let mut reader = TableReader::open().expect("a table");
        let table = reader.table(Some(target.key)).expect("it can be read");
        assert_eq!(table.lines.len(), 1, "{target:?}");
    }
}
