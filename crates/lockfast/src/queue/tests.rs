use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use crate::protocol::plan::Mode;
use crate::sys::Parked;
use crate::types::thread::ThreadToken;

const ONE: ThreadToken = ThreadToken::for_test(1);
const OTHER: ThreadToken = ThreadToken::for_test(2);
const THIRD: ThreadToken = ThreadToken::for_test(3);

/// How often it was let go.
impl Unlock for AtomicU32 {
    type Held = u32;

    fn unlock(&self) -> bool {
        self.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Unlock for i32 {
    type Held = u32;

    fn unlock(&self) -> bool {
        true
    }
}

fn queue() -> Queue<i32> {
    Queue::new(Some(7))
}

fn turn(queue: &Queue<i32>, mode: Mode) -> Turn<'_, i32> {
    turn_of(queue, mode, ONE)
}

fn turn_of(queue: &Queue<i32>, mode: Mode, thread: ThreadToken) -> Turn<'_, i32> {
    match queue.try_enter(mode, thread) {
        TryEnter::Turn(turn) => turn,
        TryEnter::Inside(_) => panic!("the thread is not inside"),
        TryEnter::Full => panic!("others are there"),
    }
}

fn is_full(queue: &Queue<i32>, mode: Mode) -> bool {
    matches!(queue.try_enter(mode, THIRD), TryEnter::Full)
}

fn place(queue: &Queue<i32>, mode: Mode) -> QueuedWaiter<'_, i32> {
    match queue.enqueue(mode, THIRD, false) {
        Enqueued::QueuedWaiter(place) => place,
        Enqueued::Turn(_) => panic!("the queue was empty"),
    }
}

fn entered(place: QueuedWaiter<'_, i32>) -> Turn<'_, i32> {
    place.enter().ok().expect("it has the turn")
}

/// Returns the turn of the last one out.
fn last(queue: &Queue<i32>, mode: Mode) -> Turn<'_, i32> {
    match queue.leave(mode, ONE, |_| ()) {
        Leave::Last(turn) => turn,
        Leave::Stays(_) => panic!("others are inside"),
    }
}

/// Leaves; tells whether it was the last one.
fn leave<T: Unlock>(queue: &Queue<T>, mode: Mode, thread: ThreadToken) -> bool {
    match queue.leave(mode, thread, |_| ()) {
        Leave::Last(turn) => {
            drop(turn);
            true
        }
        Leave::Stays(after) => {
            after.run();
            false
        }
    }
}

fn is_granted(place: &QueuedWaiter<'_, i32>) -> bool {
    place.park(Some(Instant::now())) == Parked::Granted
}

#[test]
fn turns_go_in_the_order_of_arrival() {
    let queue = queue();
    let first = turn(&queue, Mode::Write);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        // The places are taken here, one after the other; only the sleeping is in threads.
        for number in 0..8 {
            let place = place(&queue, Mode::Write);
            let tell = tell.clone();
            scope.spawn(move || {
                while place.park(None) != Parked::Granted {}
                let turn = entered(place);
                tell.send(number).expect("the receiver lives");
                drop(turn);
            });
        }
        assert!(is_full(&queue, Mode::Write));
        drop(first);
    });
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

#[test]
fn a_place_given_up_is_skipped_and_an_unused_grant_passed_on() {
    for mode in [Mode::Write, Mode::Read] {
        let queue = queue();
        let held = turn(&queue, Mode::Write);
        let (first, second, third) = (
            place(&queue, mode),
            place(&queue, Mode::Write),
            place(&queue, mode),
        );
        drop(second);
        drop(held);
        // Granted to the first one, which does not want it any more.
        drop(first);
        assert!(is_granted(&third));
        assert_eq!(entered(third).value().map(|value| **value), Some(7));
    }
}

#[test]
fn nobody_overtakes_a_granted_turn() {
    let queue = queue();
    let held = turn(&queue, Mode::Write);
    let granted = place(&queue, Mode::Write);
    drop(held);
    assert!(is_full(&queue, Mode::Write));
    drop(granted);
    assert!(!is_full(&queue, Mode::Write));
}

