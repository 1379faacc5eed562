//! The record: the JSON file `<user id>.cred`, around the token.
//!
//! ```json
//! {"user_id":"user123","encrypted_data":"gAAAAAB…","created_at":"2025-01-14T10:00:00","encryption_version":"1.0"}
//! ```
//!
//! Nothing here is authenticated: it is checked for form, and believed for nothing but where to look.

use crate::contract::{Envelope, Error, ErrorCode, File, RecordKind, TokenEncoding};
use crate::legacy::{self, CRYPTO_AVAILABLE, VERSION_1};
use crate::members::Members;
use crate::timestamp;
use crate::token::Token;
use crate::user_id::UserId;

/// The largest record in bytes, read or written.
pub const MAX_BYTES: usize = 64 * 1024;

/// A record that is well-formed outside; by default one that is yet to be begun and sealed.
#[derive(Default)]
pub(crate) struct Record {
    members: Members,
    kind: Option<RecordKind>,
    version: Option<String>,
    /// `None` for [`RecordKind::LegacyPlaintext`], which has none.
    token: Option<(Token, TokenEncoding)>,
    key_id: Option<String>,
    created_at: Option<String>,
    size: u32,
    /// `None` for a record that isn't in the directory yet.
    revision: Option<String>,
}

impl Record {
    /// Reads the record of this user.
    pub(crate) fn parse(user: &UserId, file: File) -> Result<Self, Error> {
        let size = checked_size(&file.contents)?;
        let text = std::str::from_utf8(&file.contents)
            .map_err(|_| Error::malformed("the record is not UTF-8"))?;
        let members: Members = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::malformed(format!(
                "the record is not a JSON object (line {line}, column {column})"
            ))
        })?;

        if members.require::<String>("user_id")? != user.as_str() {
            return Err(Error::malformed("`user_id` names another user than the file does"));
        }
        let (kind, version) = legacy::classify(&members)?;
        let encrypted_data: String = members.require("encrypted_data")?;
        let token = match kind {
            RecordKind::LegacyPlaintext => None,
            RecordKind::Current | RecordKind::LegacyEncrypted => Some(
                Token::decode(&encrypted_data)
                    .ok_or_else(|| Error::malformed("`encrypted_data` is not a Fernet token"))?,
            ),
        };
        Ok(Self {
            key_id: members.find::<Option<String>>("key_id")?.flatten(),
            created_at: members.find::<Option<String>>("created_at")?.flatten(),
            members,
            kind: Some(kind),
            version,
            token,
            size,
            revision: Some(file.revision),
        })
    }

    /// Makes it the record of a credential that begins now, new or in place of another.
    pub(crate) fn begin(&mut self, user: &UserId, now: &str) -> Result<(), Error> {
        self.members.set("user_id", user.as_str())?;
        self.members.set("encrypted_data", "")?;
        self.members.set("created_at", now)?;
        self.created_at = Some(now.to_owned());
        Ok(())
    }

    /// Puts a new token into the record, under the key with this label, and returns the bytes to write. Without
    /// an encoding the one that was found stays. Members that aren't known here stay as they are.
    pub(crate) fn seal(
        &mut self,
        token: Token,
        encoding: Option<TokenEncoding>,
        key_id: Option<&str>,
    ) -> Result<Vec<u8>, Error> {
        let encoding = encoding.or(self.encoding()).unwrap_or(TokenEncoding::Documented);
        self.members.set("encrypted_data", token.encode(encoding))?;
        self.members.set("encryption_version", VERSION_1)?;
        self.members.remove(CRYPTO_AVAILABLE);
        match key_id {
            Some(id) => self.members.set("key_id", id)?,
            None => self.members.remove("key_id"),
        }
        let contents = serde_json::to_vec(&self.members)
            .map_err(|_| Error::malformed("the record can't be written as JSON"))?;

        self.size = checked_size(&contents)?;
        self.kind = Some(RecordKind::Current);
        self.version = Some(VERSION_1.to_owned());
        self.token = Some((token, encoding));
        self.key_id = key_id.map(str::to_owned);
        Ok(contents)
    }

    /// Notes the revision that the directory gave to what was written.
    pub(crate) fn set_revision(&mut self, revision: String) {
        self.revision = Some(revision);
    }

    /// The revision of the file that this record was read from or written to.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    fn encoding(&self) -> Option<TokenEncoding> {
        self.token.as_ref().map(|(_, encoding)| *encoding)
    }

    /// The label of the key that the record says it is under.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The token, unless the record is not encrypted at all.
    pub(crate) fn token(&self) -> Result<&Token, Error> {
        match &self.token {
            Some((token, _)) => Ok(token),
            None => Err(Error::new(
                ErrorCode::NeedsMigration,
                "this legacy record is not encrypted: whoever can write the directory could have chosen its password",
            )),
        }
    }

    pub(crate) fn envelope(&self) -> Envelope {
        let made = self.token.as_ref().map(|(token, _)| token.time());
        Envelope {
            kind: self.kind.unwrap_or(RecordKind::Current),
            version: self.version.clone(),
            encoding: self.encoding(),
            key_id: self.key_id.clone(),
            created_at: self.created_at.clone(),
            encrypted_at: made.and_then(timestamp::format),
            size: self.size,
            revision: self.revision.clone().unwrap_or_default(),
        }
    }
}

fn checked_size(contents: &[u8]) -> Result<u32, Error> {
    match u32::try_from(contents.len()) {
        Ok(size) if contents.len() <= MAX_BYTES => Ok(size),
        _ => Err(Error::new(
            ErrorCode::TooLarge,
            format!("the record has {} bytes, more than the {MAX_BYTES} allowed", contents.len()),
        )),
    }
}
