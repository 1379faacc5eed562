//! The settings of a directory, [`moat.json`](crate::files::SETTINGS): how new records are written, and what is kept of
//! earlier ones.
//!
//! ```json
//! {"record_version":"2.0","history":5,"kdf":{"salt":"…","rounds":600000},"mac":{"key_id":null,"tag":"…"}}
//! ```
//!
//! Every member may be missing, and so may the file. With `kdf` there is `mac`, which authenticates the others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};

use crate::error::FormatError;
use crate::json_object::RawObject;
use crate::kdf::DirectoryKdf;
use crate::message::Message;
use crate::record::KDF;
use crate::token::Encoding;
use crate::version::Version;

/// The version of new records.
pub const RECORD_VERSION: &str = "record_version";

/// The encoding of new tokens.
pub const TOKEN_ENCODING: &str = "token_encoding";

/// How many earlier versions of each credential are kept.
pub const HISTORY: &str = "history";

/// The largest [`HISTORY`].
pub const MAX_HISTORY: u32 = 100;

/// What authenticates the settings.
pub const MAC: &str = "mac";

/// What the known members say. A member that is missing is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The version of new records.
    pub version: Option<Version>,
    /// The encoding of new tokens.
    pub token_encoding: Option<Encoding>,
    /// How many earlier versions of each credential are kept, at most [`MAX_HISTORY`].
    pub history: Option<u32>,
    /// From which version 2.0 derives the root key.
    pub kdf: Option<DirectoryKdf>,
    /// What authenticates the others.
    pub mac: Option<Mac>,
}

/// An authentication code, HMAC-SHA256 of [`Settings::authenticated`], and the key that it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mac {
    /// The label of the master key: a hint.
    pub key_id: Option<String>,
    /// In base64.
    pub tag: String,
}

impl Mac {
    /// A code made with the key of this label.
    pub fn new(key_id: Option<String>, tag: &[u8]) -> Self {
        Self { key_id, tag: URL_SAFE.encode(tag) }
    }

    /// The bytes of the code; none when they aren't base64.
    pub fn tag(&self) -> Vec<u8> {
        URL_SAFE.decode(&self.tag).unwrap_or_default()
    }
}

impl Settings {
    /// Reads the known members.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unsupported`] for a record version that isn't known; [`FormatError::Malformed`] for anything else that
    /// is wrong with a member.
    pub fn read(object: &RawObject) -> Result<Self, FormatError> {
        let version: Option<String> = object.find(RECORD_VERSION)?;
        let encoding: Option<String> = object.find(TOKEN_ENCODING)?;
        let history: Option<u32> = object.find(HISTORY)?;
        if history.is_some_and(|versions| versions > MAX_HISTORY) {
            return Err(FormatError::Malformed(Message::LongHistory));
        }
        Ok(Self {
            version: version.map(|name| Version::parse(&name)).transpose()?,
            token_encoding: encoding.map(|name| Encoding::parse(&name)).transpose()?,
            history,
            kdf: DirectoryKdf::find(object)?,
            mac: object.find(MAC)?,
        })
    }

    /// The bytes of the settings, in place of `old`, of which all that isn't known here, or isn't set, stays as it is. There
    /// is no other way to spell them.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] when a known member of `old` can't be read.
    pub fn spelled_over(&self, mut old: RawObject) -> Result<Vec<u8>, FormatError> {
        let before = Self::read(&old)?;
        if let Some(version) = self.version.filter(|_| self.version != before.version) {
            old.set(RECORD_VERSION, version.name())?;
        }
        if let Some(encoding) =
            self.token_encoding.filter(|_| self.token_encoding != before.token_encoding)
        {
            old.set(TOKEN_ENCODING, encoding.name())?;
        }
        if let Some(history) = self.history.filter(|_| self.history != before.history) {
            old.set(HISTORY, history)?;
        }
        if let Some(kdf) = self.kdf.as_ref().filter(|_| self.kdf != before.kdf) {
            old.set(KDF, kdf)?;
        }
        if let Some(mac) = self.mac.as_ref().filter(|_| self.mac != before.mac) {
            old.set(MAC, mac)?;
        }
        serde_json::to_vec(&old).map_err(|_| FormatError::Malformed(Message::SettingsNotJson))
    }