#[test]
fn a_kept_turn_is_left_later() {
    let queue = queue();
    turn(&queue, Mode::Write).keep();
    assert!(is_full(&queue, Mode::Read));
    leave(&queue, Mode::Write, ThreadToken::NONE);
    assert_eq!(turn(&queue, Mode::Write).value().map(|v| **v), Some(7));

    turn(&queue, Mode::Write).keep();
    last(&queue, Mode::Write).replace(None);
    assert!(turn(&queue, Mode::Write).value().is_none());
}

#[test]
fn readers_share_and_queue_behind_a_writer_that_waits() {
    let queue = queue();
    let first = turn(&queue, Mode::Read);
    assert!(!first.joins());
    first.keep();
    let second = turn_of(&queue, Mode::Read, OTHER);
    assert!(second.joins());
    second.keep();

    let writer = place(&queue, Mode::Write);
    assert!(is_full(&queue, Mode::Read));
    let late = place(&queue, Mode::Read);
    assert!(!leave(&queue, Mode::Read, ONE));
    assert!(!is_granted(&writer));
    assert!(leave(&queue, Mode::Read, OTHER));
    assert!(is_granted(&writer) && !is_granted(&late));
    drop(entered(writer));
    assert!(is_granted(&late));
}

#[test]
fn a_thread_that_reads_gets_in_again_before_a_writer_that_waits() {
    let queue = queue();
    turn(&queue, Mode::Read).keep();
    let writer = place(&queue, Mode::Write);
    assert!(matches!(
        queue.try_enter(Mode::Read, ONE),
        TryEnter::Inside(_)
    ));
    assert!(!leave(&queue, Mode::Read, ONE));
    assert!(!is_granted(&writer));
    assert!(leave(&queue, Mode::Read, ONE));
}

#[test]
fn an_upgradable_reader_upgrades_before_others_join() {
    let queue = queue();
    turn(&queue, Mode::Upgradable).keep();
    assert!(is_full(&queue, Mode::Upgradable));
    turn_of(&queue, Mode::Read, OTHER).keep();

    let Enqueued::QueuedWaiter(upgrader) = queue.enqueue_upgrade(ONE) else {
        panic!("there is a reader");
    };
    assert!(is_full(&queue, Mode::Read));
    let late = place(&queue, Mode::Read);
    assert!(!leave(&queue, Mode::Read, OTHER));
    assert!(is_granted(&upgrader) && !is_granted(&late));
    entered(upgrader).keep();
    assert!(!is_granted(&late));
    queue.change(Mode::Write, Mode::Read, ONE);
    assert!(is_granted(&late));
    assert!(entered(late).joins());
}

#[test]
fn an_upgrade_given_up_lets_others_join_again() {
    let queue = queue();
    turn(&queue, Mode::Upgradable).keep();
    turn_of(&queue, Mode::Read, OTHER).keep();
    let upgrader = queue.enqueue_upgrade(ONE);
    let late = place(&queue, Mode::Read);
    drop(upgrader);
    assert!(is_granted(&late));
}

#[test]
fn a_reader_that_steps_back_goes_first_when_all_have_left() {
    let queue = queue();
    turn(&queue, Mode::Read).keep();
    let held_back = match queue.try_enter(Mode::Read, OTHER) {
        TryEnter::Turn(turn) => turn.step_back(),
        _ => panic!("readers share"),
    };
    assert!(is_full(&queue, Mode::Read));
    let later = place(&queue, Mode::Read);
    assert!(leave(&queue, Mode::Read, ONE));
    assert!(is_granted(&held_back) && !is_granted(&later));
    let turn = entered(held_back);
    assert!(!turn.joins());
    turn.keep();
    assert!(is_granted(&later));
}

