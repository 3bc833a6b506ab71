//! Numbers in the syntax of flock(1).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::sys;

/// The reason why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoNumber {
    Form,
    Range,
}

/// Parses a decimal 32-bit integer; leading spaces are allowed.
pub(super) fn integer(text: &OsStr) -> Result<i32, NoNumber> {
    let text = after_spaces(text.as_bytes());
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        text => (false, text.strip_prefix(b"+").unwrap_or(text)),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NoNumber::Form);
    }
    let digits = std::str::from_utf8(digits).expect("digits are ASCII");
    let magnitude: i64 = digits.parse().map_err(|_| NoNumber::Range)?;
    let number = if negative { -magnitude } else { magnitude };
    i32::try_from(number).map_err(|_| NoNumber::Range)
}

/// Parses seconds in any form that the C library reads. `None` is a time that can't be set as a
/// timer.
pub(super) fn seconds(text: &OsStr) -> Result<Option<Duration>, NoNumber> {
    let seconds = sys::float(text).ok_or(NoNumber::Form)?;
    // As in flock(1), less than a microsecond is zero.
    let micros = (seconds * 1e6).trunc();
    if micros == 0.0 {
        return Ok(Some(Duration::ZERO));
    }
    let representable = micros > 0.0 && seconds < 9.2e18;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and below 2^63"
    )]
    let time = representable.then(|| {
        let micros = (seconds.fract() * 1e6) as u64;
        Duration::from_secs(seconds as u64) + Duration::from_micros(micros)
    });
    Ok(time)
}

/// Parses a number of bytes: decimal, octal or hexadecimal. With a unit it may have a fraction; the
/// unit is a power of 1024 (`K`, `KiB`) or 1000 (`KB`).
pub(super) fn size(text: &OsStr) -> io::Result<u64> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let too_large = || io::Error::from_raw_os_error(libc::ERANGE);
    let text = after_spaces(text.as_bytes());
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, rest)
        }
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let (digits, unit) = digits.split_at(leading(digits, radix));
    if digits.is_empty() {
        return Err(invalid());
    }
    let digits = std::str::from_utf8(digits).expect("digits are ASCII");
    let whole = u64::from_str_radix(digits, radix).map_err(|_| too_large())?;
    let (fraction, unit) = match unit {
        [b'.', rest @ ..] => rest.split_at(leading(rest, 10)),
        unit => (&b""[..], unit),
    };
    let (letter, base) = match unit {
        [] if fraction.is_empty() && !text.ends_with(b".") => return Ok(whole),
        [letter] | [letter, b'i', b'B' | b'b'] => (letter, 1024_u64),
        [letter, b'B' | b'b'] => (letter, 1000),
        _ => return Err(invalid()),
    };
    let powers = b"KMGTPEZY".iter();
    let power = powers
        .zip(1..)
        .find_map(|(known, power)| (*known == letter.to_ascii_uppercase()).then_some(power))
        .ok_or_else(invalid)?;
    if whole == 0 && fraction.is_empty() {
        return Ok(0);
    }
    let factor = base.checked_pow(power).ok_or_else(too_large)?;
    let whole = whole.checked_mul(factor).ok_or_else(too_large)?;
    // Digit by digit, each rounded down, as in flock(1).
    let mut divisor: u64 = 1;
    let parts = fraction.iter().map(|digit| {
        divisor = divisor.saturating_mul(10);
        match u64::from(digit - b'0') {
            0 => 0,
            digit => factor / (divisor / digit).max(1),
        }
    });
    Ok(whole.saturating_add(parts.sum()))
}

fn after_spaces(text: &[u8]) -> &[u8] {
    // The C library counts the vertical tab as a space.
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let spaces = text.iter().take_while(|byte| is_space(byte)).count();
    &text[spaces..]
}

fn leading(text: &[u8], radix: u32) -> usize {
    text.iter()
        .take_while(|&&byte| char::from(byte).is_digit(radix))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, number) in [("0", 0), (" +7", 7), ("-12", -12), ("2147483647", i32::MAX)] {
            assert_eq!(integer(OsStr::new(text)), Ok(number), "{text}");
        }
        for text in ["", "x", "1 ", "0x1", "--1", "1.5"] {
            assert_eq!(integer(OsStr::new(text)), Err(NoNumber::Form), "{text}");
        }
        for text in ["2147483648", "99999999999999999999999"] {
            assert_eq!(integer(OsStr::new(text)), Err(NoNumber::Range), "{text}");
        }
    }

    #[test]
    fn times() {
        let millis = |number| Ok(Some(Duration::from_millis(number)));
        let known = [("1", 1000), (" 0.25", 250), ("0x1", 1000), ("1e0", 1000)];
        for (text, number) in known {
            assert_eq!(seconds(OsStr::new(text)), millis(number), "{text}");
        }
        for text in ["0", "-0", "1e-9", "-1e-9"] {
            assert_eq!(seconds(OsStr::new(text)), millis(0), "{text}");
        }
        for text in ["-1", "-0.5", "nan", "inf", "1e400", "1e30"] {
            assert_eq!(seconds(OsStr::new(text)), Ok(None), "{text}");
        }
        for text in ["", "soon", "1 ", "1s"] {
            assert_eq!(seconds(OsStr::new(text)), Err(NoNumber::Form), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let known = [
            ("0", 0),
            ("10", 10),
            (" 10", 10),
            ("0x10", 16),
            ("010", 8),
            ("1K", 1024),
            ("1k", 1024),
            ("1KiB", 1024),
            ("2KB", 2000),
            ("0.5MB", 500_000),
            ("1.25K", 1024 + 204 + 51),
            ("1.05K", 1024 + 51),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, number) in known {
            assert_eq!(size(OsStr::new(text)).ok(), Some(number), "{text}");
        }
        for text in ["", "-1", "x", "1x", "1.5", "1 K", "1KiX", "K", "1Ki"] {
            let error = size(OsStr::new(text)).expect_err(text);
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{text}");
        }
        for text in ["18446744073709551616", "1Z", "16E"] {
            let error = size(OsStr::new(text)).expect_err(text);
            assert_eq!(error.raw_os_error(), Some(libc::ERANGE), "{text}");
        }
    }
}
