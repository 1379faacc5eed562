//! A key ring as a JSON document, in a file or printed by a program.
//!
//! A key goes from primary to secondary to retired; a retired one stays in the document, since a backup of the
//! directory may need it, until it is erased.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::ring::{KeyRing, KeyStrength, MasterKey, generate_key, random_bytes};
use super::usage::KeyUsage;
use crate::age::AHEAD;
use crate::contract::{ErrorCode, KeyWeakness};
use crate::digest::hex;
use crate::directory::{Directory, MAX_FILE_BYTES, revision};
use crate::error::Error;

/// The one version of the document.
const VERSION: u32 = 1;

/// The longest id of a key, in bytes.
const MAX_ID_BYTES: usize = moat_format::record::MAX_LABEL_BYTES;

/// What a key of a ring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It encrypts and decrypts.
    Primary,
    /// It only decrypts.
    Secondary,
    /// It is kept, but not used.
    Retired,
}

impl KeyState {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Retired => "retired",
        }
    }
}

/// A key of a ring document.
#[derive(Clone, Debug)]
pub struct RingKey {
    id: String,
    key: MasterKey,
    state: KeyState,
    added_at: OffsetDateTime,
    superseded: bool,
}

impl RingKey {
    /// The label, which is in the clear in the records that the key encrypts.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the key is for.
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// The secret key itself.
    pub fn expose_key(&self) -> &[u8] {
        self.key.expose()
    }

    /// Whether another key took its place as the primary one.
    pub fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// When the key was added to the ring: RFC 3339, in UTC.
    pub fn added_at(&self) -> String {
        self.added_at.format(&Rfc3339).unwrap_or_default()
    }

    /// What is known about how hard the key is to guess.
    pub fn strength(&self) -> KeyStrength {
        self.key.strength()
    }

    /// How long the key has been in the ring.
    pub fn age(&self) -> Duration {
        (now() - self.added_at).try_into().unwrap_or_default()
    }

    /// Whether the key was added by a clock that was wrong: more than a day from now.
    pub fn is_in_the_future(&self) -> bool {
        self.added_at - now() > AHEAD
    }
}

/// Why a ring was not read or not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingError {
    /// The text is not a ring: a line, and what is wrong.
    Malformed(usize, &'static str),
    /// A key has this id already.
    IdTaken(String),
    /// The id is empty, longer than 64 bytes, or has control characters.
    BadId,
    /// The ring has the same key already, under this id.
    KeyTaken(String),
    /// No key has this id.
    NoSuchKey(String),
    /// The key is empty.
    EmptyKey,
    /// The key must not encrypt.
    Weak(KeyWeakness),
    /// A character of the key with this id is wrong.
    Mistyped(String),
    /// The key is the primary one.
    IsPrimary(String),
    /// The key is not retired.
    NotRetired(String),
    /// So many records are encrypted with the key.
    InUse(String, usize),
    /// The directory's settings are authenticated with the key.
    Settings(String),
    /// So many records couldn't be examined, and may need the key: these.
    Unexamined(String, usize, String),
    /// The system gives no random bytes.
    NoRandomness,
}

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(line, what) => write!(f, "it is not a key ring: line {line}: {what}"),
            Self::IdTaken(id) => write!(f, "the ring already has a key {id:?}"),
            Self::BadId => {
                write!(f, "an id has 1 to {MAX_ID_BYTES} bytes and no control characters")
            }
            Self::KeyTaken(id) => write!(f, "the ring already has this key, as {id:?}"),
            Self::NoSuchKey(id) => write!(f, "the ring has no key {id:?}"),
            Self::EmptyKey => f.write_str("the key is empty"),
            Self::Weak(KeyWeakness::TooShort) => {
                f.write_str("a key of fewer than 16 bytes can't be the primary one")
            }
            Self::Weak(KeyWeakness::PublishedDefault) => {
                f.write_str("the application's published default key can't be the primary one")
            }
            Self::Mistyped(id) => write!(
                f,
                "a character of the key {id:?} is wrong or missing: its checksum doesn't fit"
            ),
            Self::IsPrimary(id) => write!(f, "{id:?} is the primary key"),
            Self::NotRetired(id) => write!(f, "the key {id:?} is not retired"),
            Self::InUse(id, 1) => write!(f, "1 record is encrypted with the key {id:?}"),
            Self::InUse(id, records) => {
                write!(f, "{records} records are encrypted with the key {id:?}")
            }
            Self::Settings(id) => {
                write!(f, "the directory's settings are authenticated with the key {id:?}")
            }
            Self::Unexamined(id, 1, name) => {
                write!(f, "1 record can't be examined and may need the key {id:?}: {name}")
            }
            Self::Unexamined(id, records, names) => {
                write!(
                    f,
                    "{records} records can't be examined and may need the key {id:?}: {names}"
                )
            }
            Self::NoRandomness => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for RingError {}

