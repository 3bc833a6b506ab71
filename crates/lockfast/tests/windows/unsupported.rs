//! What is not there says so.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![what_is_not_there_says_so];

fn what_is_not_there_says_so() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for option in ["fifo", "linger", "mode"] {
        let open = format!("lock a {} {option}", stage.lock().display());
        let error = actor.ask_in_vain(&open);
        assert!(error.starts_with("unsupported"), "{option}: {error}");
    }
}
