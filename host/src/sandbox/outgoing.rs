//! What the component wants to write, looked at before it replaces a file.
//!
//! The host has no key and can't tell whether a token opens. But it can tell that the bytes are one record of
//! the user that the call is for, that a Fernet token of now stands where the secret belongs, with another IV
//! than in the record before, and that there is no member that the record before didn't have. So a component
//! that is broken can't put a credential in the clear under the name of a record, nor anything else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::user_id::UserId;

/// The versions of records that may be written.
const VERSIONS: [&str; 1] = ["1.0"];

/// How far a token's time may lie from the clock that the component was lent: as long as a call can take.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Why the bytes are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotARecord,
    NewMember,
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
            Self::AnotherUser => "it names another user",
            Self::Version => "its version is none that may be written",
            Self::NotAToken => "what should be encrypted is not a Fernet token",
            Self::Time => "its token's time is not now",
            Self::RepeatedIv => "its token repeats the IV of the record before",
            Self::Unread => "it replaces a record that was not read",
        })
    }
}

/// A record, as far as the check goes. `serde` refuses these members when they are given twice.
#[derive(Deserialize)]
struct Record {
    user_id: String,
    encrypted_data: String,
    encryption_version: Option<String>,
    #[serde(rename = "created_at")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "key_id")]
    _key_id: Option<IgnoredAny>,
    /// What others added, which is kept.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Checks a record that is to replace `old`, the file before it, at this time since 1970.
pub(crate) fn check(
    contents: &[u8],
    old: Option<&[u8]>,
    user: &UserId,
    now: Duration,
) -> Result<(), Reason> {
    let record: Record = serde_json::from_slice(contents).map_err(|_| Reason::NotARecord)?;
    let old: Option<Record> = old.and_then(|old| serde_json::from_slice(old).ok());
    let is_old = |(name, value): (&String, &Value)| {
        old.as_ref().is_some_and(|old| old.others.get(name) == Some(value))
    };
    if !record.others.iter().all(is_old) {
        return Err(Reason::NewMember);
    }
    if record.user_id != user.as_str() {
        return Err(Reason::AnotherUser);
    }
    if !record.encryption_version.is_some_and(|version| VERSIONS.contains(&version.as_str())) {
        return Err(Reason::Version);
    }
    let token = Token::decode(&record.encrypted_data).ok_or(Reason::NotAToken)?;
    if token.time.abs_diff(now.as_secs()) > MAX_AGE.as_secs() {
        return Err(Reason::Time);
    }
    let old_token = old.and_then(|old| Token::decode(&old.encrypted_data));
    if old_token.is_some_and(|old| old.iv == token.iv) {
        return Err(Reason::RepeatedIv);
    }
    Ok(())
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
