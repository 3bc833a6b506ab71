//! Every order in which three processes can take the steps of a semaphore, each killed at any of
//! them: nobody sleeps while what it sleeps for is free, and no permit is lost.
//!
//! Without the safety net: a head that nobody rings for looks again a few times, and then sleeps
//! for ever here. Each thing that this rests on is also checked to fail without it.
#![allow(
    clippy::struct_excessive_bools,
    clippy::trivially_copy_pass_by_ref,
    reason = "facts of a state that is explored; the trait's methods take references"
)]

use stateright::{Model, Property};

const PROCESSES: usize = 3;

/// The next step of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// Takes free permits even if others wait: its look at the queue may be old.
    Arrive,
    LineUp,
    Lead,
    MakeNotifier,
    /// As the head.
    Collect,
    Sleep,
    LeaveLine,
    Unlock,
    Look,
    Ring,
    /// It was killed. The kernel has reported the close, and drops its locks now.
    DropLocks,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Step(usize),
    Kill(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Process {
    next: Next,
    has: u8,
    /// Whether it gives its permits back because it found too few.
    has_too_few: bool,
    rounds: u8,
    /// Whether it is in the queue.
    waits: bool,
    leads: bool,
    hears: bool,
    rung: bool,
    /// Whether it will look again once the processes are dead that were dying when it began to watch or was
    /// notified.
    looks_again: bool,
}

/// The number of permits, the number that each process wants, and the order of steps.
#[derive(Clone, Copy)]
struct Scene {
    permits: u8,
    wants: [u8; PROCESSES],
    /// Whether processes can be killed.
    kills: bool,
    hangs_first: bool,
    unlocks_first: bool,
    gives_back_quietly: bool,
    dies_quietly: bool,
    looks_again_when_hung: bool,
    looks_again_when_rung: bool,
    /// Whether the kernel drops the locks of the dead: not while another process has a copy of the
    /// descriptor.
    drops_locks: bool,
}

type State = [Process; PROCESSES];

impl Scene {
    fn of(permits: u8, wants: [u8; PROCESSES]) -> Self {
        Self {
            permits,
            wants,
            kills: false,
            hangs_first: true,
            unlocks_first: true,
            gives_back_quietly: false,
            dies_quietly: false,
            looks_again_when_hung: true,
            looks_again_when_rung: true,
            drops_locks: true,
        }
    }

    /// A scene in which each may be killed at any step.
    fn deadly(permits: u8, wants: [u8; PROCESSES]) -> Self {
        Self {
            kills: true,
            ..Self::of(permits, wants)
        }
    }

    fn free(&self, state: &State) -> u8 {
        self.permits - state.iter().map(|process| process.has).sum::<u8>()
    }

    fn begins_to_leave(&self) -> Next {
        if self.unlocks_first {
            Next::Unlock
        } else {
            Next::Look
        }
    }

    fn ring(&self, state: &mut State) {
        let looks_again = self.looks_again_when_rung && somebody_dies(state);
        for process in state.iter_mut().filter(|process| process.hears) {
            process.rung = true;
            process.looks_again |= looks_again;
        }
    }

    fn step(&self, before: &State, who: usize) -> Option<State> {
        let mut state = *before;
        let (free, wanted) = (self.free(before), self.wants[who]);
        let others_wait = (0..PROCESSES).any(|other| other != who && before[other].waits);
        let own = &mut state[who];
        own.next = match own.next {
            Next::Arrive if free == 0 => Next::LineUp,
            Next::Arrive => {
                own.has = free.min(wanted);
                own.has_too_few = free < wanted;
                self.begins_to_leave()
            }
            Next::LineUp => {
                own.waits = true;
                Next::Lead
            }
            Next::Lead => {
                own.leads = true;
                if self.hangs_first {
                    Next::MakeNotifier
                } else {
                    Next::Collect
                }
            }
            Next::MakeNotifier => {
                (own.hears, own.rung) = (true, false);
                own.looks_again = self.looks_again_when_hung && somebody_dies(before);
                if self.hangs_first {
                    Next::Collect
                } else {
                    Next::Sleep
                }
            }
            Next::Collect => {
                own.has += free.min(wanted - own.has);
                if own.has == wanted {
                    Next::LeaveLine
                } else if own.hears {
                    Next::Sleep
                } else {
                    Next::MakeNotifier
                }
            }
            Next::Sleep => {
                if !std::mem::take(&mut own.rung) {
                    own.looks_again = false;
                }
                Next::Collect
            }
            Next::LeaveLine => {
                own.leave_queue();
                self.begins_to_leave()
            }
            Next::Unlock => {
                own.has = 0;
                if self.unlocks_first && !(own.has_too_few && self.gives_back_quietly) {
                    Next::Look
                } else {
                    own.leave()
                }
            }
            Next::Look if others_wait => Next::Ring,
            Next::Look | Next::Ring => {
                if own.next == Next::Ring {
                    self.ring(&mut state);
                }
                let own = &mut state[who];
                own.next = if self.unlocks_first {
                    own.leave()
                } else {
                    Next::Unlock
                };
                return Some(state);
            }
            Next::DropLocks => {
                if self.drops_locks {
                    own.leave_queue();
                    own.has = 0;
                }
                Next::Nothing
            }
            Next::Nothing => return None,
        };
        Some(state)
    }

    /// Kills it: the kernel closes its files, reports that first, and then drops the locks.
    fn kill(&self, before: &State, who: usize) -> State {
        let mut state = *before;
        let own = &mut state[who];
        own.next = Next::DropLocks;
        (own.hears, own.rung, own.looks_again) = (false, false, false);
        if !self.dies_quietly {
            self.ring(&mut state);
        }
        state
    }
}

impl Model for Scene {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let process = Process {
            next: Next::Arrive,
            has: 0,
            has_too_few: false,
            rounds: 2,
            waits: false,
            leads: false,
            hears: false,
            rung: false,
            looks_again: false,
        };
        vec![[process; PROCESSES]]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let can_go = |who: &usize| can_go(state, *who);
        actions.extend((0..PROCESSES).filter(can_go).map(Action::Step));
        if self.kills {
            let lives = |who: &usize| state[*who].lives();
            actions.extend((0..PROCESSES).filter(lives).map(Action::Kill));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        match action {
            Action::Step(who) => self.step(before, who),
            Action::Kill(who) => Some(self.kill(before, who)),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_MORE, |scene: &Self, state: &State| {
                state.iter().map(|process| process.has).sum::<u8>() <= scene.permits
            }),
            Property::always(NOBODY_SLEEPS, |_, state: &State| {
                let is_done = |process: &Process| process.next == Next::Nothing;
                (0..PROCESSES).any(|who| can_go(state, who)) || state.iter().all(is_done)
            }),
            Property::always(NONE_IS_LOST, |scene: &Self, state: &State| {
                let is_done = |process: &Process| process.next == Next::Nothing;
                let has_left = |process: &Process| !process.waits && !process.leads;
                !state.iter().all(is_done)
                    || scene.free(state) == scene.permits && state.iter().all(has_left)
            }),
        ]
    }
}

