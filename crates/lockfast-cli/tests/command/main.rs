//! `lockfast` as its users see it: real processes, ordered by what they say.

#[cfg(target_os = "linux")]
mod inspect;
mod options;
mod record;
mod run;
mod signals;
mod stage;
mod terminal;
