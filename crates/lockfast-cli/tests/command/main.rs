//! `lockfast run` as its users see it: real processes, ordered by what they say.

mod flock;
mod options;
mod record;
mod run;
mod signals;
mod stage;
mod terminal;
