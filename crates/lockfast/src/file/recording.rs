//! The owner record of an open lock file, and who holds it.

use std::io;

use super::owner::{self, Entry};
use super::{CLOSED, LockFile};
use crate::protocol::plan::Part;
use crate::protocol::tag::Tag;
use crate::sys::{self, Access};
use crate::types::holder::Holder;

impl LockFile {
    /// The process that holds it, if the kernel or the owner record names it.
    pub(crate) fn holder(&self, access: Access) -> Option<Holder> {
        let (mut holder, mut tagged) = (None, None);
        if self.bytes && sys::lock::NAMES_BLOCKERS {
            let main = Part::Main.range(self.exclusive_len);
            let blocker = sys::lock::blocker(self, access, main)?;
            holder = Holder::of(blocker, sys::process::namespace());
            tagged = Tag::of(blocker).map(|tag| tag.pid);
        }
        let record = self.author.as_ref().and_then(|_| owner::holder(self));
        let Some(owner) = record else {
            return holder;
        };
        let is_its = match &holder {
            None => true,
            // The tag of another pid namespace has the pid of the record, which is of that namespace too.
            Some(holder) if holder.pid().is_none() => {
                tagged == Some(owner.pid()) && owner.is_elsewhere()
            }
            Some(holder) => holder.pid() == Some(owner.pid()),
        };
        if is_its {
            Some(owner.as_holder())
        } else {
            holder
        }
    }

    /// Writes that this process holds it exclusively from now on, if owner records are wanted.
    pub(crate) fn begin_record(&self) -> io::Result<Option<Box<Entry>>> {
        let Some(author) = &self.author else {
            return Ok(None);
        };
        self.ensure_writable()?;
        Ok(Some(Box::new(Entry::begin(self, author)?)))
    }

    /// Writes that it is released.
    pub(crate) fn end_record(&self, entry: &mut Entry) -> io::Result<()> {
        self.ensure_writable()?;
        entry.end(self)
    }

    /// Writes that it is held after all.
    pub(crate) fn resume_record(&self, entry: &mut Entry) -> io::Result<()> {
        self.ensure_writable()?;
        entry.resume(self)
    }

    /// A record must not get into another file of the program that has the number of the descriptor now.
    fn ensure_writable(&self) -> io::Result<()> {
        if self.is_there() {
            Ok(())
        } else {
            Err(io::Error::other(CLOSED))
        }
    }
}
