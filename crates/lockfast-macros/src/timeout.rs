//! Times as people write them: `10s`, `1m 30s`.

/// What a time looks like.
pub(crate) const FORM: &str =
    "a time is a text of numbers with units (ms, s, m, h), for example \"10s\" or \"1m 30s\"";

const TOO_LONG: &str = "the time is longer than can be counted";

/// Its sum in milliseconds, or what is wrong.
pub(crate) fn milliseconds(text: &str) -> Result<u64, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(FORM);
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(FORM),
        };
        if number.is_empty() {
            return Err(FORM);
        }
        // All are digits: what can be wrong is that there are too many.
        let number: u64 = number.parse().map_err(|_| TOO_LONG)?;
        sum = number
            .checked_mul(factor)
            .and_then(|part| sum.checked_add(part))
            .ok_or(TOO_LONG)?;
        rest = after.trim_start();
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
        for (text, expected) in [
            ("10s", 10_000),
            ("250ms", 250),
            ("1m 30s", 90_000),
            (" 2h1m ", 7_260_000),
            ("0s", 0),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", " ", "10", "s", "10 s", "1.5s", "-1s", "10sec", "1s,", "10S",
        ] {
            assert_eq!(milliseconds(text), Err(FORM), "{text:?}");
        }
        for text in [
            "99999999999999999999s",
            "18446744073709551615s",
            "18446744073709551615ms 1ms",
        ] {
            assert_eq!(milliseconds(text), Err(TOO_LONG), "{text:?}");
        }
    }
}
