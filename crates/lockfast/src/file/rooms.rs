//! The waiting rooms of readers and their doors (see [`crate::protocol::plan`]).

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::LockFile;
use super::locking::WaitWay;
use super::lookout::{HEEDLESS, nanoseconds};
use crate::protocol::plan::Part;
use crate::sys::{self, Access, Target};

impl LockFile {
    /// The room for a reader that comes now: the one whose door is locked, if one is.
    pub(super) fn room_of_newcomers(&self) -> Part {
        let door = Part::SecondDoor.range(self.exclusive_len);
        if sys::lock::blocker(self, Access::Shared, door).is_some() {
            Part::SecondRoom
        } else {
            Part::FirstRoom
        }
    }

    /// Shares the room, or the other one if a writer has it just now.
    pub(super) fn enter_room(&self, room: &mut Part) -> io::Result<()> {
        if !self.try_lock(Access::Shared, self.target(*room))? {
            *room = match *room {
                Part::FirstRoom => Part::SecondRoom,
                _ => Part::FirstRoom,
            };
            self.try_lock(Access::Shared, self.target(*room))?;
        }
        Ok(())
    }

    /// Waits until the door is open.
    pub(super) fn pass_door<E>(
        &self,
        door: Part,
        mut lock: impl FnMut(Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        let passed = lock(Access::Shared, self.target(door), WaitWay::Plain)?;
        if passed {
            // At once: the next writer locks the door.
            self.unlock(door).map_err(fail)?;
        }
        Ok(passed)
    }

    /// Waits until nobody is in the room, or for [`ROOM_PATIENCE`](crate::protocol::plan::ROOM_PATIENCE).
    pub(super) fn await_empty<E>(
        &self,
        room: Part,
        mut lock: impl FnMut(Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        let target = self.target(room);
        let is_taken = sys::lock::blocker(self, Access::Exclusive, room.range(0)).is_some();
        if is_taken && lock(Access::Exclusive, target, WaitWay::Room)? {
            // At once: readers share it.
            self.unlock(room).map_err(fail)?;
        }
        Ok(true)
    }

    /// Locks the part if the rooms are empty and it is free.
    pub(super) fn shortcut(&self, access: Access, part: Part) -> io::Result<bool> {
        Ok(!self.is_room_taken() && self.try_lock(access, self.target(part))?)
    }

    /// Whether readers wait in one of the rooms.
    pub(super) fn is_room_taken(&self) -> bool {
        // The kernel names locks of other descriptions only, so a room of its own is no answer.
        let rooms = Part::Rooms.range(self.exclusive_len);
        sys::lock::blocker(self, Access::Exclusive, rooms).is_some()
    }

    /// Whether a writer waits for a room. It does not for a while after it has waited in vain: a reader in it was
    /// stopped, most likely.
    pub(crate) fn heeds_rooms(&self) -> bool {
        self.lookout.now() >= self.rooms_heedless.load(Relaxed)
    }

    pub(crate) fn note_stopped_in_room(&self) {
        let until = self.lookout.now() + nanoseconds(HEEDLESS);
        self.rooms_heedless.store(until, Relaxed);
    }
}
