//! What the component wants to write, looked at before it replaces a file.
//!
//! The host has no key and can't tell whether a token opens. But it can tell that the bytes are one record of
//! the user that the call is for, that a Fernet token of now stands where the secret belongs, with another IV
//! than in the record before, and that there is no member that the record before didn't have. So a component
//! that is broken can't put a credential in the clear under the name of a record, nor anything else.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use moat_format::members::{MemberError, Members};
use moat_format::user_id::UserId;

/// The versions of records that may be written.
const VERSIONS: [&str; 2] = ["1.0", "2.0"];

/// How settings may say that tokens are spelled.
const TOKEN_ENCODINGS: [&str; 2] = ["documented", "app"];

/// How far a token's time may lie from the clock that the component was lent: as long as a call can take.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Why the bytes are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotARecord,
    NewMember,
    Kdf,
    Counter,
    NotSettings,
    AnotherUser,
    Version,
    NotAToken,
    Time,
    RepeatedIv,
    Unread,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotARecord => "it is not one JSON object with the members of a record",
            Self::NewMember => "it has a member that no record has",
            Self::Kdf => "its `kdf` is neither the directory's nor that of the record before",
            Self::Counter => "its `write_counter` doesn't count on",
            Self::NotSettings => "it is not the settings of a directory",
            Self::AnotherUser => "it names another user",
            Self::Version => "its version is none that may be written",
            Self::NotAToken => "what should be encrypted is not a Fernet token",
            Self::Time => "its token's time is not now",
            Self::RepeatedIv => "its token repeats the IV of the record before",
            Self::Unread => "it replaces a record that was not read",
        })
    }
}

/// The members that the format knows.
const KNOWN: [&str; 5] =
    ["user_id", "encrypted_data", "encryption_version", "created_at", "key_id"];

/// Those that only version 2.0 has.
const KNOWN_2: [&str; 2] = ["kdf", "write_counter"];

/// Checks a record that is to replace `old`, the file before it, in a directory with these settings, at this
/// time since 1970.
pub(crate) fn check(
    contents: &[u8],
    old: Option<&[u8]>,
    settings: Option<&[u8]>,
    user: &UserId,
    now: Duration,
) -> Result<(), Reason> {
    let record = parse(contents).ok_or(Reason::NotARecord)?;
    let old = old.and_then(parse).unwrap_or_default();
    let version = record.require::<String>("encryption_version")?;
    for (name, value) in record.iter() {
        let known = KNOWN.contains(&name) || version == "2.0" && KNOWN_2.contains(&name);
        if !known && !same(&old, name, value) {
            return Err(Reason::NewMember);
        }
    }
    for name in KNOWN.into_iter().chain(KNOWN_2) {
        record.find::<IgnoredAny>(name)?; // Not twice: readers differ in which of them they take.
    }
    let text = |name| record.require::<String>(name).map_err(Reason::from);
    if text("user_id")? != user.as_str() {
        return Err(Reason::AnotherUser);
    }
    if !VERSIONS.contains(&version.as_str()) {
        return Err(Reason::Version);
    }
    if version == "2.0" {
        // Or it could bring out 16 bytes as a salt.
        let settings = settings.and_then(parse).unwrap_or_default();
        let kdf: Kdf = record.require("kdf")?;
        let same = |other: &Members| other.find("kdf").ok().flatten().as_ref() == Some(&kdf);
        if !same(&old) && !same(&settings) {
            return Err(Reason::Kdf);
        }
        let counter: u32 = record.require("write_counter")?;
        if old.find("write_counter").ok().flatten().unwrap_or(0u32) >= counter {
            return Err(Reason::Counter);
        }
    }
    let token = Token::decode(&text("encrypted_data")?).ok_or(Reason::NotAToken)?;
    if token.time.abs_diff(now.as_secs()) > MAX_AGE.as_secs() {
        return Err(Reason::Time);
    }
    let old_token = old.find::<String>("encrypted_data").ok().flatten();
    let old_token = old_token.and_then(|text| Token::decode(&text));
    if old_token.is_some_and(|old| old.iv == token.iv) {
        return Err(Reason::RepeatedIv);
    }
    Ok(())
}

/// Checks the settings that are to replace `old`. What they say of the derivation is said once.
pub(crate) fn check_settings(contents: &[u8], old: Option<&[u8]>) -> Result<(), Reason> {
    let settings = parse(contents).ok_or(Reason::NotSettings)?;
    let old = old.and_then(parse).unwrap_or_default();
    for (name, value) in settings.iter() {
        let is_one_of = |known: [&str; 2]| -> Result<bool, Reason> {
            Ok(settings.find::<String>(name)?.is_some_and(|value| known.contains(&value.as_str())))
        };
        let is_new = match name {
            "record_version" => is_one_of(VERSIONS)?,
            "token_encoding" => is_one_of(TOKEN_ENCODINGS)?,
            "kdf" if old.find::<IgnoredAny>(name)?.is_none() => {
                settings.find::<Kdf>(name)?.is_some_and(|kdf| kdf.is_sound())
            }
            _ => false,
        };
        if !is_new && !same(&old, name, value) {
            return Err(Reason::NotSettings);
        }
    }
    Ok(())
}

/// How version 2.0 derives keys.
#[derive(PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    salt: String,
    rounds: u32,
}

impl Kdf {
    fn is_sound(&self) -> bool {
        self.name == "pbkdf2-hmac-sha256+hkdf-sha256"
            && URL_SAFE.decode(&self.salt).is_ok_and(|salt| salt.len() == 16)
            && (100_000..=10_000_000).contains(&self.rounds)
    }
}

/// Whether the object has this very member.
fn same(object: &Members, name: &str, value: &RawValue) -> bool {
    object.iter().any(|(other, old)| other == name && old.get() == value.get())
}

/// Reads an object with the parser of the component itself: what that keeps, this must not stumble over.
fn parse(contents: &[u8]) -> Option<Members> {
    serde_json::from_slice(contents).ok()
}

impl From<MemberError> for Reason {
    fn from(_: MemberError) -> Self {
        Self::NotARecord
    }
}

/// The unencrypted parts of a Fernet token.
struct Token {
    time: u64,
    iv: [u8; 16],
}

impl Token {
    /// Reads a token as the Fernet specification has it, in base64 once or twice:
    /// `0x80 ‖ time (8) ‖ IV (16) ‖ ciphertext (n × 16, n > 0) ‖ HMAC (32)`.
    fn decode(text: &str) -> Option<Self> {
        let mut bytes = URL_SAFE.decode(text).ok()?;
        if bytes.first() != Some(&0x80) {
            bytes = URL_SAFE.decode(&bytes).ok()?;
        }
        let rest = bytes.strip_prefix(&[0x80])?;
        let (&time, rest) = rest.split_first_chunk()?;
        let (&iv, rest) = rest.split_first_chunk()?;
        let (ciphertext, _hmac) = rest.split_last_chunk::<32>()?;
        let whole_blocks = !ciphertext.is_empty() && ciphertext.len().is_multiple_of(16);
        whole_blocks.then_some(Self { time: u64::from_be_bytes(time), iv })
    }
}