/// Every key of a ring with its history; never empty, with exactly one primary key.
#[derive(Clone, Debug)]
pub struct RingDocument {
    keys: Vec<RingKey>,
    /// Of the file that it was read from; `None`: of none.
    revision: Option<String>,
}

impl RingDocument {
    /// A new ring of one key, with this id or a random one.
    ///
    /// # Errors
    ///
    /// [`RingError::BadId`], [`RingError::EmptyKey`], [`RingError::Weak`].
    pub fn new(id: Option<String>, key: &[u8]) -> Result<Self, RingError> {
        let mut ring = Self { keys: Vec::new(), revision: None };
        let id = ring.add(id, key)?;
        ring.promote(&id)?;
        Ok(ring)
    }

    /// Whether a text is meant to be a ring, even a damaged one; a master key hardly is by chance.
    pub fn is_meant(text: &[u8]) -> bool {
        let marker = br#""moat_keyring""#;
        text.trim_ascii_start().starts_with(b"{")
            && text.windows(marker.len()).any(|window| window == marker)
    }

    /// Reads a ring.
    ///
    /// # Errors
    ///
    /// [`RingError::Malformed`], which quotes nothing of the text.
    pub fn parse(text: &[u8]) -> Result<Self, RingError> {
        let document: Document = serde_json::from_slice(text).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Data => {
                    "a member is missing, unknown, or not of its type"
                }
                _ => "it is not JSON",
            };
            RingError::Malformed(error.line(), what)
        })?;
        let wrong = |what| RingError::Malformed(1, what);
        if document.moat_keyring != VERSION {
            return Err(wrong("its version is unknown to this program"));
        }
        let mut ring = Self { keys: Vec::new(), revision: Some(revision(text)) };
        for entry in document.keys {
            let material = match (entry.key, entry.key_base64) {
                (Some(key), None) => Zeroizing::new(key.as_bytes().to_vec()),
                (None, Some(key)) => Zeroizing::new(
                    STANDARD.decode(key).map_err(|_| wrong("a `key_base64` is not base64"))?,
                ),
                _ => return Err(wrong("an entry needs either `key` or `key_base64`")),
            };
            let added_at = OffsetDateTime::parse(&entry.added_at, &Rfc3339)
                .map_err(|_| wrong("an `added_at` is not an RFC 3339 time"))?;
            let state = match (entry.id == document.primary, entry.retired) {
                (true, true) => return Err(wrong("the primary key is retired")),
                (true, false) => KeyState::Primary,
                (false, true) => KeyState::Retired,
                (false, false) => KeyState::Secondary,
            };
            ring.insert(RingKey {
                id: entry.id.clone(),
                key: MasterKey::new(&material).with_id(entry.id),
                state,
                added_at,
                superseded: entry.superseded,
            })?;
        }
        if !ring.keys.iter().any(|key| key.state == KeyState::Primary) {
            return Err(wrong("no key has the id that `primary` names"));
        }
        Ok(ring)
    }

    /// Writes the ring to a file with mode 0600, completely or not at all.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Conflict`] when the file is no longer as it was read, [`ErrorCode::Locked`], [`ErrorCode::Directory`].
    pub fn save(&mut self, directory: &Directory, name: &str) -> Result<(), Error> {
        let text = self.to_json()?;
        self.revision = Some(directory.write(name, &text, self.revision.as_deref())?);
        Ok(())
    }

    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let base64: Vec<_> = self.keys.iter().map(|key| base64(key.key.expose())).collect();
        let keys = self.keys.iter().zip(&base64).map(|(key, base64)| Entry {
            id: key.id.clone(),
            added_at: key.added_at(),
            superseded: key.superseded,
            retired: key.state == KeyState::Retired,
            key: plain(key.key.expose()),
            key_base64: base64.as_ref().map(|text| text.as_str()),
        });
        let document = Document {
            moat_keyring: VERSION,
            primary: self.primary().id.clone(),
            keys: keys.collect(),
        };
        // At its full size from the start: a buffer that grows would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES));
        serde_json::to_writer_pretty(&mut *text, &document).map_err(|error| {
            Error::caused(ErrorCode::Malformed, "the ring can't be written", error)
        })?;
        text.push(b'\n');
        Ok(text)
    }

    /// All keys, in the order in which they came.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The key that encrypts.
    #[allow(clippy::indexing_slicing, reason = "a ring has a primary key from its beginning")]
    pub fn primary(&self) -> &RingKey {
        let primary = self.keys.iter().position(|key| key.state == KeyState::Primary);
        &self.keys[primary.unwrap_or(0)]
    }

    /// The key with this id.
    ///
    /// # Errors
    ///
    /// [`RingError::NoSuchKey`].
    pub fn key(&self, id: &str) -> Result<&RingKey, RingError> {
        let found = self.keys.iter().find(|key| key.id == id);
        found.ok_or_else(|| RingError::NoSuchKey(id.to_owned()))
    }

    /// The keys to work with: all that are not retired, the newest first.
    pub fn ring(&self) -> KeyRing {
        self.ring_of(|key| key.state == KeyState::Secondary)
    }

    /// The keys to look with whether something is under them: the retired ones too.
    pub fn ring_with_retired(&self) -> KeyRing {
        self.ring_of(|key| key.state != KeyState::Primary)
    }

    fn ring_of(&self, is_other: impl Fn(&RingKey) -> bool) -> KeyRing {
        let others = self.keys.iter().rev().filter(|key| is_other(key));
        others.fold(KeyRing::new(self.primary().key.clone()), |ring, key| {
            ring.with_other(key.key.clone())
        })
    }

    /// Adds a secondary key, with this id or a random one, and returns the id.
    ///
    /// # Errors
    ///
    /// [`RingError::IdTaken`], [`RingError::BadId`], [`RingError::KeyTaken`], [`RingError::EmptyKey`].
    pub fn add(&mut self, id: Option<String>, key: &[u8]) -> Result<String, RingError> {
        let id = match id {
            Some(id) => id,
            None => hex(&random_bytes::<4>().map_err(|_| RingError::NoRandomness)?[..]),
        };
        self.insert(RingKey {
            id: id.clone(),
            key: MasterKey::new(key).with_id(&id),
            state: KeyState::Secondary,
            added_at: now(),
            superseded: false,
        })?;
        Ok(id)
    }

    fn insert(&mut self, key: RingKey) -> Result<(), RingError> {
        if key.id.is_empty() || key.id.len() > MAX_ID_BYTES || key.id.contains(char::is_control) {
            return Err(RingError::BadId);
        }
        if key.key.expose().is_empty() {
            return Err(RingError::EmptyKey);
        }
        if key.key.strength() == KeyStrength::Mistyped {
            return Err(RingError::Mistyped(key.id));
        }
        if self.key(&key.id).is_ok() {
            return Err(RingError::IdTaken(key.id));
        }
        if let Some(same) = self.keys.iter().find(|other| other.key.expose() == key.key.expose()) {
            return Err(RingError::KeyTaken(same.id.clone()));
        }
        self.keys.push(key);
        Ok(())
    }

    /// Makes this key the primary one, and the one before a secondary.
    ///
    /// # Errors
    ///
    /// [`RingError::NoSuchKey`], [`RingError::Weak`].
    pub fn promote(&mut self, id: &str) -> Result<(), RingError> {
        if let KeyStrength::Weak(weakness) = self.key(id)?.strength() {
            return Err(RingError::Weak(weakness));
        }
        for key in &mut self.keys {
            if key.id == id {
                key.state = KeyState::Primary;
                key.superseded = false;
            } else if key.state == KeyState::Primary {
                key.state = KeyState::Secondary;
                key.superseded = true;
            }
        }
        Ok(())
    }

    /// Takes a secondary key out of use, if no record of the directory needs it.
    ///
    /// # Errors
    ///
    /// [`RingError::NoSuchKey`], [`RingError::IsPrimary`], [`RingError::InUse`] when a record is encrypted with it,
    /// [`RingError::Unexamined`] when that can't be known of every record, and [`RingError::Settings`] when it authenticates
    /// the directory's settings.
    pub fn retire(&mut self, id: &str, usage: &KeyUsage) -> Result<(), RingError> {
        if self.key(id)?.state == KeyState::Primary {
            return Err(RingError::IsPrimary(id.to_owned()));
        }
        check_unused(id, usage)?;
        self.set_state(id, KeyState::Retired);
        Ok(())
    }

    /// Whether the primary key has been in the ring for at least this long, or since a time in the future, which doesn't
    /// tell its age.
    pub fn is_due(&self, age: Duration) -> bool {
        self.primary().age() >= age || self.primary().is_in_the_future()
    }

    /// Makes a new random key the primary one, and returns its id.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unavailable`] when the system gives no random bytes.
    pub fn replace_primary(&mut self) -> Result<String, Error> {
        let refused = |error: RingError| {
            let code = match error {
                RingError::NoRandomness => ErrorCode::Unavailable,
                _ => ErrorCode::MasterKeyRefused,
            };
            Error::caused(code, error.to_string(), error)
        };
        let key = generate_key()?;
        let id = self.add(None, key.as_bytes()).map_err(refused)?;
        self.promote(&id).map_err(refused)?;
        Ok(id)
    }

    /// The keys still in use that another key replaced as the primary one.
    pub fn superseded(&self) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(|key| key.state == KeyState::Secondary && key.superseded)
    }

    /// Retires the superseded keys that no record needs. Returns their ids, and why the others stay.
    pub fn retire_superseded(&mut self, usage: &KeyUsage) -> (Vec<String>, Vec<RingError>) {
        let superseded: Vec<_> = self.superseded().map(|key| key.id.clone()).collect();
        let (mut retired, mut kept) = (Vec::new(), Vec::new());
        for id in superseded {
            match self.retire(&id, usage) {
                Ok(()) => retired.push(id),
                Err(why) => kept.push(why),
            }
        }
        (retired, kept)
    }

    /// Puts a retired key back into use, as a secondary one.
    ///
    /// # Errors
    ///
    /// [`RingError::NoSuchKey`], [`RingError::NotRetired`].
    pub fn restore(&mut self, id: &str) -> Result<(), RingError> {
        self.retired(id)?;
        self.set_state(id, KeyState::Secondary);
        Ok(())
    }

    /// Removes a retired key for ever. What is encrypted with it elsewhere, as in a backup, can never be decrypted again.
    ///
    /// # Errors
    ///
    /// [`RingError::NotRetired`], and those of [`Self::retire`]: a record may have been restored since then.
    pub fn erase(&mut self, id: &str, usage: &KeyUsage) -> Result<(), RingError> {
        self.retired(id)?;
        check_unused(id, usage)?;
        self.keys.retain(|key| key.id != id);
        Ok(())
    }

    fn retired(&self, id: &str) -> Result<(), RingError> {
        match self.key(id)?.state {
            KeyState::Retired => Ok(()),
            _ => Err(RingError::NotRetired(id.to_owned())),
        }
    }

    fn set_state(&mut self, id: &str, state: KeyState) {
        self.keys.iter_mut().filter(|key| key.id == id).for_each(|key| key.state = state);
    }
}

