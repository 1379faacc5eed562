//! Ages, and the times in records and in the audit log.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How far ahead a time may be that a right clock wrote: it may be local, and clocks differ.
pub(crate) const AHEAD: Duration = Duration::from_hours(24);

/// Whether a time in a record was written by a clock that was wrong: it is more than a day ahead.
pub fn is_in_the_future(time: Option<&str>) -> bool {
    let limit = time_at(SystemTime::now() + AHEAD);
    time.and_then(|time| time.get(..19)).zip(limit).is_some_and(|(time, limit)| time > &*limit)
}

/// Whether a time in a record is longer ago than this; `false` if there is none. One in the future is: it doesn't tell
/// how old the record is, and must not exempt it for ever from what depends on its age.
///
/// Records have ISO 8601 times, whose first 19 characters sort chronologically. The FossaWork application writes local
/// times, so that its records can be off by a few hours.
pub fn is_older_than(time: Option<&str>, age: Duration) -> bool {
    let limit = time_ago(age).unwrap_or_default();
    let is_older = |time: &str| time < limit.as_str();
    time.and_then(|time| time.get(..19)).is_some_and(is_older) || is_in_the_future(time)
}

/// Whether a time in a record is past, or will be after this; `true` if there is none to tell from.
pub(crate) fn is_over_by(time: Option<&str>, after: Duration) -> bool {
    let then = SystemTime::now().checked_add(after).and_then(time_at);
    match (time.and_then(|time| time.get(..19)), then) {
        (Some(time), Some(then)) => time <= then.as_str(),
        _ => true,
    }
}

/// The time this long ago, as records and the audit log have it: in UTC, to the second, 19 characters. `None`: before the
/// years that they can name.
pub fn time_ago(age: Duration) -> Option<String> {
    let now = OffsetDateTime::from(SystemTime::now());
    text(now.checked_sub(time::Duration::try_from(age).ok()?)?)
}

fn time_at(time: SystemTime) -> Option<String> {
    text(time.into())
}

fn text(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()?.get(..19).map(str::to_owned)
}
