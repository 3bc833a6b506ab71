use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::top::locks::samples::{lock, waited};
use crate::top::model::Looked;

fn model(deadlocks: usize) -> Model {
    let mut model = Model::default();
    let locks = vec![
        lock(
            1,
            "/srv/a/very/long/way/to/a/file/far/below/nightly.lock",
            1,
            &[3, 9],
        ),
        lock(2, "/srv/caf\\xe9.lock", 2, &[]),
        waited(&[(5, true)]),
    ];
    let interval = Duration::from_secs(1);
    let incomplete = None;
    let looked = Looked {
        interval,
        deadlocks,
        incomplete,
    };
    model.show(locks, looked);
    model
}

fn drawn(model: &Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    let mut view = View::new(true);
    terminal
        .draw(|frame| view.draw(model, frame))
        .expect("a buffer");
    let buffer = terminal.backend().buffer();
    let line = |y| {
        let cell = |x| buffer[(x, y)].symbol();
        (0..width)
            .map(cell)
            .collect::<String>()
            .trim_end()
            .to_owned()
    };
    (0..height).map(line).collect()
}

fn press(model: &mut Model, key: char) {
    model.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
}

#[test]
fn eighty_columns_have_everything() {
    let lines = drawn(&model(0), 80, 24);
    assert_eq!(lines[0], "3 locks, 3 waiters, every 1s");
    assert_eq!(
        lines[1],
        "WAITERS▼ WAIT    HELD    MODE       PID      LOCK             COMMAND"
    );
    assert_eq!(
        lines[2],
        "2        9s      ≥10s    writer     1001     …ow/nightly.lock command-1"
    );
    assert_eq!(
        lines[3],
        "1        ≥5s     -       -          -                         -"
    );
    let below: Vec<_> = lines.iter().filter(|line| line.contains("for ")).collect();
    assert_eq!(
        below,
        [
            "holding exclusive writer (ofd) for ≥10s: pid 1001 of ?: command-1",
            "waiting exclusive writer (ofd) for 9s: pid 3001 of ?: command-2001",
            "waiting exclusive writer (ofd) for 3s: pid 3000 of ?: command-2000",
        ]
    );
    assert!(lines[23].starts_with("q quit  ? help"));
}

#[test]
fn every_size_is_drawn() {
    let mut model = model(1);
    for key in ['x', '?', 'x', '/'] {
        press(&mut model, key);
        for width in [1, 2, 7, 8, 20, 29, 30, 49, 50, 69, 70, 80, 300] {
            for height in [1, 2, 3, 4, 13, 14, 24, 100] {
                drawn(&model, width, height);
            }
        }
    }
    let narrow = drawn(&self::model(0), 24, 8);
    assert_eq!(narrow[1], "WAITERS▼ LOCK");
    assert!(narrow[2].starts_with("2        …") && narrow[2].ends_with("nightly.lock"));
}

#[test]
fn a_deadlock_is_shown_in_the_first_line() {
    let lines = drawn(&model(1), 80, 24);
    assert!(
        lines[0].contains("1 deadlock: see lockfast ls --deadlocks"),
        "{lines:?}"
    );
}

#[test]
fn help_and_filter_take_the_keys() {
    let mut model = model(0);
    press(&mut model, '?');
    let lines = drawn(&model, 80, 24);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("sort by another column"))
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80));
    press(&mut model, 'x');
    for key in ['/', 'n', 'i'] {
        press(&mut model, key);
    }
    let lines = drawn(&model, 80, 24);
    assert_eq!(lines[23], "filter: ni_");
    assert!(lines[0].starts_with("1 lock, 2 waiters"), "{lines:?}");
}

#[test]
fn without_colours_nothing_has_one() {
    for colours in [true, false] {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a buffer");
        let mut view = View::new(colours);
        let model = model(1);
        terminal
            .draw(|frame| view.draw(&model, frame))
            .expect("a buffer");
        let cells = terminal.backend().buffer().content.iter();
        let coloured = cells.filter(|cell| cell.fg != Color::Reset).count();
        assert_eq!(coloured > 0, colours, "{coloured}");
    }
}

#[test]
fn more_waiters_than_fit_are_counted() {
    let waits: Vec<u64> = (1..=40).collect();
    let lines = detail::lines(&lock(1, "/srv/a.lock", 1, &waits), 7);
    assert_eq!(lines.len(), 7);
    let more = detail::DetailLine::More("and 36 more".to_owned());
    assert_eq!(lines.last(), Some(&more));
}
