//! Times as records have them: UTC without a zone, since the FossaWork application can't compare others.

use time::{Date, Month, OffsetDateTime, Time};

/// `2025-01-14T10:00:00`; `None` for a time after the year 9999.
pub fn format(seconds_since_1970: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds_since_1970).ok()?).ok()?;
    let ((year, month, day), (hour, minute, second)) =
        (time.date().to_calendar_date(), time.to_hms());
    let month = u8::from(month);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// This many days after a time, of which a fraction of a second and a zone are left out; `None` when it is no time, or out
/// of the years that can be named.
pub fn after_days(text: &str, days: u32) -> Option<String> {
    if !is_time(text) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let month = Month::try_from(small(5)?).ok()?;
    let date = Date::from_calendar_date(number(0, 4)?.into(), month, small(8)?).ok()?;
    let time = Time::from_hms(small(11)?, small(14)?, small(17)?).ok()?;
    let seconds = OffsetDateTime::new_utc(date, time).unix_timestamp();
    format(u64::try_from(seconds).ok()?.checked_add(u64::from(days) * 24 * 60 * 60)?)
}

/// Whether the text is a time: `2025-01-14T10:00:00`, perhaps with a fraction of a second, perhaps with a zone. Whoever
/// stores a credential may say when it was made, in the clear, and is not to put anything else there.
pub fn is_time(text: &str) -> bool {
    const PATTERN: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, pattern): (u8, &u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    let Some((time, rest)) = text.split_at_checked(PATTERN.len()) else { return false };
    let (fraction, zone) = match rest.find(['Z', '+', '-']).map(|at| rest.split_at(at)) {
        Some((fraction, zone)) => (fraction, zone),
        None => (rest, "Z"),
    };
    let is_fraction = |digits: &str| {
        (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_zone = zone == "Z" || zone.len() == 6 && zone.bytes().skip(1).zip(b"00:00").all(fits);
    time.bytes().zip(PATTERN).all(fits)
        && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(is_fraction))
        && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_times_from_other_texts() {
        for time in [
            "2025-01-14T10:00:00",
            "2025-01-14T10:00:00.5",
            "2025-01-14T10:00:00.123456",
            "2025-01-14T10:00:00Z",
            "2025-01-14T10:00:00.123456+01:00",
            "2025-01-14T10:00:00-05:30",
        ] {
            assert!(is_time(time), "{time}");
        }
        for text in [
            "",
            "2025-01-14",
            "2025-01-14 10:00:00",
            "2025-01-14T10:00:00 hunter2",
            "2025-01-14T10:00:00.",
            "2025-01-14T10:00:00.1234567890",
            "2025-01-14T10:00:00.hunter2",
            "2025-01-14T10:00:00+hunter2",
            "2025-01-14T10:00:00+01:00:00",
            "2025-01-14T10:00:0é",
            "correct horse battery staple",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }

    #[test]
    fn spells_times_without_a_zone() {
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00"));
        assert_eq!(format(1_709_164_800).as_deref(), Some("2024-02-29T00:00:00"));
        assert_eq!(format(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59"));
        assert_eq!(format(253_402_300_800), None);
        assert_eq!(format(u64::MAX), None);
    }
}
