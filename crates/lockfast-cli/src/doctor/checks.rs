//! The checks of `lockfast doctor`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::actor::word;
use super::stage::{Actor, Answer, Kind, Stage};
use super::verdict::{
    Finding, Kept, Outcome, Trouble, Verdict, done, ended, held, is_excluded, trouble, twice,
};
use crate::sys;

/// Whether `flock` and `fcntl` locks conflict with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    Apart,
    One,
}

#[derive(Debug)]
pub(super) struct Checks {
    pub(super) findings: Vec<Finding>,
    pub(super) families: Option<Families>,
}

/// A promise: its name, its meaning and its test.
type Check = (&'static str, &'static str, fn(&Stage) -> Outcome);

const FIRST: Check = ("exclusion", "one holder at a time (fcntl locks)", |stage| {
    exclusion(stage, Kind::Fcntl)
});

const OTHERS: [Check; 7] = [
    (
        "exclusion-flock",
        "one holder at a time (flock locks)",
        |stage| exclusion(stage, Kind::Flock),
    ),
    ("shared", "readers together, writers alone", shared),
    ("upgrade", "upgrade and downgrade are atomic", upgrade),
    ("deadline", "a wait ends at its deadline", deadline),
    (
        "wake-after-release",
        "a waiter wakes when the holder releases",
        wake_after_release,
    ),
    (
        "wake-after-kill",
        "a waiter wakes when the holder is killed",
        wake_after_kill,
    ),
    (
        "identity",
        "a deleted or renamed lock file is noticed",
        identity,
    ),
];

pub(super) fn all(stage: &Stage) -> Checks {
    let first = find(FIRST, stage);
    let has_locks = first.verdict == Verdict::Kept;
    let mut findings = vec![first];
    findings.extend(OTHERS.map(|check| {
        // The flock check does not depend on fcntl locks.
        if has_locks || check.0 == "exclusion-flock" {
            return find(check, stage);
        }
        let why = "it depends on exclusion".to_owned();
        finding(check, Err(Trouble::Untested(why)))
    }));
    let families = has_locks.then(|| families(stage).ok()).flatten();
    Checks { findings, families }
}

fn find(check: Check, stage: &Stage) -> Finding {
    finding(check, check.2(stage))
}

fn finding((promise, meaning, _): Check, outcome: Outcome) -> Finding {
    let (verdict, detail, times) = match outcome {
        Ok(Kept { detail, times }) => (Verdict::Kept, detail, times),
        Err(Trouble::Broken(why)) => (Verdict::Broken, why, None),
        Err(Trouble::Unsupported(why)) => (Verdict::Unsupported, why, None),
        Err(Trouble::Untested(why)) => (Verdict::Untested, why, None),
    };
    Finding {
        promise,
        meaning,
        verdict,
        detail,
        times,
    }
}

fn exclusion(stage: &Stage, kind: Kind) -> Outcome {
    let path = stage.new_path();
    let (mut one, mut other) = (actor(stage, &path, kind)?, actor(stage, &path, kind)?);
    done(one.ask(word::TRY_WRITE))?;
    held(other.ask(word::TRY_WRITE))?;
    done(one.ask(word::RELEASE))?;
    done(other.ask(word::TRY_WRITE))?;
    held(one.ask(word::TRY_WRITE))?;
    Ok(Kept::default())
}

fn shared(stage: &Stage) -> Outcome {
    let path = stage.new_path();
    let (mut one, mut other) = (
        actor(stage, &path, Kind::Fcntl)?,
        actor(stage, &path, Kind::Fcntl)?,
    );
    let mut writer = actor(stage, &path, Kind::Fcntl)?;
    done(one.ask(word::TRY_READ))?;
    done(other.ask(word::TRY_READ))?;
    held(writer.ask(word::TRY_WRITE))?;
    done(one.ask(word::RELEASE))?;
    held(writer.ask(word::TRY_WRITE))?;
    done(other.ask(word::RELEASE))?;
    done(writer.ask(word::TRY_WRITE))?;
    held(one.ask(word::TRY_READ))?;
    Ok(Kept::default())
}

fn upgrade(stage: &Stage) -> Outcome {
    let path = stage.new_path();
    let (mut one, mut other) = (
        actor(stage, &path, Kind::Fcntl)?,
        actor(stage, &path, Kind::Fcntl)?,
    );
    done(one.ask(word::TRY_UPGRADABLE))?;
    held(other.ask(word::TRY_UPGRADABLE))?;
    done(other.ask(word::TRY_READ))?;
    held(one.ask(word::TRY_UPGRADE))?;
    done(other.ask(word::RELEASE))?;
    done(one.ask(word::TRY_UPGRADE))?;
    held(other.ask(word::TRY_READ))?;
    done(one.ask(word::DOWNGRADE))?;
    held(other.ask(word::TRY_WRITE))?;
    done(other.ask(word::TRY_READ))?;
    Ok(Kept::default())
}

