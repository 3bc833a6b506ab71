//! A worker's time inside the lock, where it looks for others.

use std::thread;
use std::time::Duration;

use lockfast::{ConversionError, RwLockUpgradableReadGuard, RwLockWriteGuard};

use super::board::{Board, Doing, Slot};
use super::ways::Held;

/// Only the text of an error: some errors carry a guard, which has to be released.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// The text of an error.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Visits by a guard, and shows it in a slot.
#[derive(Clone, Copy)]
pub(super) struct Visitor {
    board: Board,
    pub(super) slot: Slot,
    /// The weight of an exclusive holder.
    limit: u64,
    pub(super) random: Random,
}

impl Visitor {
    pub(super) fn new(board: Board, slot: Slot, limit: u64, seed: u64) -> Self {
        Self {
            board,
            slot,
            limit,
            random: Random::new(seed),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.board.is_stopped()
    }

    pub(super) fn end_round(&self) {
        self.slot.shows(Doing::Pausing);
        self.slot.end_round();
    }

    pub(super) fn visit(&mut self, held: Held) -> Outcome {
        self.enter(&held)?;
        self.random.pause();
        self.stay(held)
    }

    pub(super) fn enter(&self, held: &Held) -> Outcome {
        match held {
            Held::Lock(_) | Held::Write(_) => return self.enter_alone(),
            Held::Read(_) => self.slot.enter(1)?,
            Held::Upgradable(_) => self.slot.enter_upgradable()?,
            Held::Permits(permit) => self.slot.enter(permit.count().into())?,
        }
        self.slot.shows(Doing::Holding);
        Ok(())
    }

    pub(super) fn enter_alone(&self) -> Outcome {
        self.slot.shows(Doing::Holding);
        self.slot.enter(self.limit)?;
        self.slot.write()
    }

    /// Converts the guard or not, and leaves.
    pub(super) fn stay(&mut self, held: Held) -> Outcome {
        match (held, self.random.below(4)) {
            (Held::Upgradable(guard), 0..3) => self.upgrade(guard),
            (Held::Upgradable(guard), _) => {
                self.slot.enter(1)?;
                let guard = guard.downgrade().map_err(text)?;
                self.leave(Held::Read(guard))
            }
            (Held::Write(guard), 0) => {
                self.slot.enter(1)?;
                let held = match guard.downgrade() {
                    Ok(guard) => Held::Read(guard),
                    Err(failed) if failed.error().is_unsupported() => {
                        Held::Write(failed.into_parts().1)
                    }
                    Err(failed) => return Err(failed.to_string()),
                };
                self.random.pause();
                self.leave(held)
            }
            (held, _) => self.leave(held),
        }
    }

    /// Converts the guard or not, and leaves, as a task: what blocked would hold up other tasks that
    /// are inside.
    pub(super) async fn stay_as_task(&mut self, held: Held) -> Outcome {
        match held {
            Held::Upgradable(guard) => {
                self.slot.shows(Doing::Upgrading);
                let before = self.board.count();
                let upgraded = match self.random.below(4) {
                    0 => guard.try_upgrade(),
                    _ => guard.upgrade_async().await,
                };
                self.leave_upgraded(before, upgraded)
            }
            held => self.stay(held),
        }
    }

    /// Upgrades in a way that chance chooses.
    fn upgrade(&mut self, guard: RwLockUpgradableReadGuard) -> Outcome {
        self.slot.shows(Doing::Upgrading);
        let before = self.board.count();
        let soon = self.random.moment();
        let upgraded = match self.random.below(4) {
            0 => guard.try_upgrade(),
            1 => guard.try_upgrade_for(soon),
            2 => guard.upgrade(),
            _ => smol::block_on(guard.upgrade_async()),
        };
        self.leave_upgraded(before, upgraded)
    }

    /// Leaves after an upgrade, in which nobody else may have written.
    fn leave_upgraded(
        &self,
        before: u64,
        upgraded: Result<RwLockWriteGuard, ConversionError<RwLockUpgradableReadGuard>>,
    ) -> Outcome {
        match upgraded {
            Ok(guard) => {
                let now = self.board.count();
                if now != before {
                    return Err(format!(
                        "{}: {before} became {now} before the upgrade",
                        self.slot
                    ));
                }
                self.enter_alone()?;
                self.leave(Held::Write(guard))
            }
            Err(failed) => {
                let (error, guard) = failed.into_parts();
                self.leave(Held::Upgradable(guard))?;
                if error.is_contended() || error.is_timed_out() {
                    Ok(())
                } else {
                    Err(error.to_string())
                }
            }
        }
    }

    pub(super) fn leave(&self, held: Held) -> Outcome {
        self.slot.leave()?;
        self.slot.shows(Doing::Releasing);
        held.release().map_err(text)
    }
}

/// Numbers by chance, the same again for one seed.
#[derive(Clone, Copy)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % end
    }

    /// A time that is now shorter and now longer than most holds.
    pub(super) fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(500))
    }

    /// Lets others run, at times for so long that they sleep in the kernel's queue.
    pub(super) fn pause(&mut self) {
        match self.below(8) {
            0 => thread::sleep(self.moment()),
            1..5 => thread::yield_now(),
            _ => {}
        }
    }
}
