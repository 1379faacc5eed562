//! The record: the JSON file `<user id>.cred`, around the token.
//!
//! ```json
//! {"user_id":"user123","encrypted_data":"gAAAAAB…","created_at":"2025-01-14T10:00:00","encryption_version":"1.0"}
//! ```
//!
//! The envelope is not authenticated: it is checked for form, and trusted for nothing but where to look. Version 2.0
//! repeats a part of it inside the token (see `host/docs/format.md`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use moat_format::json_object::RawObject;
use moat_format::message::Message;
use moat_format::record::{
    self, CREATED_AT, ENCRYPTED_DATA, HEADROOM, KEY_ID, MAX_BYTES, USER_ID, WRITE_COUNTER,
};
use moat_format::timestamp;
use moat_format::token::{Encoding, Token};
use moat_format::user_id::UserId;

use crate::contract::{Envelope, Error, ErrorCode, File, RecordKind};
use crate::kind;
use crate::plaintext::{Binding, Plaintext};
use crate::scheme::Scheme;

/// How a record is written.
#[derive(Clone)]
pub(crate) struct WriteFormat {
    pub(crate) scheme: Scheme,
    pub(crate) encoding: Encoding,
}

/// A record with a well-formed envelope; by default one that is yet to be begun and sealed.
#[derive(Default)]
pub(crate) struct Record {
    members: RawObject,
    kind: Option<RecordKind>,
    scheme: Scheme,
    /// `None` for [`RecordKind::LegacyPlaintext`], which has none.
    token: Option<(Token, Encoding)>,
    key_id: Option<String>,
    created_at: Option<String>,
    /// How often the record was written since it became one of version 2.0.
    write_counter: u32,
    size: u32,
    /// `None` for a record that isn't in the directory yet.
    revision: Option<String>,
}

impl Record {
    /// Reads the record of this user.
    pub(crate) fn parse(user: &UserId, file: File) -> Result<Self, Error> {
        let size = checked_size(&file.contents)?;
        let text = std::str::from_utf8(&file.contents)
            .map_err(|_| Error::malformed(Message::RecordNotUtf8))?;
        let members: RawObject =
            serde_json::from_str(text).map_err(|_| Error::malformed(Message::RecordNotAnObject))?;

        if members.require::<String>(USER_ID)? != user.as_str() {
            return Err(Error::malformed(Message::AnotherUser));
        }
        let (kind, scheme) = kind::classify(&members)?;
        let encrypted_data: String = members.require(ENCRYPTED_DATA)?;
        let token = match kind {
            RecordKind::LegacyPlaintext => None,
            RecordKind::Current | RecordKind::LegacyEncrypted => Some(
                Token::decode(&encrypted_data)
                    .ok_or_else(|| Error::malformed(Message::NotAToken))?,
            ),
        };
        Ok(Self {
            key_id: members.find::<Option<String>>(KEY_ID)?.flatten(),
            created_at: members.find::<Option<String>>(CREATED_AT)?.flatten(),
            write_counter: match scheme {
                Scheme::V1 => 0,
                Scheme::V2(_) => members.require(WRITE_COUNTER)?,
            },
            members,
            kind: Some(kind),
            scheme,
            token,
            size,
            revision: Some(file.revision),
        })
    }

    /// Makes it the record of a credential that was made at this time, new or in place of another.
    pub(crate) fn begin(&mut self, created_at: &str) {
        self.created_at = Some(created_at.to_owned());
    }

    /// A record that is yet to be sealed, of the same credential for another user.
    pub(crate) fn copied(&self) -> Self {
        Self { created_at: self.created_at.clone(), ..Self::default() }
    }

    /// Puts a new token into this user's record and returns the bytes to write. Members that aren't known here stay as
    /// they are.
    pub(crate) fn seal(
        &mut self,
        user: &UserId,
        token: Token,
        format: &WriteFormat,
        binding: &Binding,
    ) -> Result<Vec<u8>, Error> {
        let version_2 = match &format.scheme {
            Scheme::V1 => None,
            Scheme::V2(kdf) => Some((kdf.clone(), binding.write_counter)),
        };
        let envelope = record::Envelope {
            user: user.clone(),
            token: (token, format.encoding),
            created_at: self.created_at.clone(),
            key_id: binding.key_id.clone(),
            version_2,
        };
        let contents = envelope.spelled_over(std::mem::take(&mut self.members))?;

        self.size = checked_size(&contents)?;
        self.kind = Some(RecordKind::Current);
        self.scheme = format.scheme.clone();
        self.token = Some(envelope.token);
        self.key_id.clone_from(&binding.key_id);
        self.write_counter = binding.write_counter;
        Ok(contents)
    }

