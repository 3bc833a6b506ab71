//! An instant as people read it in a record: `2033-05-18T03:33:20.000001Z`.

use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The instant in UTC, to the microsecond.
///
/// A clock that is before 1970 or after 9999 is taken to be at that end.
pub(super) fn write(time: SystemTime) -> String {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    let since_epoch = since_epoch.unwrap_or_default().min(LATEST);
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = since_epoch.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The instant of a text that [`write()`] made.
///
/// `None` for any other text, and for an instant that the system's clock can't have.
pub(super) fn read(text: &str) -> Option<SystemTime> {
    let number = |range: Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let micros = number(20..26)?;
    let days = days(year, month, day)?;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    let since_epoch = Duration::from_secs(seconds) + Duration::from_micros(micros);
    let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch)?;
    // So no field was out of its range, and what stands between them is right.
    (write(time) == text).then_some(time)
}

/// The seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// The last microsecond of the year 9999.
const LATEST: Duration = Duration::from_micros(253_402_300_799_999_999);

/// Days from 1 March of the year 0 to 1 January 1970.
///
/// Years are counted from March on here: the leap day is then the last one of its year.
const EPOCH: u64 = 719_468;

/// The days of 400 years, after which the calendar begins anew.
const CYCLE: u64 = 146_097;

/// Year, month and day of a number of days since 1 January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    // Without the leap days before it: one in 4 years, but not in 100, but in 400.
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - days_before(year);
    // From March on the months have 153 days in each five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 400 * cycle + year;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// Days since 1 January 1970, if there is such a month and the date is not earlier.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = match month {
        1..=2 => (year.checked_sub(1)?, month + 9),
        3..=12 => (year, month - 3),
        _ => return None,
    };
    let days = days_before(year) + (153 * month + 2) / 5 + day;
    days.checked_sub(EPOCH + 1)
}

/// The days of that many years from March on.
fn days_before(years: u64) -> u64 {
    365 * years + years / 4 - years / 100 + years / 400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(micros: u64, text: &str) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        assert_eq!(write(time), text);
        assert_eq!(read(text), Some(time));
    }

    #[test]
    fn instants_are_read_as_they_were_written() {
        same(0, "1970-01-01T00:00:00.000000Z");
        same(951_782_400_000_001, "2000-02-29T00:00:00.000001Z");
        same(1_709_210_096_999_999, "2024-02-29T12:34:56.999999Z");
        same(2_000_000_000_000_000, "2033-05-18T03:33:20.000000Z");
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn instants_after_2038_are_read_as_they_were_written() {
        same(4_107_542_399_000_000, "2100-02-28T23:59:59.000000Z");
        same(4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z");
        same(253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn each_day_has_the_date_after_that_of_the_day_before() {
        let is_leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..4 * CYCLE {
            assert_eq!(date(number), (year, month, day));
            assert_eq!(days(year, month, day), Some(number));
            let last = match month {
                2 => 28 + u64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_at_an_end() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(write(before), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn other_texts_are_not_instants() {
        for text in [
            "",
            "2024-02-29",
            "2023-02-29T00:00:00.000000Z",
            "2024-13-01T00:00:00.000000Z",
            "2024-00-01T00:00:00.000000Z",
            "2024-01-00T00:00:00.000000Z",
            "2024-01-01T24:00:00.000000Z",
            "2024-01-01T00:60:00.000000Z",
            "2024-01-01T00:00:00.000000",
            "2024-01-01T00:00:00.000000Zz",
            "2024-01-01 00:00:00.000000Z",
            "2024-01-01T00:00:00.+00001Z",
            "1969-12-31T23:59:59.000000Z",
            "0000-01-01T00:00:00.000000Z",
            "é024-01-01T00:00:00.000000Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
