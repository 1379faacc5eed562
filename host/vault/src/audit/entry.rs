//! One line of the log: an intent before an operation on a user's record, the outcome after it, or that another key takes
//! over.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::key::{AuditKey, Purpose};
use crate::digest::hex;

/// What precedes the tag, which is a line's last member.
const MAC: &str = ",\"mac\":\"";
/// The end of a line.
const END: &str = "\"}\n";

/// A line of the log, as it is written and read. Members that a later version adds are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// The number of the entry, from 1 and without a gap, across all files of the log.
    pub sequence: u64,
    /// When it was written: RFC 3339 in UTC, with microseconds.
    pub time: String,
    /// Of the first entry in a file: which log it is of, 32 hexadecimal digits at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What an intent and its outcome share: 16 hexadecimal digits at random.
    pub id: String,
    /// Which kind of entry this is.
    pub phase: Phase,
    /// The name of the operation; `takeover` when another key takes over.
    pub operation: String,
    /// Whose record; `None` when it concerns no user's, when the log has hashes instead of names, and of a refusal for
    /// several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's [`AuditKey::user_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_hash: Option<String>,
    /// Who asked: `uid:1000`, or the name that was given to the vault.
    pub actor: String,
    /// Of an intent: what the credential is used for, where the caller doesn't get to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Of an intent: the SHA-256 of the component that gets to see the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Of an intent: what the component is granted for this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Vec<String>>,
    /// Of an outcome or a refusal: `done`, or the name of the error's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Of an outcome of an operation that may change something: whether anything was, by what the host did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// Of an outcome: the revision of the record that was replaced, or that had to be there to be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Of an outcome: the revision of the record that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Of an outcome: the revision of the directory's settings, if they were written too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Of an outcome: the label of the master key that the record was decrypted or encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Of an outcome: how long the operation took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Of a refusal for several users: how many they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    /// Of a refusal: how many of the same actor came before and got no entry, since there were too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<u64>,
    /// Of a takeover: what the writer knows of the entry before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Takeover>,
    /// The [`AuditKey::id`] of the key that made the tag.
    pub audit_key: String,
    /// SHA-256 of everything in the log from the beginning of the entry before up to this one.
    pub previous: String,
}

/// The kinds of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// An operation is about to be done.
    #[default]
    Intent,
    /// It was done, or it failed.
    Outcome,
    /// It was refused, without an intent before.
    Refusal,
    /// The entries from here on are under another key than those before.
    Takeover,
}

/// What the writer of the first entry under another key knows of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The [`AuditKey::id`] that the entry before names.
    pub from_key: String,
    /// Whether the writer has that key, and it verifies that entry. Otherwise anyone may have written what comes before.
    pub verified: bool,
}

/// The outcome of what succeeded.
pub(super) const DONE: &str = "done";

impl Entry {
    /// Whether this is the outcome of what succeeded.
    pub fn is_done(&self) -> bool {
        self.outcome.as_deref() == Some(DONE)
    }

    /// Whose record it concerns: the user, or the hash where the log has hashes.
    pub fn user_or_hash(&self) -> Option<&str> {
        self.user.as_deref().or(self.user_hash.as_deref())
    }

    /// That another key takes over with the entries of an operation, of which this is the first.
    pub(super) fn takeover(takeover: Takeover, first: &Self) -> Self {
        Self {
            id: first.id.clone(),
            phase: Phase::Takeover,
            operation: "takeover".to_owned(),
            actor: first.actor.clone(),
            takeover: Some(takeover),
            ..Self::default()
        }
    }

    /// How many bytes its line takes at most; also that of an outcome of this intent.
    pub(super) fn room(&self) -> u64 {
        /// Of the members whose length is bounded, and of a label.
        const REST: usize = 3 * 1024;
        // A character may be escaped by 6 bytes for each of its own.
        let texts = [self.user.as_deref(), Some(&self.actor), self.purpose.as_deref()];
        let escaped: usize = texts.into_iter().flatten().map(|text| 6 * text.len()).sum();
        (REST + escaped) as u64
    }

    /// The line: JSON in printable ASCII, its last member an HMAC-SHA256 over all before it, and a newline.
    pub(super) fn sign(&self, key: &AuditKey) -> serde_json::Result<String> {
        let mut line = ascii(&serde_json::to_string(self)?);
        line.pop();
        let tag = key.tag(Purpose::Entry, line.as_bytes());
        Ok(line + MAC + &tag + END)
    }

    /// Reads a line; `None` if it isn't an entry.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        split_tag(line)?;
        serde_json::from_slice(line).ok()
    }
}

/// So many random bytes in hexadecimal.
pub(super) fn random_id<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut id = [0; BYTES];
    getrandom::getrandom(&mut id)?;
    Ok(hex(&id))
}

/// Whether this key made the tag of a line, byte for byte.
pub(super) fn is_signed_by(line: &[u8], key: &AuditKey) -> bool {
    // The tag is no secret, so that the comparison may take as long as it likes.
    split_tag(line).is_some_and(|(text, tag)| key.tag(Purpose::Entry, text) == tag)
}

/// The text of a line that its tag authenticates, and the tag.
fn split_tag(line: &[u8]) -> Option<(&[u8], &str)> {
    let (text, tag) = line.split_at_checked(line.len().checked_sub(MAC.len() + 64 + END.len())?)?;
    let tag = std::str::from_utf8(tag).ok()?;
    Some((text, tag.strip_prefix(MAC)?.strip_suffix(END)?))
}

/// What the next entry carries of the bytes since the beginning of the one before.
pub(super) fn link(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// JSON with all but printable ASCII escaped: no name can steer a terminal or look like another.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii_graphic() || c == ' ' {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(user: &str) -> Entry {
        Entry {
            sequence: 7,
            time: "2026-01-02T03:04:05.000006Z".to_owned(),
            id: "0123456789abcdef".to_owned(),
            phase: Phase::Outcome,
            operation: "reveal".to_owned(),
            user: Some(user.to_owned()),
            actor: "uid:0".to_owned(),
            outcome: Some(DONE.to_owned()),
            duration_us: Some(3),
            audit_key: "k".to_owned(),
            previous: link(b""),
            ..Entry::default()
        }
    }

    #[test]
    fn what_is_signed_is_read_again_and_no_byte_of_it_can_change() {
        let key = AuditKey::new(&[7; 16]).unwrap();
        for user in ["anna", "J\u{f6}rg \u{1f511}", "\u{202e}x\u{9b}31m\u{7f}", "\"},\"mac\":\""] {
            let entry = entry(user);
            let line = entry.sign(&key).unwrap();
            assert!(line.trim_end().chars().all(|c| c.is_ascii_graphic() || c == ' '), "{line}");
            assert_eq!(Entry::parse(line.as_bytes()).unwrap(), entry);
            assert!(is_signed_by(line.as_bytes(), &key));
            assert!(!is_signed_by(line.as_bytes(), &AuditKey::new(&[8; 16]).unwrap()));
            for at in 0..line.len() {
                for flip in [0x01, 0x20, 0x80] {
                    let mut altered = line.clone().into_bytes();
                    *altered.get_mut(at).unwrap() ^= flip;
                    assert!(!is_signed_by(&altered, &key), "byte {at}");
                }
            }
        }
    }
}
