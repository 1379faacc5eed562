//! The times that the FossaWork application writes into its records: local ones, without a zone.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::contract::{Envelope, RecordKind, Revealed, Summary, TokenEncoding, VersionHistory};
use moat_format::expiry::Expiry;

/// Brings a local time to UTC, as records have it otherwise. What has no fraction of a second stays as it is: the
/// application writes one, and nobody else does.
fn bring_to_utc(time: &mut Option<String>, zone: &TimeZone) {
    let local = time.as_deref().filter(|time| time.contains('.') && !has_zone(time));
    let local = local.and_then(|local| local.parse::<DateTime>().ok());
    let zoned = local.and_then(|local| local.to_zoned(zone.clone()).ok());
    if let Some(zoned) = zoned {
        *time = Some(zoned.with_time_zone(TimeZone::UTC).strftime("%FT%T").to_string());
    }
}

/// Whether a time of a record says its zone.
fn has_zone(time: &str) -> bool {
    time.get(19..).is_some_and(|rest| rest.contains(['Z', '+', '-']))
}

impl Envelope {
    /// Whether the FossaWork application wrote it, or can read it.
    fn is_of_the_application(&self) -> bool {
        self.encoding == Some(TokenEncoding::App) || self.kind != RecordKind::Current
    }

    /// Brings the times that the application wrote to UTC.
    pub(crate) fn bring_to_utc(&mut self, zone: &TimeZone) {
        if self.is_of_the_application() {
            bring_to_utc(&mut self.created_at, zone);
        }
    }
}

impl Summary {
    /// As [`Envelope::bring_to_utc`].
    pub(crate) fn bring_to_utc(&mut self, zone: &TimeZone) {
        self.envelope.bring_to_utc(zone);
        if self.envelope.is_of_the_application() {
            bring_to_utc(&mut self.created_at, zone);
            bring_to_utc(&mut self.last_used, zone);
            let expiry = self.expires.as_deref().and_then(Expiry::parse);
            let created_at = self.created_at.as_deref().unwrap_or_default();
            self.expires_at = expiry.and_then(|expiry| expiry.at(created_at));
        }
    }
}

impl Revealed {
    /// As [`Envelope::bring_to_utc`].
    pub(crate) fn bring_to_utc(&mut self, zone: &TimeZone) {
        self.summary.bring_to_utc(zone);
        if self.summary.envelope.is_of_the_application() {
            bring_to_utc(&mut self.credential.created_at, zone);
            bring_to_utc(&mut self.credential.last_used, zone);
        }
    }
}

impl VersionHistory {
    /// As [`Envelope::bring_to_utc`].
    pub(crate) fn bring_to_utc(&mut self, zone: &TimeZone) {
        self.summary.bring_to_utc(zone);
        if self.summary.envelope.is_of_the_application() {
            self.versions
                .iter_mut()
                .for_each(|version| bring_to_utc(&mut version.created_at, zone));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn utc(zone: &str, time: &str) -> String {
        let mut time = Some(time.to_owned());
        bring_to_utc(&mut time, &TimeZone::posix(zone).unwrap());
        time.unwrap()
    }

    #[test]
    fn only_what_the_application_wrote_is_local() {
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        for (local, expected) in [
            ("2025-01-14T10:00:00.123456", "2025-01-14T09:00:00"),
            ("2025-07-14T00:30:00.5", "2025-07-13T22:30:00"),
            // Twice that night, and never.
            ("2025-10-26T02:30:00.000001", "2025-10-26T00:30:00"),
            ("2025-03-30T02:30:00.000001", "2025-03-30T01:30:00"),
            ("2025-01-14T10:00:00", "2025-01-14T10:00:00"),
            ("2025-01-14T10:00:00.123456Z", "2025-01-14T10:00:00.123456Z"),
            ("2025-01-14T10:00:00.123456+01:00", "2025-01-14T10:00:00.123456+01:00"),
            ("now.", "now."),
        ] {
            assert_eq!(utc(berlin, local), expected, "{local}");
        }
        assert_eq!(utc("EST5", "2025-01-14T22:00:00.1"), "2025-01-15T03:00:00");
    }
}