#[test]
fn a_called_waiter_that_did_not_come_is_called_off_by_the_last_one_out() {
    for is_dropped in [false, true] {
        let queue = queue();
        turn(&queue, Mode::Read).keep();
        let writer = place(&queue, Mode::Write);
        let reader = place(&queue, Mode::Read);
        drop(writer);
        assert!(is_granted(&reader));
        let last = last(&queue, Mode::Read);
        if is_dropped {
            drop(reader);
        } else {
            let Err(reader) = reader.enter() else {
                panic!("it was called off");
            };
            assert!(!is_granted(&reader));
            drop(last);
            assert!(is_granted(&reader) && !entered(reader).joins());
        }
    }
}

#[test]
fn many_leave_from_the_middle_and_the_others_keep_their_order() {
    let queue = queue();
    let held = turn(&queue, Mode::Write);
    let mut places: Vec<_> = (0..10_000)
        .map(|_| Some(place(&queue, Mode::Write)))
        .collect();
    for place in places.iter_mut().step_by(2) {
        *place = None;
    }
    drop(held);
    for place in places.into_iter().flatten() {
        assert!(is_granted(&place));
        drop(entered(place));
    }
    assert!(!is_full(&queue, Mode::Write));
}

#[test]
fn a_reader_that_fails_to_join_unlocks_what_the_last_ones_left_locked() {
    let queue = Queue::new(Some(AtomicU32::new(0)));
    let enter = || {
        let TryEnter::Turn(turn) = queue.try_enter(Mode::Read, ONE) else {
            panic!("readers share");
        };
        turn
    };
    let first = enter();
    first.keep();
    let TryEnter::Turn(joining) = queue.try_enter(Mode::Read, OTHER) else {
        panic!("readers share");
    };
    assert!(!leave(&queue, Mode::Read, ONE));
    drop(joining);
    let value = Arc::clone(enter().value().expect("it is shared"));
    assert_eq!(value.load(Ordering::Relaxed), 1);
}

#[test]
fn an_upgradable_reader_that_leaves_others_inside_unlocks_only_its_own_byte() {
    let queue = queue();
    turn(&queue, Mode::Upgradable).keep();
    turn_of(&queue, Mode::Read, OTHER).keep();
    let mut gave_up = false;
    match queue.leave(Mode::Upgradable, ONE, |_| gave_up = true) {
        Leave::Stays(after) => assert!(!after.run()),
        Leave::Last(_) => panic!("others are inside"),
    }
    assert!(gave_up);
    assert!(!is_full(&queue, Mode::Upgradable));
}

#[test]
fn threads_inside_are_known_until_they_hand_over() {
    let queue = queue();
    for mode in [Mode::Read, Mode::Upgradable, Mode::Write] {
        turn(&queue, mode).keep();
        assert!(queue.has_inside(ONE) && !queue.has_inside(OTHER));
        queue.disown(mode, ONE);
        assert!(!queue.has_inside(ONE) && !queue.has_inside(ThreadToken::NONE));
        assert!(leave(&queue, mode, ThreadToken::NONE));
    }
}

#[test]
fn nothing_lingers_while_somebody_waits_or_when_it_is_not_allowed() {
    let queue = queue();
    turn(&queue, Mode::Write).keep();
    let waits = place(&queue, Mode::Write);
    let last_one = last(&queue, Mode::Write);
    let (last_one, held) = last_one
        .linger(Box::new(1), || true)
        .expect_err("one waits");
    drop(waits);
    let (last_one, held) = last_one.linger(held, || false).expect_err("not allowed");
    assert!(last_one.linger(held, || true).is_ok());
    assert!(queue.take_handoff(Mode::Write, ONE).is_some());

    let queue = self::queue();
    turn(&queue, Mode::Read).keep();
    let waits = place(&queue, Mode::Write);
    let last = last(&queue, Mode::Read);
    let (last, held) = last.linger(Box::new(1), || true).expect_err("one waits");
    drop(waits);
    assert!(last.linger(held, || true).is_ok());
    assert!(queue.take_handoff(Mode::Read, ONE).is_some());
}
