//! Durations in the syntax that the attributes and the command share.
//!
//! One or more parts of a decimal number and a unit (`ms`, `s`, `m`, `h`, `d`), with optional spaces
//! around each, for example `500ms`, `1.5h` or `1m 30s`. A single number without a unit is seconds.
//! `lockfast-macros` and `lockfast-cli` have the same file.

use std::time::Duration;

/// The expected form, for error messages.
pub(crate) const FORM: &str = "expected a time such as `500ms`, `10s`, `1m 30s`, or `1.5` for \
                               seconds; the units are ms, s, m, h and d";

const TOO_LONG: &str = "the time is too long";

const SECOND: u128 = 1_000_000_000;

/// Parses a duration, or returns the reason why the text is none.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(FORM);
    }
    let mut nanoseconds: u128 = 0;
    let mut is_first = true;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after.trim_start(), char::is_alphabetic);
        let factor = match unit {
            "ms" => SECOND / 1000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" => 24 * 3600 * SECOND,
            "" if is_first && after.is_empty() => SECOND,
            _ => return Err(FORM),
        };
        nanoseconds += scaled(number, factor)?;
        rest = after.trim_start();
        is_first = false;
    }
    let seconds = u64::try_from(nanoseconds / SECOND).map_err(|_| TOO_LONG)?;
    let nanoseconds = u32::try_from(nanoseconds % SECOND).expect("it is less than a second");
    Ok(Duration::new(seconds, nanoseconds))
}

/// Multiplies a decimal number, rounding down.
fn scaled(number: &str, factor: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(FORM);
    }
    let mut sum = match whole {
        "" => 0,
        // All are digits, so there can only be too many.
        digits => u128::from(digits.parse::<u64>().map_err(|_| TOO_LONG)?) * factor,
    };
    let mut place = factor;
    for digit in fraction.bytes() {
        place /= 10;
        sum += u128::from(digit - b'0') * place;
    }
    Ok(sum)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_added_up() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("250ms", 250),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            (" 2h1m ", 7_260_000),
            ("1d", 86_400_000),
            ("10 s", 10_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("0s", 0),
        ] {
            let expected = Ok(Duration::from_millis(milliseconds));
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_seconds() {
        for (text, nanoseconds) in [("0", 0), ("10", 10_000_000_000), ("0.25", 250_000_000)] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_nanos(nanoseconds)),
                "{text:?}"
            );
        }
        let longest = Ok(Duration::from_secs(u64::MAX));
        assert_eq!(parse("18446744073709551615"), longest);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            " ",
            "s",
            ".",
            "1..2s",
            "-1s",
            "-1",
            "+1s",
            "10sec",
            "1s,",
            "10S",
            "1 2",
            "1s 2",
            "nan",
            "inf",
            "1e3",
            "soon",
            "10 parsecs",
        ] {
            assert_eq!(parse(text), Err(FORM), "{text:?}");
        }
        for text in [
            "99999999999999999999s",
            "18446744073709551616",
            "18446744073709551615m",
            "18446744073709551615s 1s",
        ] {
            assert_eq!(parse(text), Err(TOO_LONG), "{text:?}");
        }
    }
}
