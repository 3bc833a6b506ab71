//! Every order in which three processes can take the steps of a semaphore: nobody sleeps while what
//! it sleeps for is free.
//!
//! Without the safety net: a head that nobody rings for sleeps for ever here. Each order of steps
//! that this rests on is also checked to fail the other way round.
#![allow(
    clippy::struct_excessive_bools,
    clippy::trivially_copy_pass_by_ref,
    reason = "facts of a state that is explored; the trait's methods take references"
)]

use stateright::{Checker, Model, Property};

const PROCESSES: usize = 3;

/// What a process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// Takes what is free, whoever waits: what it saw of the line may be old.
    Arrive,
    LineUp,
    Lead,
    HangBell,
    /// As the head.
    Collect,
    Sleep,
    LeaveLine,
    Unlock,
    Look,
    Ring,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Process {
    next: Next,
    has: u8,
    /// Does it give back what it has because it found too few?
    has_too_few: bool,
    rounds: u8,
    /// Is it in the line?
    waits: bool,
    leads: bool,
    hears: bool,
    rung: bool,
}

/// How many permits there are, how many each process wants, and in which order steps are done.
#[derive(Clone, Copy)]
struct Scene {
    permits: u8,
    wants: [u8; PROCESSES],
    hangs_first: bool,
    unlocks_first: bool,
    gives_back_quietly: bool,
}

type State = [Process; PROCESSES];

impl Scene {
    fn of(permits: u8, wants: [u8; PROCESSES]) -> Self {
        Self {
            permits,
            wants,
            hangs_first: true,
            unlocks_first: true,
            gives_back_quietly: false,
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
}

impl Model for Scene {
    type State = State;
    type Action = usize;

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
        };
        vec![[process; PROCESSES]]
    }

    fn actions(&self, state: &State, actions: &mut Vec<usize>) {
        let can_go = |who: &usize| match state[*who].next {
            Next::Nothing => false,
            Next::Lead => !state.iter().any(|other| other.leads),
            Next::Sleep => state[*who].rung,
            _ => true,
        };
        actions.extend((0..PROCESSES).filter(can_go));
    }

    fn next_state(&self, before: &State, who: usize) -> Option<State> {
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
                    Next::HangBell
                } else {
                    Next::Collect
                }
            }
            Next::HangBell => {
                (own.hears, own.rung) = (true, false);
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
                    Next::HangBell
                }
            }
            Next::Sleep => {
                own.rung = false;
                Next::Collect
            }
            Next::LeaveLine => {
                (own.waits, own.leads, own.hears) = (false, false, false);
                self.begins_to_leave()
            }
            Next::Unlock => {
                own.has = 0;
                if self.unlocks_first && !(own.has_too_few && self.gives_back_quietly) {
                    Next::Look
                } else {
                    leave(own)
                }
            }
            Next::Look if others_wait => Next::Ring,
            Next::Look | Next::Ring => {
                if own.next == Next::Ring {
                    for other in &mut state {
                        other.rung |= other.hears;
                    }
                }
                let own = &mut state[who];
                own.next = if self.unlocks_first {
                    leave(own)
                } else {
                    Next::Unlock
                };
                return Some(state);
            }
            Next::Nothing => return None,
        };
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "never more than there are",
                |scene: &Self, state: &State| {
                    state.iter().map(|process| process.has).sum::<u8>() <= scene.permits
                },
            ),
            Property::always("nobody sleeps for ever", |scene: &Self, state: &State| {
                let mut actions = Vec::new();
                scene.actions(state, &mut actions);
                let is_done = |process: &Process| process.next == Next::Nothing;
                !actions.is_empty() || state.iter().all(is_done)
            }),
        ]
    }
}

/// It has released: lines up for more, comes again, or has come often enough.
fn leave(own: &mut Process) -> Next {
    if std::mem::take(&mut own.has_too_few) {
        return Next::LineUp;
    }
    own.rounds -= 1;
    if own.rounds == 0 {
        Next::Nothing
    } else {
        Next::Arrive
    }
}

fn holds(scene: Scene) -> bool {
    let checker = scene.checker().spawn_bfs().join();
    assert!(checker.is_done());
    checker.discoveries().is_empty()
}

#[test]
fn nobody_sleeps_for_what_is_free() {
    for permits in 1..=3 {
        for wants in [
            [1, 1, 1],
            [1, 1, permits],
            [permits, permits, 1],
            [permits; 3],
        ] {
            assert!(holds(Scene::of(permits, wants)), "{permits} {wants:?}");
        }
    }
}

#[test]
fn a_bell_hung_after_the_last_look_is_too_late() {
    let scene = Scene::of(1, [1; 3]);
    assert!(!holds(Scene {
        hangs_first: false,
        ..scene
    }));
}

#[test]
fn a_look_before_the_release_is_too_early() {
    let scene = Scene::of(1, [1; 3]);
    assert!(!holds(Scene {
        unlocks_first: false,
        ..scene
    }));
}

#[test]
fn what_is_given_back_unused_must_be_rung_for() {
    let scene = Scene::of(2, [2, 2, 1]);
    assert!(!holds(Scene {
        gives_back_quietly: true,
        ..scene
    }));
}
