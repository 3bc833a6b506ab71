//! Drawing, for screens of any size.

mod detail;
mod help;
mod table;
mod text;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, TableState};

use super::model::{Mode, Model};

/// Drawing state that outlives a frame.
#[derive(Debug)]
pub(super) struct View {
    colours: bool,
    /// Scroll position of the table.
    table: TableState,
}

/// Smaller screens show the table only.
const LINES_FOR_DETAIL: u16 = 14;

impl View {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            colours,
            table: TableState::default(),
        }
    }

    pub(super) fn draw(&mut self, model: &Model, frame: &mut Frame<'_>) {
        let area = frame.area();
        let has_room = area.height >= LINES_FOR_DETAIL;
        let locks = model.locks();
        let selection = model.selection(&locks);
        let selected = selection.map(|at| locks[at]);
        let detail = selected
            .filter(|_| has_room && model.shows_detail())
            .map(|lock| detail::lines(lock, area.height / 2));
        let height = detail.as_ref().map_or(0, Vec::len);
        let [head, body, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(u16::try_from(height).unwrap_or(0)),
            Constraint::Length(1),
        ])
        .areas(area);
        frame.render_widget(self.head(model), head);
        if model.mode() == Mode::Help {
            frame.render_widget(help::text(), body.union(below));
        } else if locks.is_empty() {
            frame.render_widget(Paragraph::new(nothing(model)), body);
        } else {
            self.draw_table(model, &locks, selection, body, frame);
            if let Some(lines) = detail {
                frame.render_widget(Paragraph::new(self.detail(lines)), below);
            }
        }
        frame.render_widget(self.foot(model), foot);
    }

    fn draw_table(
        &mut self,
        model: &Model,
        locks: &[&super::locks::Lock],
        selection: Option<usize>,
        area: Rect,
        frame: &mut Frame<'_>,
    ) {
        let waiting = self.style(Color::Yellow);
        let table = table::table(locks, model.sorting(), area.width, waiting);
        self.table.select(selection);
        frame.render_stateful_widget(table, area, &mut self.table);
    }

    fn head(&self, model: &Model) -> Paragraph<'static> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let Some(looked) = model.looked() else {
            return Paragraph::new("lockfast top: updating ...").style(bold);
        };
        let locks = model.locks();
        let waiters: usize = locks.iter().map(|lock| lock.waiters.len()).sum();
        let every = text::interval(looked.interval);
        let pace = if model.is_paused() {
            "paused".to_owned()
        } else {
            format!("every {every}")
        };
        let mut spans = vec![Span::styled(
            format!(
                "{}, {}, {pace}",
                text::count(locks.len(), "lock"),
                text::count(waiters, "waiter")
            ),
            bold,
        )];
        if !model.filter().is_empty() {
            spans.push(Span::raw(format!(", only \"{}\"", model.filter())));
        }
        if looked.deadlocks > 0 {
            let count = text::count(looked.deadlocks, "deadlock");
            let alarm = self.style(Color::Red).add_modifier(Modifier::BOLD);
            let text = format!("  {count}: see lockfast ls --deadlocks");
            spans.push(Span::styled(text, alarm));
        }
        Paragraph::new(Line::from(spans))
    }

    fn foot(&self, model: &Model) -> Paragraph<'static> {
        let faint = Style::new().add_modifier(Modifier::DIM);
        let text = match model.mode() {
            Mode::Filter => {
                return Paragraph::new(format!("filter: {}_", model.filter()));
            }
            Mode::Help => "any key: back  q quit".to_owned(),
            Mode::Table => {
                let gaps = model.looked().and_then(|looked| looked.incomplete.as_ref());
                if let Some(gaps) = gaps {
                    let text = gaps.to_string();
                    return Paragraph::new(text).style(self.style(Color::Yellow));
                }
                "q quit  ? help  / filter  < > sort  r reverse  space pause  d detail".to_owned()
            }
        };
        Paragraph::new(text).style(faint)
    }

    fn detail(&self, lines: Vec<detail::DetailLine>) -> Vec<Line<'static>> {
        let title = Style::new().add_modifier(Modifier::UNDERLINED);
        lines
            .into_iter()
            .map(|line| match line {
                detail::DetailLine::Title(text) => Line::styled(text, title),
                detail::DetailLine::Holds(text) => Line::styled(text, self.style(Color::Green)),
                detail::DetailLine::Waits(text) => Line::styled(text, self.style(Color::Yellow)),
                detail::DetailLine::More(text) => Line::raw(text),
            })
            .collect()
    }

    fn style(&self, colour: Color) -> Style {
        if self.colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }
}

fn nothing(model: &Model) -> &'static str {
    match model.looked() {
        None => "",
        Some(_) if model.filter().is_empty() => "no locks",
        Some(_) => "no lock matches the filter",
    }
}

#[cfg(test)]
mod tests;
