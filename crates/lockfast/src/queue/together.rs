//! The queue and the plans together: threads and tasks of one handle, and another process.
//!
//! Everything that can happen to them is tried, in every order: each takes one step at a time, a step of
//! the queue or a kernel call of a plan; a wait may be dropped wherever it waits, an attempt may fail, and
//! the other process may die. The queue is the real one and the plans are those that run on files; only
//! the kernel is a model's. A queue can't be copied, so each order is run from the start.
//!
//! In each state that comes of it nobody is beside a writer, those inside have their bytes locked, and
//! nothing is locked by those who are gone, or who wait and do not run. From each state all can still get
//! through without anybody giving up. To show that this would notice, each step that the queue needs is
//! [left out](super::left_out) once.

mod explored;
mod kernel;
mod party;

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::left_out::{self, ModelStep};
use super::{Queue, Unlock};
use crate::protocol::plan::Mode;
use crate::types::thread::ThreadToken;

use kernel::{HANDLE, Kernel, Other};
use party::{Party, Role};

/// The threads and tasks of the handle, each with the number of its thread, 0 for a task; and the mode of
/// the other process.
struct Scene {
    parties: Vec<(Role, u64)>,
    other: Option<Mode>,
}

/// A step of one of them; the other process comes after the parties.
#[derive(Clone, Copy, Debug)]
enum Action {
    Go(usize),
    GiveUp(usize),
    Die,
}

/// The file of the handle.
struct File {
    kernel: Rc<RefCell<Kernel>>,
}

impl Unlock for File {
    type Held = u32;

    fn unlock(&self) -> bool {
        self.kernel.borrow_mut().release(HANDLE);
        true
    }
}

/// The state after an order of actions.
struct State {
    fingerprint: u64,
    enabled: Vec<Action>,
    all_are_through: bool,
    violated: Option<&'static str>,
}

const EXCLUSION: &str = "nobody is beside a writer";
const HELD: &str = "who is inside has its bytes locked";
const NOTHING_LEFT: &str = "nothing is locked that nobody uses";
const NO_BUSY_LOOP: &str = "who stepped back does not join again at once";
const NO_STANDSTILL: &str = "all get through";

impl Scene {
    /// The first property that is violated, with the actions that lead there. All are looked at, or only
    /// one; and a step of the queue may be left out.
    fn violated(
        &self,
        left_out: Option<ModelStep>,
        only: Option<&'static str>,
    ) -> Option<(&'static str, Vec<Action>)> {
        left_out::without(left_out, || self.explore(only))
    }

    fn explore(&self, only: Option<&'static str>) -> Option<(&'static str, Vec<Action>)> {
        let counts = |property: &&'static str| only.is_none_or(|only| only == *property);
        let first = self.run(&[]);
        let mut numbers = HashMap::from([(first.fingerprint, 0)]);
        let mut states = vec![(first, Vec::new())];
        // Which states each one is reached from by a step that is no giving up.
        let mut before: Vec<Vec<usize>> = vec![Vec::new()];
        let mut at = 0;
        while at < states.len() {
            for action in states[at].0.enabled.clone() {
                let mut path = states[at].1.clone();
                path.push(action);
                let state = self.run(&path);
                if let Some(violated) = state.violated.filter(counts) {
                    return Some((violated, path));
                }
                let number = *numbers.entry(state.fingerprint).or_insert(states.len());
                if number == states.len() {
                    states.push((state, path));
                    before.push(Vec::new());
                }
                if matches!(action, Action::Go(_)) {
                    before[number].push(at);
                }
            }
            at += 1;
        }
        let mut gets_through: Vec<_> = states
            .iter()
            .map(|(state, _)| state.all_are_through)
            .collect();
        let mut known: VecDeque<_> = (0..states.len()).filter(|&at| gets_through[at]).collect();
        while let Some(at) = known.pop_front() {
            for &earlier in &before[at] {
                if !gets_through[earlier] {
                    gets_through[earlier] = true;
                    known.push_back(earlier);
                }
            }
        }
        let stuck = gets_through.iter().position(|&through| !through)?;
        Some((NO_STANDSTILL, states.swap_remove(stuck).1))
    }

