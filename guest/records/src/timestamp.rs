//! Times as records have them: UTC without a zone, since the FossaWork application can't compare others.

use time::OffsetDateTime;

/// `2025-01-14T10:00:00`; `None` for a time after the year 9999.
pub fn format(seconds_since_1970: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds_since_1970).ok()?).ok()?;
    let ((year, month, day), (hour, minute, second)) =
        (time.date().to_calendar_date(), time.to_hms());
    let month = u8::from(month);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn spells_times_without_a_zone() {
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00"));
        assert_eq!(format(1_709_164_800).as_deref(), Some("2024-02-29T00:00:00"));
        assert_eq!(format(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59"));
        assert_eq!(format(253_402_300_800), None);
        assert_eq!(format(u64::MAX), None);
    }
}
