//! `lockfast top`: watches holders and waiters on a terminal.
//!
//! Parts:
//! - `locks`: the result of one update, each lock with its holders and waiters
//! - `memory`: the time when each of them was first seen
//! - `column`: columns and sort orders
//! - `model`: the state on display and its keys; knows no terminal
//! - `view`: the drawing, for screens of any size
//! - `screen`: the terminal, which is always restored
//! - `events`: keys, signals and updates; a thread waits for each, so nothing polls
//! - `pace`: the time of the next update, so that updates cost little

mod column;
mod events;
mod locks;
mod memory;
mod model;
mod pace;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::time::{Instant, SystemTime};

use self::events::{Event, Events};
use self::model::{Action, Model};
use self::pace::Pace;
use self::screen::Screen;
use self::view::View;
use crate::args;
use crate::exit::{Exit, say};
use crate::inspect::{Scope, has_colours};
use crate::sys;

pub(crate) fn run(arguments: &args::Top) -> Exit {
    let scope = match &arguments.paths[..] {
        [] => Ok(Scope::machine()),
        paths => Scope::below(paths),
    };
    let scope = match scope {
        Ok(scope) => scope,
        Err(exit) => return exit,
    };
    if !is_on_terminal() {
        say("top needs a terminal that can move its cursor; `lockfast ls` prints the locks once");
        return Exit::USAGE;
    }
    let events = match Events::listen(scope) {
        Ok(events) => events,
        Err(error) => {
            say(format_args!("cannot watch keys and signals: {error}"));
            return Exit::SYSTEM;
        }
    };
    let shown = Screen::open().and_then(|screen| show(arguments, &events, screen));
    shown.unwrap_or_else(|error| {
        say(format_args!("cannot use the terminal: {error}"));
        Exit::SYSTEM
    })
}

fn is_on_terminal() -> bool {
    let can_move = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && can_move
}

/// Runs until the user or a signal ends it.
fn show(arguments: &args::Top, events: &Events, mut screen: Screen) -> io::Result<Exit> {
    let mut model = Model::default();
    let mut view = View::new(has_colours());
    let mut pace = Pace::new(arguments.interval);
    loop {
        screen.draw(|frame| view.draw(&model, frame))?;
        if pace.is_due(Instant::now()) && !model.is_paused() {
            pace.begin();
            events.look();
        }
        let until = if model.is_paused() { None } else { pace.due() };
        let Some(event) = events.next(until) else {
            continue;
        };
        let action = match event {
            Event::Key(key) => model.press(key),
            Event::Resized => Action::GoOn,
            Event::Looked(Ok(report), took) => {
                pace.end(Instant::now(), took);
                if !model.is_paused() {
                    model.update(&report, pace.interval(), SystemTime::now());
                }
                Action::GoOn
            }
            Event::Looked(Err(error), _) => {
                drop(screen);
                say(error);
                return Ok(Exit::SYSTEM);
            }
            Event::Continued => Action::Redraw,
            Event::Signal(signal) => return Ok(Exit::killed_by(signal)),
            // The keyboard is gone, or a thread has ended.
            Event::Lost => return Ok(Exit::SYSTEM),
        };
        match action {
            Action::GoOn => {}
            Action::Quit => return Ok(Exit::SUCCESS),
            Action::Redraw => screen.reopen()?,
            Action::Suspend => {
                screen.close();
                sys::suspend();
                screen.reopen()?;
            }
        }
    }
}