const NO_MORE: &str = "never more than there are";
const NOBODY_SLEEPS: &str = "nobody sleeps for ever";
const NONE_IS_LOST: &str = "all are free when all have ended";

/// Whether it can go on by itself.
fn can_go(state: &State, who: usize) -> bool {
    let process = &state[who];
    match process.next {
        Next::Nothing => false,
        Next::Lead => !state.iter().any(|other| other.leads),
        Next::Sleep => process.rung || process.looks_again && !somebody_dies(state),
        _ => true,
    }
}

fn somebody_dies(state: &State) -> bool {
    state.iter().any(|process| process.next == Next::DropLocks)
}

impl Process {
    fn lives(&self) -> bool {
        !matches!(self.next, Next::DropLocks | Next::Nothing)
    }

    fn leave_queue(&mut self) {
        (self.waits, self.leads, self.hears) = (false, false, false);
        (self.rung, self.looks_again) = (false, false);
    }

    /// Goes on after its release: joins the queue for more, comes again, or has come often enough.
    fn leave(&mut self) -> Next {
        if std::mem::take(&mut self.has_too_few) {
            return Next::LineUp;
        }
        self.rounds -= 1;
        if self.rounds == 0 {
            Next::Nothing
        } else {
            Next::Arrive
        }
    }
}

mod explored;
