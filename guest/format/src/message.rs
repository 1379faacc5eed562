//! What the component says of a failure, for people. It says nothing but these texts, so that a host can tell that none
//! carries anything else out, such as a key.

use std::fmt;

use crate::files::SETTINGS;

/// The members that a message can name: of records, of settings, and of what is encrypted.
const MEMBERS: [&str; 23] = [
    "user_id",
    "encrypted_data",
    "encryption_version",
    "created_at",
    "key_id",
    "kdf",
    "write_counter",
    "crypto_available",
    "record_version",
    "token_encoding",
    "mac",
    "username",
    "password",
    "last_used",
    "is_valid",
    "validation_attempts",
    "fields",
    "record",
    "history",
    "expires",
    "earlier_versions",
    "number",
    "replaced_at",
];

/// What is wrong with a member of a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It isn't there.
    Missing,
    /// It is there twice, and readers differ in which of the two they take.
    Twice,
    /// It is of another type than it must be.
    WrongType,
    /// It has a value that JSON can't express.
    NotJson,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Missing, Self::Twice, Self::WrongType, Self::NotJson];

    /// What follows the name of the member.
    fn text(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Twice => "occurs twice",
            Self::WrongType => "has the wrong type",
            Self::NotJson => "can't be written as JSON",
        }
    }
}

/// Declares the messages: `Case = "text"`.
macro_rules! messages {
    ($($case:ident = $text:literal,)+) => {
        /// What the component says of a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message {
            $(#[doc = $text] $case,)+
            /// What is wrong with the member of this name.
            Member(&'static str, Fault),
        }

        /// All texts but those of members.
        const TEXTS: [&str; [$($text),+].len()] = [$($text),+];

        impl fmt::Display for Message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$case => f.write_str($text),)+
                    Self::Member(name, fault) => write!(f, "`{name}` {}", fault.text()),
                }
            }
        }
    };
}

messages! {
    // The record.
    NoRecord = "there is no credential for this user",
    RecordExists = "this user already has a credential",
    OtherRevision = "the record doesn't have the expected revision",
    RecordTooLarge = "the record has more than the 65536 bytes allowed",
    NewRecordTooLarge = "the record would have more than the 61440 bytes allowed for a new one",
    RecordNotUtf8 = "the record is not UTF-8",
    RecordNotAnObject = "the record is not a JSON object",
    RecordNotJson = "the record can't be written as JSON",
    AnotherUser = "`user_id` names another user than the file does",
    NeitherVersionNorKind = "the record has neither `encryption_version` nor `crypto_available`",
    UnknownVersion = "the record version is unknown: known are 1.0 and 2.0",
    NotAToken = "`encrypted_data` is not a Fernet token",
    NotBase64 = "`encrypted_data` is not base64",
    NameTaken = "the record has an unknown member whose name version 2.0 uses",
    CounterAtItsEnd = "`write_counter` is at its end: remove the record and store the credential again",
    EnvelopeAltered =
        "the record was altered: its envelope is not the one that was encrypted with it",
    NotEncrypted =
        "this legacy record is not encrypted: anyone who could write to the directory could have chosen its password",
    PublishedKey =
        "the record is encrypted with the application's published default key: anyone who could write to the directory could have chosen its password",
    NotDecrypted = "no master key decrypts the record: it was encrypted with another key, or altered",
    NotSound = "what was encrypted can't be decrypted again",
    NotABackup = "this is not the name of a backup",

    // The credential.
    PlaintextNotAnObject = "the decrypted text is not a JSON object",
    PlaintextNotJson = "the credential can't be written as JSON",
    StoredField = "a field occurs twice or is not a string",
    FieldName = "the name of a field is empty or has a control character",
    FieldReserved =
        "a field can't be named user_id, username, password, created_at, last_used, is_valid, validation_attempts, expires, fields, encryption_version or key_id",
    FieldTwice = "a field is given twice",
    NoSuchField = "the credential has no field of the name to be removed",
    NothingToChange = "nothing to change was specified",
    CreatedAt = "`created_at` is not a time, such as 2025-01-14T10:00:00",
    Expires = "`expires` is neither a time, such as 2025-01-14T10:00:00, nor an age in days from 1d to 36500d, nor never",
    NoSuchVersion = "the credential has no earlier version of this number",
    ClockTooLate = "the clock is past the year 9999",

    // The settings of the directory.
    SettingsNotAnObject = "moat.json is not a JSON object",
    SettingsNotJson = "moat.json can't be written as JSON",
    SettingsNotAuthentic =
        "no master key authenticates moat.json: it was altered, or written with another key",
    LongHistory = "more than 100 earlier versions are not kept",
    UnknownEncoding = "`token_encoding` is unknown",

    // Derivation.
    KdfMembers = "`kdf` has the wrong members",
    UnknownKdf = "`kdf` names an unknown derivation",
    KdfSalt = "the salt of `kdf` is not 16 bytes in URL-safe base64",
    KdfRounds = "`kdf` states fewer than 600000 or more than 2000000 rounds",
    OtherKdf = "`kdf` is not the one of this directory, which moat.json states",
    OtherKindOfKey = "the derivation is not the one for this kind of master key",

    // Master keys.
    NoMasterKey = "there is no master key",
    NotOnePrimary = "the key ring doesn't have exactly one primary key",
    LongLabel = "the label of the master key is longer than 64 bytes or has control characters",
    ShortMasterKey = "the master key has fewer than 16 bytes",
    PublishedMasterKey =
        "the master key is the default that the application published in its source",
    MistypedMasterKey = "a character of the master key is wrong: its checksum doesn't fit",
    NoKeyAtThisPlace = "the key ring has no key at this place",
    NotAKey = "a derived key doesn't have 32 bytes",
    NotRandom = "the host gave another number of random bytes",
}

