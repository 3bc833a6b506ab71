//! Holders in the errors of attempts and waits.

use std::path::Path;

use crate::inspect::{file, locker};
use crate::stage::{Actor, HOLD, Stage, outcome, run};

/// The errors of an attempt and of a wait name the holder, whichever program it is: also if
/// `F_GETLK` returns -1, and if there are several.
#[test]
fn an_error_names_every_kind_of_holder_with_its_command() {
    let stage = Stage::new();
    let attempt = |path: &Path, how: &[&str]| {
        let told = outcome(run(how).arg(path).args(["--", "true"]));
        assert_eq!(told.code, Some(75), "{told:?}");
        told.errors
    };
    for kind in ["classic", "ofd", "ofds"] {
        let path = file(&stage, kind);
        let mut holder = locker();
        holder.tell(&format!("{kind} {}", path.display()));
        holder.says("locked");
        for how in [&["-n"][..], &["-w", "20ms"]] {
            let errors = attempt(&path, how);
            let who = format!(": it is held by pid {} (", holder.pid());
            assert!(errors.contains(&who), "{kind}: {errors}");
            assert!(errors.contains("import fcntl, os, struct, sys"), "{errors}");
        }
    }
    let path = file(&stage, "flock");
    let mut holder = locker();
    holder.tell(&format!("flock {}", path.display()));
    holder.says("locked");
    let errors = attempt(&path, &["-n", "--protocol", "flock"]);
    let who = format!(": it is held by pid {} (", holder.pid());
    assert!(errors.contains(&who), "{errors}");

    let path = stage.path("shared.lock");
    let readers = [(); 5].map(|()| {
        let mut command = run(["--shared"]);
        let reader = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
        reader.says("ready");
        reader
    });
    let errors = attempt(&path, &["-n"]);
    let named = readers.iter().filter(|reader| {
        let who = format!("pid {} (", reader.pid());
        errors.contains(&who)
    });
    assert_eq!(named.count(), 3, "{errors}");
    assert!(errors.ends_with("; and 2 more"), "{errors}");

    let pool = stage.path("pool.lock");
    let mut command = run(["--permits", "1"]);
    let holder = Actor::start(command.arg(&pool).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let errors = attempt(&pool, &["-n", "--permits", "1"]);
    let who = format!("permits are held by pid {} (", holder.pid());
    assert!(errors.contains(&who), "{errors}");
}
