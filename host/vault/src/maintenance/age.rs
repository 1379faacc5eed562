//! Ages, and the times in records and in the audit log.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whether a time in a record is longer ago than this; `false` if there is none.
///
/// Records have ISO 8601 times, whose first 19 characters sort chronologically. The FossaWork application writes local
/// times, so that its records can be off by a few hours.
pub fn is_older_than(time: Option<&str>, age: Duration) -> bool {
    let limit = time_ago(age).unwrap_or_default();
    time.and_then(|time| time.get(..19)).is_some_and(|time| time < limit.as_str())
}

/// The time this long ago, as records and the audit log have it: in UTC, to the second, 19 characters. `None`: before the
/// years that they can name.
pub fn time_ago(age: Duration) -> Option<String> {
    let now = OffsetDateTime::from(SystemTime::now());
    let time = now.checked_sub(time::Duration::try_from(age).ok()?)?;
    time.format(&Rfc3339).ok()?.get(..19).map(str::to_owned)
}