/// Refuses when a record is encrypted with the key, or when that can't be known.
fn check_unused(id: &str, usage: &KeyUsage) -> Result<(), RingError> {
    match (usage.encrypted_with(id), usage.unexamined()) {
        (0, 0) if usage.authenticates_settings(id) => Err(RingError::Settings(id.to_owned())),
        (0, 0) => Ok(()),
        (0, records) => {
            Err(RingError::Unexamined(id.to_owned(), records, usage.unexamined_names()))
        }
        (records, _) => Err(RingError::InUse(id.to_owned(), records)),
    }
}

/// A key as it is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'t> {
    moat_keyring: u32,
    primary: String,
    #[serde(borrow)]
    keys: Vec<Entry<'t>>,
}

/// The key is borrowed, so that the parser makes no copy of it. Hence it has no escapes: what JSON would have to
/// escape, and what isn't text, is in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'t> {
    id: String,
    added_at: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<&'t str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<&'t str>,
}

/// The key as text, if it needs no escape in JSON.
fn plain(key: &[u8]) -> Option<&str> {
    let escaped = |c: char| c.is_control() || matches!(c, '"' | '\\');
    std::str::from_utf8(key).ok().filter(|text| !text.contains(escaped))
}

/// The key in base64, if it can't stand there as text.
fn base64(key: &[u8]) -> Option<Zeroizing<String>> {
    plain(key).is_none().then(|| Zeroizing::new(STANDARD.encode(key)))
}

