//! Promise 3: nothing but its release frees a held lock; and what must release, does.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    closing_the_file_elsewhere_frees_nothing,
    dropping_another_handle_frees_nothing,
    a_failed_acquire_frees_nothing,
    a_closed_handle_keeps_the_lock_while_its_guard_lives,
    a_panic_while_holding_releases,
    a_duplicated_descriptor_does_not_keep_a_released_lock,
    a_guard_may_be_dropped_by_another_thread,
];

fn held_by(holder: &mut Actor, stage: &Stage) -> bool {
    let mut other = Actor::with_lock(stage, "");
    let refused = other.ask_in_vain("try a g");
    refused.starts_with("contended:") && refused.contains(&holder.pid().to_string())
}

fn closing_the_file_elsewhere_frees_nothing() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    holder.ask(&format!("open-and-close {}", stage.lock().display()));
    assert!(held_by(&mut holder, &stage));
}

fn dropping_another_handle_frees_nothing() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    holder.ask(&format!("open b {}", stage.lock().display()));
    holder.ask("close b");
    assert!(held_by(&mut holder, &stage));
}

fn a_failed_acquire_frees_nothing() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask(&format!("open b {}", stage.lock().display()));
    holder.ask("lock a g");
    holder.ask_in_vain("try a h");
    holder.ask_in_vain("try b h");
    holder.ask_in_vain("for a h 5");
    holder.ask_in_vain("for b h 5");
    holder.ask("close b");
    assert!(held_by(&mut holder, &stage));
}

fn a_closed_handle_keeps_the_lock_while_its_guard_lives() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    holder.ask("close a");
    assert!(held_by(&mut holder, &stage));
    holder.ask("drop g");
    Actor::with_lock(&stage, "").ask("try a g");
}

fn a_panic_while_holding_releases() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("panic-holding a");
    Actor::with_lock(&stage, "").ask("try a g");
    holder.ask("try a g");
}

fn a_duplicated_descriptor_does_not_keep_a_released_lock() {
    let stage = Stage::new();
    for options in ["", "remove", "protocol=both"] {
        let mut holder = Actor::with_lock(&stage, options);
        holder.ask("lock a g");
        holder.ask("duplicate g copy");
        holder.ask("release g");
        Actor::with_lock(&stage, options).ask("try a g");
        // The copy is still open, and so is the file.
        holder.ask("close-file copy");
    }
}

fn a_guard_may_be_dropped_by_another_thread() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let pending = holder.begin("lock a g");
    holder.succeeds(pending);
    holder.ask("drop g");
    Actor::with_lock(&stage, "").ask("try a g");
}
