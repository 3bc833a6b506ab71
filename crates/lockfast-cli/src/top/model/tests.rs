use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::top::locks::samples::{lock, waited};

fn looked() -> Looked {
    Looked {
        interval: Duration::from_secs(1),
        deadlocks: 0,
        incomplete: None,
    }
}

fn model() -> Model {
    let mut model = Model::default();
    let locks = vec![
        lock(1, "/srv/quiet.lock", 1, &[]),
        lock(2, "/srv/busy.lock", 2, &[3, 9]),
        lock(3, "/srv/slow.lock", 3, &[60]),
        lock(4, "/srv/also.lock", 4, &[70]),
    ];
    model.show(locks, looked());
    model
}

fn press(model: &mut Model, keys: &str) -> Action {
    let mut action = Action::GoOn;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        action = model.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    action
}

fn names(model: &Model) -> Vec<&str> {
    fn name(lock: &Lock) -> Option<&str> {
        lock.place.strip_suffix(".lock")?.strip_prefix("/srv/")
    }
    let locks = model.locks().into_iter();
    locks.filter_map(name).collect()
}

fn selected(model: &Model) -> Option<String> {
    let locks = model.locks();
    Some(locks[model.selection(&locks)?].place.clone())
}

#[test]
fn most_waiters_come_first_and_then_the_longest_wait() {
    let mut model = model();
    assert_eq!(names(&model), ["busy", "also", "slow", "quiet"]);
    press(&mut model, ">");
    assert_eq!(model.sorting(), (Column::Wait, false));
    assert_eq!(names(&model), ["also", "slow", "busy", "quiet"]);
    press(&mut model, "r");
    assert_eq!(names(&model), ["quiet", "busy", "slow", "also"]);
    press(&mut model, "<<<");
    assert_eq!(model.sorting(), (Column::Lock, false));
    assert_eq!(names(&model), ["also", "busy", "quiet", "slow"]);
}

#[test]
fn a_selected_lock_stays_selected_wherever_it_moves() {
    let mut model = model();
    assert_eq!(selected(&model).as_deref(), Some("/srv/busy.lock"));
    press(&mut model, "kjj");
    assert_eq!(selected(&model).as_deref(), Some("/srv/slow.lock"));
    press(&mut model, "r");
    assert_eq!(selected(&model).as_deref(), Some("/srv/slow.lock"));
    press(&mut model, "jjjjjj");
    assert_eq!(selected(&model).as_deref(), Some("/srv/busy.lock"));
    // The first is selected once it is gone.
    model.show(vec![lock(1, "/srv/quiet.lock", 1, &[])], looked());
    assert_eq!(selected(&model).as_deref(), Some("/srv/quiet.lock"));
    model.show(Vec::new(), looked());
    assert_eq!(selected(&model), None);
    press(&mut model, "jk");
}

#[test]
fn a_filter_is_typed_changed_kept_and_cleared() {
    let mut model = model();
    press(&mut model, "/SLOQ");
    assert_eq!((model.mode(), names(&model).len()), (Mode::Filter, 0));
    press(&mut model, "\u{8}W");
    assert_eq!(names(&model), ["slow"]);
    // In the filter `q` is a letter.
    assert_eq!(press(&mut model, "q"), Action::GoOn);
    press(&mut model, "\u{8}\n");
    assert_eq!((model.mode(), model.filter()), (Mode::Table, "SLOW"));
    assert_eq!(names(&model), ["slow"]);
    press(&mut model, "\u{1b}");
    assert_eq!(names(&model).len(), 4);
    // Match by pid and by command.
    press(&mut model, "/1002\n");
    assert_eq!(names(&model), ["busy"]);
    press(&mut model, "\u{1b}/command-4\n");
    assert_eq!(names(&model), ["also"]);
    press(&mut model, "/\u{1b}");
    assert_eq!((model.mode(), model.filter()), (Mode::Table, ""));
}

#[test]
fn keys_end_pause_and_help() {
    let mut model = model();
    assert_eq!(press(&mut model, "?"), Action::GoOn);
    assert_eq!(model.mode(), Mode::Help);
    press(&mut model, "x");
    assert_eq!(model.mode(), Mode::Table);
    assert!(!model.is_paused());
    press(&mut model, " ");
    assert!(model.is_paused());
    press(&mut model, "pd");
    assert!(!model.is_paused() && !model.shows_detail());
    assert_eq!(press(&mut model, "q"), Action::Quit);
    for (key, action) in [
        ('c', Action::Quit),
        ('l', Action::Redraw),
        ('z', Action::Suspend),
    ] {
        for begin in ["", "/", "\u{1b}?"] {
            press(&mut model, begin);
            let key = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
            assert_eq!(model.press(key), action);
        }
        press(&mut model, "x\u{1b}");
    }
}

#[test]
fn the_longest_duration_is_shown() {
    let lock = waited(&[(5, false), (5, true), (2, true)]);
    let longest = lock.longest_wait().expect("three wait");
    assert_eq!((longest.length.as_secs(), longest.is_least), (5, true));
    assert_eq!(lock.longest_hold(), None);
}