/// To the second: a document is for people, too.
fn now() -> OffsetDateTime {
    let now = OffsetDateTime::from(SystemTime::now());
    now.replace_nanosecond(0).unwrap_or(now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const KEY: &[u8] = b"a key of more than sixteen bytes";

    fn again(ring: &RingDocument) -> RingDocument {
        RingDocument::parse(&ring.to_json().unwrap()).unwrap()
    }

    fn states(ring: &RingDocument) -> Vec<(&str, KeyState, bool)> {
        ring.keys().iter().map(|key| (key.id(), key.state(), key.is_superseded())).collect()
    }

    #[test]
    fn what_is_written_is_read_again_whatever_bytes_a_key_has() {
        for key in [
            KEY,
            b"with \"quotes\" and \\ and more",
            b"\xff\xfe not text, but bytes",
            b"two\nlines, 16 bytes",
        ] {
            let mut ring = RingDocument::new(Some("first".to_owned()), key).unwrap();
            ring.add(None, b"another one").unwrap();
            let other = again(&ring);
            assert_eq!(states(&other), states(&ring));
            assert_eq!(other.primary().key.expose(), key);
            assert_eq!(other.primary().added_at(), ring.primary().added_at());
        }
    }

    #[test]
    fn a_key_goes_from_primary_to_secondary_to_retired_and_back() {
        use KeyState::{Primary, Retired, Secondary};
        let mut ring = RingDocument::new(Some("a".to_owned()), KEY).unwrap();
        let id = |id: &str| id.to_owned();
        let unused = KeyUsage::default();
        assert_eq!(ring.retire("a", &unused), Err(RingError::IsPrimary(id("a"))));
        ring.add(Some(id("b")), b"the second key, also long enough").unwrap();
        ring.promote("b").unwrap();
        assert_eq!(states(&ring), [("a", Secondary, true), ("b", Primary, false)]);
        assert_eq!(ring.erase("a", &unused), Err(RingError::NotRetired(id("a"))));
        assert_eq!(ring.restore("a"), Err(RingError::NotRetired(id("a"))));
        ring.retire("a", &unused).unwrap();
        assert_eq!(states(&again(&ring)), [("a", Retired, true), ("b", Primary, false)]);
        ring.restore("a").unwrap();
        ring.promote("a").unwrap();
        assert_eq!(states(&again(&ring)), [("a", Primary, false), ("b", Secondary, true)]);
        ring.retire("b", &unused).unwrap();
        ring.erase("b", &unused).unwrap();
        assert_eq!(states(&again(&ring)), [("a", Primary, false)]);
        assert_eq!(ring.promote("b"), Err(RingError::NoSuchKey(id("b"))));
    }

    #[test]
    fn what_would_confuse_is_refused() {
        let mut ring = RingDocument::new(Some("a".to_owned()), KEY).unwrap();
        assert_eq!(ring.add(Some("a".to_owned()), b"x"), Err(RingError::IdTaken("a".to_owned())));
        assert_eq!(ring.add(None, KEY), Err(RingError::KeyTaken("a".to_owned())));
        assert_eq!(ring.add(None, b""), Err(RingError::EmptyKey));
        for id in ["", "a\nb", &"x".repeat(65)] {
            assert_eq!(ring.add(Some(id.to_owned()), b"x"), Err(RingError::BadId));
        }
        let weak = ring.add(None, b"short").unwrap();
        assert_eq!(ring.promote(&weak), Err(RingError::Weak(KeyWeakness::TooShort)));
        assert!(RingDocument::new(None, moat_format::key_strength::PUBLISHED_DEFAULT).is_err());
    }

    #[test]
    fn a_damaged_document_is_refused_without_a_word_of_it() {
        let text = String::from_utf8(
            RingDocument::new(Some("a".to_owned()), KEY).unwrap().to_json().unwrap().to_vec(),
        );
        let text = text.unwrap();
        for (from, to) in [
            ("\"moat_keyring\": 1", "\"moat_keyring\": 2"),
            ("\"primary\": \"a\"", "\"primary\": \"b\""),
            ("\"key\":", "\"key_base64\":"),
            ("\"key\":", "\"code\":"),
            ("a key of", "a \\u006bey of"),
            ("Z\"", "\""),
            ("}", ""),
            ("\"added_at\"", "\"retired\": true, \"added_at\""),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text);
            assert!(RingDocument::is_meant(damaged.as_bytes()), "{damaged}");
            let error = RingDocument::parse(damaged.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("sixteen"), "{error}");
        }
        for end in 1..text.trim_end().len() {
            assert!(RingDocument::parse(&text.as_bytes()[..end]).is_err());
        }
    }
}