fn deadline(stage: &Stage) -> Outcome {
    const LIMIT: Duration = Duration::from_millis(50);
    let path = stage.new_path();
    let (mut holder, mut waiter) = (
        actor(stage, &path, Kind::Fcntl)?,
        actor(stage, &path, Kind::Fcntl)?,
    );
    done(holder.ask(word::TRY_WRITE))?;
    let millis = LIMIT.as_millis();
    ended(
        waiter.ask(&format!("{} {millis}", word::WRITE_WITHIN)),
        LIMIT,
    )
}

fn wake_after_release(stage: &Stage) -> Outcome {
    const ROUNDS: usize = 20;
    let path = stage.new_path();
    let (mut holder, mut waiter) = (
        actor(stage, &path, Kind::Fcntl)?,
        actor(stage, &path, Kind::Fcntl)?,
    );
    done(holder.ask(word::TRY_WRITE))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        begin_wait(&mut waiter)?;
        let released = done(holder.ask(word::RELEASE))?;
        let woken = done(waiter.hear())?;
        times.push(woken.saturating_sub(released));
        std::mem::swap(&mut holder, &mut waiter);
    }
    Ok(Kept::after(times))
}

fn wake_after_kill(stage: &Stage) -> Outcome {
    const ROUNDS: usize = 5;
    let path = stage.new_path();
    let mut holder = actor(stage, &path, Kind::Fcntl)?;
    done(holder.ask(word::TRY_WRITE))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut waiter = actor(stage, &path, Kind::Fcntl)?;
        begin_wait(&mut waiter)?;
        let killed = sys::monotonic_time();
        holder.kill();
        let woken = done(waiter.hear())?;
        times.push(woken.saturating_sub(killed));
        holder = waiter;
    }
    Ok(Kept::after(times))
}

fn begin_wait(waiter: &mut Actor) -> Result<(), Trouble> {
    waiter.tell(word::WRITE);
    match waiter.hear() {
        // The check measures the wake-up, not the time to fall asleep. A waiter that does not sleep
        // yet does no harm.
        Answer::Waiting => {
            thread::sleep(Duration::from_millis(5));
            Ok(())
        }
        Answer::Done(_) => Err(twice()),
        answer => Err(trouble(answer)),
    }
}

fn identity(stage: &Stage) -> Outcome {
    let delete: Change = |path, _| fs::remove_file(path);
    let rename: Change = |path, to| fs::rename(path, to);
    if !notices(stage, Kind::Fcntl, delete)? {
        return Err(Trouble::Broken("a deleted file goes unnoticed".to_owned()));
    }
    if notices(stage, Kind::Fcntl, rename)? {
        return Ok(Kept::default());
    }
    if !notices(stage, Kind::Careful, rename)? {
        return Err(Trouble::Broken("a renamed file goes unnoticed".to_owned()));
    }
    let detail = "a renamed file only after a wait, or with Verify::Path".to_owned();
    Ok(Kept {
        detail,
        times: None,
    })
}

type Change = fn(&Path, &Path) -> std::io::Result<()>;

/// Whether a process that has the file open notices that another file took its place.
fn notices(stage: &Stage, kind: Kind, change: Change) -> Result<bool, Trouble> {
    let path = stage.new_path();
    let mut early = actor(stage, &path, kind)?;
    done(early.ask(word::TRY_WRITE))?;
    change(&path, &stage.new_path())
        .map_err(|error| Trouble::Untested(format!("cannot change the file: {error}")))?;
    let mut late = actor(stage, &path, kind)?;
    done(late.ask(word::TRY_WRITE))?;
    done(early.ask(word::RELEASE))?;
    is_excluded(early.ask(word::TRY_WRITE))
}

fn families(stage: &Stage) -> Result<Families, Trouble> {
    let path = stage.new_path();
    let (mut one, mut other) = (
        actor(stage, &path, Kind::Flock)?,
        actor(stage, &path, Kind::Fcntl)?,
    );
    done(one.ask(word::TRY_WRITE))?;
    if is_excluded(other.ask(word::TRY_WRITE))? {
        Ok(Families::One)
    } else {
        Ok(Families::Apart)
    }
}

fn actor(stage: &Stage, path: &Path, kind: Kind) -> Result<Actor, Trouble> {
    let started = Actor::start(stage, path, kind);
    let actor =
        started.map_err(|error| Trouble::Untested(format!("cannot start a process: {error}")))?;
    match actor.hear() {
        Answer::Open => Ok(actor),
        answer => Err(trouble(answer)),
    }
}