impl Message {
    /// Whether the component may say this: it is one of these texts, perhaps after the name of the settings' file.
    pub fn is_known(text: &str) -> bool {
        let text =
            text.strip_prefix(SETTINGS).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text);
        let names_a_member = || {
            let (name, fault) = text.strip_prefix('`')?.split_once("` ")?;
            Some(MEMBERS.contains(&name) && Fault::ALL.iter().any(|known| known.text() == fault))
        };
        TEXTS.contains(&text) || names_a_member() == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field_name::RESERVED_FIELD_NAMES;
    use crate::{kdf, key_strength, record, settings, strong_key, version};

    #[test]
    fn knows_what_it_says_and_nothing_else() {
        let member = Message::Member(record::USER_ID, Fault::Missing).to_string();
        for text in [&Message::NoRecord.to_string(), &member, &format!("moat.json: {member}")] {
            assert!(Message::is_known(text), "{text}");
        }
        for text in [
            "",
            "`correct horse` is missing",
            "`user_id` is correct horse",
            "moat.json: moat.json: `user_id` is missing",
            "there is no credential for this user: correct horse",
        ] {
            assert!(!Message::is_known(text), "{text}");
        }
    }

    #[test]
    fn names_what_there_is() {
        let of_settings =
            [settings::RECORD_VERSION, settings::TOKEN_ENCODING, settings::HISTORY, settings::MAC];
        let names = record::MEMBERS.iter().chain(&record::MEMBERS_OF_2).chain(&of_settings);
        for name in names {
            assert!(MEMBERS.contains(name), "{name}");
        }
    }

    #[test]
    fn every_reserved_name_is_told() {
        let told = Message::FieldReserved.to_string();
        assert!(RESERVED_FIELD_NAMES.iter().all(|name| told.contains(name)), "{told}");
    }

    #[test]
    fn numbers_are_those_that_hold() {
        for (message, numbers) in [
            (Message::RecordTooLarge, vec![record::MAX_BYTES]),
            (Message::NewRecordTooLarge, vec![record::MAX_BYTES - record::HEADROOM]),
            (Message::KdfRounds, vec![kdf::ROUNDS as usize, kdf::MAX_ROUNDS as usize]),
            (Message::LongLabel, vec![record::MAX_LABEL_BYTES]),
            (Message::LongHistory, vec![settings::MAX_HISTORY as usize]),
            (Message::ShortMasterKey, vec![key_strength::MIN_BYTES]),
        ] {
            for number in numbers {
                assert!(message.to_string().contains(&format!(" {number} ")), "{message}");
            }
        }
        let unknown = Message::UnknownVersion.to_string();
        assert!(version::Version::ALL.iter().all(|version| unknown.contains(version.name())));
        assert_eq!(Message::MistypedMasterKey.to_string(), strong_key::Mistyped.to_string());
    }
}