    /// What the token repeats of the envelope when the record is next written, encrypted with the key of this label.
    pub(crate) fn next_binding(
        &self,
        user: &UserId,
        key_id: Option<String>,
    ) -> Result<Binding, Error> {
        let end = || Error::new(ErrorCode::TooLarge, Message::CounterAtItsEnd);
        let write_counter = self.write_counter.checked_add(1).ok_or_else(end)?;
        Ok(Binding { user_id: user.to_string(), key_id, write_counter })
    }

    /// Checks what the token repeats of the envelope.
    pub(crate) fn check_binding(&self, user: &UserId, inside: &Plaintext) -> Result<(), Error> {
        let Scheme::V2(_) = self.scheme else {
            return Ok(());
        };
        let envelope = Binding {
            user_id: user.to_string(),
            key_id: self.key_id.clone(),
            write_counter: self.write_counter,
        };
        if inside.binding()? != Some(envelope) {
            return Err(Error::new(ErrorCode::WrongKeyOrTampered, Message::EnvelopeAltered));
        }
        Ok(())
    }

    /// Notes the revision that the directory gave to what was written.
    pub(crate) fn set_revision(&mut self, revision: String) {
        self.revision = Some(revision);
    }

    /// The revision of the file that this record was read from or written to.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// What kind of record it is.
    pub(crate) fn kind(&self) -> RecordKind {
        self.kind.unwrap_or(RecordKind::Current)
    }

    /// How a user's key comes from a master key.
    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// How the token is encoded; `None` when there is none.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.token.as_ref().map(|(_, encoding)| *encoding)
    }

    /// The label of the key that the record says it is encrypted with.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The token, unless the record is not encrypted at all.
    pub(crate) fn token(&self) -> Result<&Token, Error> {
        match &self.token {
            Some((token, _)) => Ok(token),
            None => Err(Error::new(ErrorCode::NeedsMigration, Message::NotEncrypted)),
        }
    }

    /// The plaintext of a record that is not encrypted: base64 of the text that should have been encrypted.
    pub(crate) fn unencrypted(&self) -> Result<Plaintext, Error> {
        let encoded: String = self.members.require(ENCRYPTED_DATA)?;
        let text = URL_SAFE.decode(encoded).map_err(|_| Error::malformed(Message::NotBase64))?;
        Plaintext::parse(&text)
    }

    pub(crate) fn envelope(&self) -> Envelope {
        let made = self.token.as_ref().map(|(token, _)| token.time());
        let is_current = self.kind() == RecordKind::Current;
        Envelope {
            kind: self.kind(),
            version: is_current.then(|| self.scheme.version().name().to_owned()),
            write_counter: matches!(self.scheme, Scheme::V2(_)).then_some(self.write_counter),
            encoding: self.encoding().map(Into::into),
            key_id: self.key_id.clone(),
            created_at: self.created_at.clone(),
            encrypted_at: made.and_then(timestamp::format),
            size: self.size,
            revision: self.revision.clone().unwrap_or_default(),
        }
    }
}

/// Refuses a new record that leaves too little room for what is written into it later.
pub(crate) fn check_headroom(contents: &[u8]) -> Result<(), Error> {
    if contents.len() > MAX_BYTES - HEADROOM {
        return Err(Error::new(ErrorCode::TooLarge, Message::NewRecordTooLarge));
    }
    Ok(())
}

fn checked_size(contents: &[u8]) -> Result<u32, Error> {
    match u32::try_from(contents.len()) {
        Ok(size) if contents.len() <= MAX_BYTES => Ok(size),
        _ => Err(Error::new(ErrorCode::TooLarge, Message::RecordTooLarge)),
    }
}