    /// The bytes that [`Mac`] authenticates: version, encoding, salt, rounds, and the number of versions if there is one; `None`
    /// without salt and rounds.
    pub fn authenticated(&self) -> Option<Vec<u8>> {
        let kdf = self.kdf.as_ref()?;
        let version = self.version.map_or("", Version::name);
        let encoding = self.token_encoding.map_or("", Encoding::name);
        // The NULs end the names, none of which has one.
        let parts = [version.as_bytes(), b"\0", encoding.as_bytes(), b"\0", &kdf.salt];
        let mut bytes = [&parts.concat()[..], &kdf.rounds.to_be_bytes()].concat();
        bytes.extend(self.history.map(u32::to_be_bytes).into_iter().flatten());
        Some(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"x":[1.50],"token_encoding":"app","history":3,"kdf":{"salt":"c2FsdGVkIGJ5IGNoYW5jZQ==","rounds":600000},"record_version":"2.0","mac":{"key_id":null,"tag":"BwcH"}}"#;

    fn object(text: &str) -> RawObject {
        serde_json::from_str(text).unwrap()
    }

    fn read(text: &str) -> Settings {
        Settings::read(&object(text)).unwrap()
    }

    #[test]
    fn says_what_the_members_say() {
        let settings = read(WHOLE);
        assert_eq!(settings.version, Some(Version::V2));
        assert_eq!(settings.token_encoding, Some(Encoding::App));
        assert_eq!(settings.history, Some(3));
        assert_eq!(settings.kdf, Some(DirectoryKdf::new(*b"salted by chance")));
        assert_eq!(settings.mac.unwrap().tag(), [7; 3]);
        assert_eq!(read("{}"), Settings::default());
        for bad in [
            r#"{"record_version":"3.0"}"#,
            r#"{"token_encoding":"x"}"#,
            r#"{"history":101}"#,
            r#"{"history":-1}"#,
            r#"{"mac":1}"#,
        ] {
            assert!(Settings::read(&object(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_set_takes_its_place_and_the_rest_stays() {
        let spelled = |settings: &Settings, old: &str| {
            String::from_utf8(settings.spelled_over(object(old)).unwrap()).unwrap()
        };
        assert_eq!(spelled(&read(WHOLE), WHOLE), WHOLE);
        assert_eq!(spelled(&Settings::default(), WHOLE), WHOLE);
        let others = Settings {
            version: Some(Version::V1),
            token_encoding: Some(Encoding::Documented),
            history: Some(0),
            kdf: Some(DirectoryKdf { salt: *b"salted by chance", rounds: 700_000 }),
            mac: Some(Mac::new(Some("main".to_owned()), &[8; 3])),
        };
        let expected = WHOLE
            .replace("2.0", "1.0")
            .replace("app", "documented")
            .replace(":3", ":0")
            .replace("600000", "700000")
            .replace(r#"null,"tag":"BwcH""#, r#""main","tag":"CAgI""#);
        assert_eq!(spelled(&others, WHOLE), expected);
        // Spelled otherwise, it says the same, and stays.
        let odd = WHOLE.replace("app", r"\u0061pp");
        assert_eq!(spelled(&read(WHOLE), &odd), odd);
    }

    #[test]
    fn each_of_them_is_authenticated() {
        let whole = read(WHOLE);
        let bytes = whole.authenticated().unwrap();
        assert_eq!(bytes, b"2.0\0app\0salted by chance\x00\x09\x27\xc0\0\0\0\x03");
        let kdf = whole.kdf.clone();
        for other in [
            Settings { version: None, ..whole.clone() },
            Settings { token_encoding: None, ..whole.clone() },
            Settings { history: Some(0), ..whole.clone() },
            Settings { history: None, ..whole.clone() },
            Settings {
                kdf: kdf.map(|kdf| DirectoryKdf { rounds: 600_001, ..kdf }),
                ..whole.clone()
            },
        ] {
            assert_ne!(other.authenticated().unwrap(), bytes);
        }
        assert_eq!(Settings { kdf: None, ..whole }.authenticated(), None);
    }
}