    /// Runs these actions from the start.
    fn run(&self, path: &[Action]) -> State {
        let kernel = Rc::new(RefCell::new(Kernel::default()));
        let queue = Queue::new(Some(File {
            kernel: Rc::clone(&kernel),
        }));
        let mut parties: Vec<_> = self
            .parties
            .iter()
            .map(|&(role, thread)| Party::new(&queue, &kernel, role, token(thread)))
            .collect();
        let mut other = self.other.map(Other::new);
        let mut violated = None;
        for &action in path {
            match action {
                Action::Go(who) if who < parties.len() => {
                    if parties[who].go() {
                        violated = violated.or(Some(NO_BUSY_LOOP));
                    }
                }
                Action::GiveUp(who) if who < parties.len() => parties[who].give_up(),
                Action::Go(_) => other.as_mut().expect("it is there").go(&kernel),
                Action::GiveUp(_) => other.as_mut().expect("it is there").give_up(&kernel),
                Action::Die => other.as_mut().expect("it is there").die(&kernel),
            }
            if let Action::Go(mover) | Action::GiveUp(mover) = action {
                for (who, party) in parties.iter_mut().enumerate() {
                    party.others_moved(who != mover);
                }
            }
        }
        let mut enabled = Vec::new();
        for (who, party) in parties.iter().enumerate() {
            enabled.extend(party.can_go().then_some(Action::Go(who)));
            enabled.extend(party.can_give_up().then_some(Action::GiveUp(who)));
        }
        if let Some(other) = &other {
            let who = parties.len();
            enabled.extend(other.can_go(&kernel).then_some(Action::Go(who)));
            enabled.extend(other.can_give_up().then_some(Action::GiveUp(who)));
            enabled.extend((!other.is_through()).then_some(Action::Die));
        }
        let violated = violated.or_else(|| check(&parties, other.as_ref(), &kernel.borrow()));
        let all_are_through =
            parties.iter().all(Party::is_through) && other.as_ref().is_none_or(Other::is_through);
        State {
            fingerprint: fingerprint(&queue, &parties, other.as_ref(), &kernel.borrow()),
            enabled,
            all_are_through,
            violated,
        }
    }
}

fn token(thread: u64) -> ThreadToken {
    match thread {
        0 => ThreadToken::NONE,
        number => ThreadToken::for_test(number),
    }
}

fn check(parties: &[Party<'_>], other: Option<&Other>, kernel: &Kernel) -> Option<&'static str> {
    let inside = parties.iter().filter_map(Party::inside);
    let inside: Vec<_> = inside.chain(other.and_then(Other::inside)).collect();
    if inside.len() > 1 && inside.iter().any(|mode| mode.is_alone()) {
        return Some(EXCLUSION);
    }
    if !parties
        .iter()
        .filter_map(Party::inside)
        .all(|mode| kernel.has(mode))
    {
        return Some(HELD);
    }
    let has_what_is_used = if parties.iter().any(Party::uses_upgrade) {
        true
    } else if parties.iter().any(Party::uses_lock) {
        !kernel.has_upgrade()
    } else {
        kernel.has_nothing()
    };
    (!has_what_is_used).then_some(NOTHING_LEFT)
}

fn fingerprint(
    queue: &Queue<File>,
    parties: &[Party<'_>],
    other: Option<&Other>,
    kernel: &Kernel,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    let state = queue.state();
    let owner = |position| {
        parties
            .iter()
            .position(|party| party.position() == Some(position))
    };
    let line: Vec<_> = state.waiting.positions().map(owner).collect();
    let mut readers: Vec<_> = state
        .readers
        .iter()
        .map(|thread| format!("{thread:?}"))
        .collect();
    readers.sort();
    let called = parties
        .iter()
        .position(|party| party.position().is_some_and(|at| state.is_called(at)));
    let phase = std::mem::discriminant(&state.phase);
    (
        line,
        readers,
        called,
        phase,
        state.closed,
        state.upgrader.is_some(),
    )
        .hash(&mut hasher);
    format!("{:?} {:?}", state.upgradable, state.exclusive).hash(&mut hasher);
    drop(state);
    for party in parties {
        party.hash(&mut hasher);
    }
    (other, kernel).hash(&mut hasher);
    hasher.finish()
}
