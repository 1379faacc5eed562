//! When a credential expires: at a time, or at an age.

use crate::timestamp;

/// The largest age, in days: a hundred years.
const MAX_DAYS: u32 = 36_500;

/// When a credential expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time, in UTC: `2025-01-14T10:00:00`.
    At(String),
    /// This many days after it was created, 1 to 36,500.
    AfterDays(u32),
}

impl Expiry {
    /// What a caller says to have none.
    pub const NEVER: &str = "never";

    /// Reads `2025-01-14T10:00:00` or `90d`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(days) = text.strip_suffix('d') else {
            let is_spelled_so = |time: &String| time == text;
            return timestamp::after_days(text, 0).filter(is_spelled_so).map(Self::At);
        };
        let number: u32 = days.parse().ok().filter(|number| (1..=MAX_DAYS).contains(number))?;
        // There is one spelling of a number.
        (number.to_string() == days).then_some(Self::AfterDays(number))
    }

    /// The time at which a credential expires that was created at this time; `None`: that one can't be read.
    pub fn at(self, created_at: &str) -> Option<String> {
        match self {
            Self::At(time) => Some(time),
            Self::AfterDays(days) => timestamp::after_days(created_at, days),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn is_a_time_or_an_age() {
        let time = "2025-01-14T10:00:00";
        assert_eq!(Expiry::parse(time), Some(Expiry::At(time.to_owned())));
        assert_eq!(Expiry::parse("90d"), Some(Expiry::AfterDays(90)));
        assert_eq!(Expiry::parse("36500d"), Some(Expiry::AfterDays(36_500)));
        for text in [
            "",
            "d",
            "0d",
            "-1d",
            "+1d",
            "01d",
            " 1d",
            "1d ",
            "1D",
            "1",
            "36501d",
            "4294967297d",
            "1.5d",
            "never",
            "2025-01-14",
            "2025-01-14T10:00:00Z",
            "2025-01-14T10:00:00.5",
            "2025-02-30T10:00:00",
            "2025-01-14 10:00:00",
            "2025-01-14T24:00:00",
            "2025-01-14T10:00:60",
            "+025-01-14T10:00:00",
            "\u{662}025-01-14T10:00:00",
            "2025-01-14T10:00:00d",
        ] {
            assert_eq!(Expiry::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_age_counts_from_the_creation() {
        let at = |expiry: &str, created_at| Expiry::parse(expiry).unwrap().at(created_at);
        assert_eq!(at("1d", "2024-02-28T23:59:59").as_deref(), Some("2024-02-29T23:59:59"));
        assert_eq!(
            at("365d", "2025-06-16T13:02:36.123456").as_deref(),
            Some("2026-06-16T13:02:36")
        );
        assert_eq!(at("36500d", "9999-01-01T00:00:00"), None);
        assert_eq!(at("1d", "yesterday"), None);
        let time = "2025-01-14T10:00:00";
        assert_eq!(at(time, "yesterday").as_deref(), Some(time));
    }
}
