//! Missing features are errors.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![missing_features_are_errors];

fn missing_features_are_errors() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for option in ["fifo", "linger", "mode"] {
        let open = format!("lock a {} {option}", stage.lock().display());
        let error = actor.ask_in_vain(&open);
        assert!(error.starts_with("unsupported"), "{option}: {error}");
    }
}
