//! Short forms of durations and texts.

use std::time::Duration;

use ratatui::text::Span;

use crate::top::locks;

/// Formats a duration, with `≥` if it may be longer.
pub(super) fn span(span: locks::Span) -> String {
    let least = if span.is_least { "≥" } else { "" };
    format!("{least}{}", brief(span.length))
}

/// Formats a duration of up to a hundred days in at most six characters.
pub(super) fn brief(length: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match length.as_secs() {
        s @ ..MINUTE => format!("{s}s"),
        s @ MINUTE..HOUR => format!("{}m{:02}s", s / MINUTE, s % MINUTE),
        s @ HOUR..DAY => format!("{}h{:02}m", s / HOUR, s % HOUR / MINUTE),
        s => format!("{}d{:02}h", s / DAY, s % DAY / HOUR),
    }
}

/// Formats an interval, for example `0.5s`.
pub(super) fn interval(length: Duration) -> String {
    let tenths = (length.as_millis() + 50) / 100;
    match (tenths / 10, tenths % 10) {
        (seconds @ 0..60, tenth @ 1..) => format!("{seconds}.{tenth}s"),
        _ => brief(Duration::from_millis(500).saturating_add(length)),
    }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// Shortens a text to its end, which is the more telling part of a path.
pub(super) fn tail(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let fits = |from: &usize| Span::raw(&text[*from..]).width() < width;
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let first = starts.partition_point(|from| !fits(from));
    let from = starts.get(first).copied().unwrap_or(text.len());
    format!("…{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let brief = |seconds| brief(Duration::from_secs(seconds));
        assert_eq!(brief(0), "0s");
        assert_eq!(brief(61), "1m01s");
        assert_eq!(brief(3 * 3600 + 120), "3h02m");
        assert_eq!(brief(99 * 86400 + 86399), "99d23h");
    }

    #[test]
    fn intervals_are_rounded() {
        let interval = |milliseconds| interval(Duration::from_millis(milliseconds));
        assert_eq!(interval(100), "0.1s");
        assert_eq!(interval(980), "1s");
        assert_eq!(interval(1013), "1s");
        assert_eq!(interval(2460), "2.5s");
        assert_eq!(interval(90_000), "1m30s");
    }

    #[test]
    fn the_end_of_a_path_is_kept() {
        assert_eq!(tail("/srv/a.lock", 11), "/srv/a.lock");
        assert_eq!(tail("/srv/a.lock", 7), "…a.lock");
        // Each character takes two columns.
        assert_eq!(tail("日本語", 5), "…本語");
        assert_eq!(tail("日本語", 4), "…語");
        assert_eq!(tail("abc", 1), "…");
        assert_eq!(tail("", 0), "");
    }
}
