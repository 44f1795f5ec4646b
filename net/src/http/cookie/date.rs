//! Dates as lenient as [RFC 6265, section 5.1.1] asks for.
//!
//! Servers write them in a dozen forms. The RFC does not list the forms but says how to find a time, a
//! day, a month and a year among whatever else is there.
//!
//! [RFC 6265, section 5.1.1]: https://www.rfc-editor.org/rfc/rfc6265#section-5.1.1

use std::time::{Duration, SystemTime};

/// The point in time that a date stands for; `None` if it stands for none. A year before 1970 is
/// the beginning of 1970: for a cookie, both are long ago.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        // Each is the first token of its form, and a token is taken for one thing only.
        if time.is_none()
            && let Some(found) = parse_time(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = leading_number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = parse_month(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = leading_number(token, 2, 4)
        {
            year = Some(match found {
                70..=99 => found + 1900,
                0..=69 => found + 2000,
                _ => found,
            });
        }
    }
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    if !(1..=days_of(month, year)).contains(&day) || year < 1601 {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn is_delimiter(character: char) -> bool {
    matches!(
        character,
        '\x09' | '\x20'..='\x2f' | '\x3b'..='\x40' | '\x5b'..='\x60' | '\x7b'..='\x7e'
    )
}

/// A number of `least` to `most` digits at the beginning; what follows it must not be a digit.
fn leading_number(token: &str, least: usize, most: usize) -> Option<u32> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    if !(least..=most).contains(&digits) {
        return None;
    }
    token[..digits].parse().ok()
}

fn parse_time(token: &str) -> Option<(u32, u32, u32)> {
    let mut parts = token.splitn(3, ':');
    let mut next = || parts.next();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let whole = |part: &str| {
        let number = leading_number(part, 1, 2);
        number.filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Some((whole(hour)?, whole(minute)?, leading_number(second, 1, 2)?))
}

fn parse_month(token: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let name = token.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(name))?;
    Some(at as u32 + 1)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(month: u32, year: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days in the proleptic Gregorian calendar; negative before 1970.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let before = i64::from(year) - 1;
    // 719_162 days lie between the first day of year 1 and that of 1970.
    let years = before * 365 + before / 4 - before / 100 + before / 400 - 719_162;
    let months: u32 = (1..month).map(|month| days_of(month, year)).sum();
    years + i64::from(months + day) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let time = parse(text)?;
        Some(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        )
    }

    #[test]
    fn dates_in_all_their_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "06 nov 1994 8:49:37",
            "1994 november 06th 08:49:37 whatever",
            "08:49:37; 6 Nov 94;;",
            "Sun, 6-NOVEMBER-1994 08:49:37.123 +0100",
        ] {
            assert_eq!(seconds(text), Some(784_111_777), "{text}");
        }
        assert_eq!(seconds("1 Jan 1970 00:00:00"), Some(0));
        assert_eq!(seconds("29 Feb 2000 00:00:00"), Some(951_782_400));
        assert_eq!(seconds("31 Dec 9999 23:59:59"), Some(253_402_300_799));
        assert_eq!(seconds("1 Jan 69 00:00:00"), Some(3_124_224_000));
        assert_eq!(seconds("1 Jan 1601 00:00:00"), Some(0));
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Sun, 06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "29 Feb 1999 00:00:00",
            "31 Apr 2000 00:00:00",
            "0 Jan 2000 00:00:00",
            "1 Jan 1600 00:00:00",
            "1 Jan 2000 24:00:00",
            "1 Jan 2000 00:60:00",
            "1 Jan 2000 00:00:60",
            "1 Jan 20000 00:00:00",
            "1 J\u{e4}n 2000 00:00:00",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
