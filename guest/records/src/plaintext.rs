//! What is encrypted in a token: the credential, as JSON.
//!
//! `username`, `password` and `created_at` must be there; `last_used`, `is_valid` and `validation_attempts`
//! may be missing. `fields` holds Moat's additional values, `expires` when the credential expires, and
//! `earlier_versions` its history; each is there only if there is some.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use moat_format::expiry::Expiry;
use moat_format::field_name::RESERVED_FIELD_NAMES;
use moat_format::json_object::RawObject;
use moat_format::message::Message;
use moat_format::timestamp::is_time;

use crate::contract::{Changes, Credential, Error, ErrorCode, Field};

/// The member by which version 2.0 binds the envelope of its record.
const BINDING: &str = "record";

/// What the token of version 2.0 repeats of its record's envelope, so that it is authenticated.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binding {
    pub(crate) user_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) write_counter: u32,
}

/// A decrypted credential with the members that aren't known here; by default one that is yet to be filled.
#[derive(Default)]
pub struct Plaintext(RawObject);

impl Plaintext {
    /// Reads decrypted bytes.
    ///
    /// # Errors
    ///
    /// `malformed` when they are not a JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|_| Error::malformed(Message::PlaintextNotAnObject))
    }

    /// Replaces the credential, and keeps what it doesn't name: fields, when it expires, and members that aren't known here.
    /// `created_at` is when it was created, unless the credential says so itself.
    ///
    /// # Errors
    ///
    /// `malformed` when the fields so far are not an object.
    pub fn replace(&mut self, credential: &Credential, created_at: &str) -> Result<(), Error> {
        let members = &mut self.0;
        members.set("username", &credential.username)?;
        members.set("password", &credential.password)?;
        members.set("created_at", credential.created_at.as_deref().unwrap_or(created_at))?;
        members.set("last_used", &credential.last_used)?;
        members.set("is_valid", credential.is_valid)?;
        members.set("validation_attempts", credential.validation_attempts)?;
        self.set_expires(credential.expires.as_deref())?;
        change_fields(&mut self.0, &credential.fields, &[])
    }

    /// Replaces and removes parts of the credential, and keeps everything else. A new password was created now; with another
    /// username or password, no login attempt has been reported yet.
    ///
    /// # Errors
    ///
    /// `invalid-credential` when a field to remove isn't there.
    pub fn change(&mut self, changes: &Changes, now: &str) -> Result<(), Error> {
        let members = &mut self.0;
        if let Some(username) = &changes.username {
            members.set("username", username)?;
        }
        if let Some(password) = &changes.password {
            members.set("password", password)?;
            members.set("created_at", now)?;
        }
        if changes.username.is_some() || changes.password.is_some() {
            members.set("is_valid", false)?;
            members.set("validation_attempts", 0)?;
        }
        self.set_expires(changes.expires.as_deref())?;
        change_fields(&mut self.0, &changes.fields, &changes.removed_fields)
    }

    /// Puts the secrets of another version in the place of those that are there, which no login attempt was reported for yet.
    /// What isn't known here stays.
    pub(crate) fn restore(&mut self, version: &Credential) -> Result<(), Error> {
        self.0.remove("fields");
        self.0.remove("expires");
        version.write_to(&mut self.0)?;
        self.0.set("is_valid", false)?;
        Ok(self.0.set("validation_attempts", 0)?)
    }

    /// Sets when it expires; `None` leaves that as it is.
    fn set_expires(&mut self, expires: Option<&str>) -> Result<(), Error> {
        match expires {
            None => Ok(()),
            Some(Expiry::NEVER) => {
                self.0.remove("expires");
                Ok(())
            }
            Some(expires) => Ok(self.0.set("expires", expires)?),
        }
    }

    /// The credential.
    ///
    /// # Errors
    ///
    /// `malformed` when a member is missing or of another type than the format says.
    pub fn credential(&self) -> Result<Credential, Error> {
        credential_of(&self.0)
    }

    /// All members.
    pub(crate) fn members(&self) -> &RawObject {
        &self.0
    }

    /// As [`Self::members`], to be changed.
    pub(crate) fn members_mut(&mut self) -> &mut RawObject {
        &mut self.0
    }

    /// Records a use.
    ///
    /// # Errors
    ///
    /// `malformed`, which can't occur for text.
    pub fn set_last_used(&mut self, now: &str) -> Result<(), Error> {
        Ok(self.0.set("last_used", now)?)
    }

    /// Counts a login attempt and records its outcome.
    ///
    /// # Errors
    ///
    /// `malformed` when the count so far is not a number.
    pub fn record_attempt(&mut self, valid: bool) -> Result<(), Error> {
        let attempts: u32 = self.0.find("validation_attempts")?.unwrap_or(0);
        self.0.set("is_valid", valid)?;
        Ok(self.0.set("validation_attempts", attempts.saturating_add(1))?)
    }

    /// What this repeats of its record's envelope; `None` when it repeats nothing.
    pub(crate) fn binding(&self) -> Result<Option<Binding>, Error> {
        Ok(self.0.find(BINDING)?)
    }

    /// Repeats this part of the record's envelope.
    pub(crate) fn bind(&mut self, envelope: &Binding) -> Result<(), Error> {
        Ok(self.0.set(BINDING, envelope)?)
    }

    /// Repeats nothing of the record's envelope.
    pub(crate) fn unbind(&mut self) {
        self.0.remove(BINDING);
    }

    /// The bytes to encrypt.
    ///
    /// # Errors
    ///
    /// `malformed`, which can't occur for what was read as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.0).map_err(|_| Error::malformed(Message::PlaintextNotJson))
    }
}

/// Adds, replaces and removes fields.
fn change_fields(members: &mut RawObject, set: &[Field], removed: &[String]) -> Result<(), Error> {
    let fields: Option<RawObject> = members.find("fields")?;
    let mut fields = fields.unwrap_or_default();
    for name in removed {
        if !fields.contains(name) {
            return Err(Error::new(ErrorCode::InvalidCredential, Message::NoSuchField));
        }
        fields.remove(name);
    }
    for Field { name, value } in set {
        fields.put(name, value).map_err(|_| Error::malformed(Message::PlaintextNotJson))?;
    }
    if fields.iter().next().is_none() {
        members.remove("fields");
        return Ok(());
    }
    Ok(members.set("fields", fields)?)
}

/// The credential that these members tell.
pub(crate) fn credential_of(members: &RawObject) -> Result<Credential, Error> {
    let fields: Option<RawObject> = members.find("fields")?;
    let fields = fields.unwrap_or_default();
    let fields = fields
        .iter()
        .map(|(name, _)| {
            // Without the name, which is decrypted text and may hold anything.
            let value = fields.get(name).ok().flatten();
            let value = value.ok_or_else(|| Error::malformed(Message::StoredField))?;
            Ok(Field { name: name.to_owned(), value })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Credential {
        username: members.require("username")?,
        password: members.require("password")?,
        fields,
        created_at: Some(members.require("created_at")?),
        last_used: members.find::<Option<String>>("last_used")?.flatten(),
        is_valid: members.find("is_valid")?.unwrap_or(false),
        validation_attempts: members.find("validation_attempts")?.unwrap_or(0),
        expires: members.find::<Option<String>>("expires")?.flatten(),
    })
}

impl Credential {
    /// The names of the additional values.
    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }

    /// Whether username, password and additional values are the same.
    pub(crate) fn has_secrets_of(&self, other: &Self) -> bool {
        let fields = |of: &Self| -> BTreeMap<_, _> {
            of.fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect()
        };
        self.username == other.username
            && self.password == other.password
            && fields(self) == fields(other)
    }

    /// Sets the members that say what the secrets are, since when, and for how long.
    pub(crate) fn write_to(&self, members: &mut RawObject) -> Result<(), Error> {
        members.set("username", &self.username)?;
        members.set("password", &self.password)?;
        members.set("created_at", &self.created_at)?;
        if let Some(expires) = &self.expires {
            members.set("expires", expires)?;
        }
        change_fields(members, &self.fields, &[])
    }
}

/// Checks what a caller wants to have stored, before anything is read or derived.
pub(crate) fn check(credential: &Credential) -> Result<(), Error> {
    // It also stands in the envelope, in the clear.
    if credential.created_at.as_deref().is_some_and(|created_at| !is_time(created_at)) {
        return Err(Error::new(ErrorCode::InvalidCredential, Message::CreatedAt));
    }
    check_expires(credential.expires.as_deref())?;
    check_fields(&credential.fields)
}

/// Checks what a caller wants to have changed, before anything is read or derived.
pub(crate) fn check_changes(changes: &Changes) -> Result<(), Error> {
    let Changes { username, password, fields, removed_fields, expires, forget_history } = changes;
    let texts = [username, password, expires];
    let is_empty = texts.iter().all(|text| text.is_none())
        && fields.is_empty()
        && removed_fields.is_empty()
        && !forget_history;
    if is_empty {
        return Err(Error::new(ErrorCode::InvalidCredential, Message::NothingToChange));
    }
    check_expires(expires.as_deref())?;
    check_fields(fields)
}

fn check_expires(expires: Option<&str>) -> Result<(), Error> {
    match expires {
        Some(text) if text != Expiry::NEVER && Expiry::parse(text).is_none() => {
            Err(Error::new(ErrorCode::InvalidCredential, Message::Expires))
        }
        _ => Ok(()),
    }
}

fn check_fields(fields: &[Field]) -> Result<(), Error> {
    let refuse = |message| Err(Error::new(ErrorCode::InvalidCredential, message));
    for (place, Field { name, .. }) in fields.iter().enumerate() {
        if name.is_empty() || name.chars().any(char::is_control) {
            return refuse(Message::FieldName);
        }
        if RESERVED_FIELD_NAMES.contains(&name.as_str()) {
            return refuse(Message::FieldReserved);
        }
        if fields.iter().take(place).any(|other| other.name == *name) {
            return refuse(Message::FieldTwice);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn credential(password: &str, fields: &[(&str, &str)]) -> Credential {
        Credential {
            username: "anna".into(),
            password: password.into(),
            fields: fields
                .iter()
                .map(|(name, value)| Field { name: (*name).into(), value: (*value).into() })
                .collect(),
            created_at: None,
            last_used: None,
            is_valid: false,
            validation_attempts: 0,
            expires: None,
        }
    }

    #[test]
    fn the_last_three_members_may_be_missing() {
        let text = r#"{"username":"a","password":"p","created_at":"2025-01-14T10:00:00"}"#;
        let credential = Plaintext::parse(text.as_bytes()).unwrap().credential().unwrap();
        assert_eq!(credential.last_used, None);
        assert!(!credential.is_valid);
        assert_eq!(credential.validation_attempts, 0);
    }

    #[test]
    fn unknown_members_survive_changes() {
        let text = r#"{"username":"a","x":[1.0],"password":"p","created_at":"c","last_used":null}"#;
        let mut plaintext = Plaintext::parse(text.as_bytes()).unwrap();
        plaintext.set_last_used("2026-01-01T00:00:00").unwrap();
        plaintext.record_attempt(true).unwrap();
        assert_eq!(
            String::from_utf8(plaintext.to_bytes().unwrap()).unwrap(),
            r#"{"username":"a","x":[1.0],"password":"p","created_at":"c","last_used":"2026-01-01T00:00:00","is_valid":true,"validation_attempts":1}"#
        );
    }

    #[test]
    fn wrong_types_are_refused() {
        let whole = r#"{"username":"a","password":"p","created_at":"c","last_used":null,"is_valid":true,"validation_attempts":1,"fields":{"totp":"1"}}"#;
        assert!(Plaintext::parse(whole.as_bytes()).unwrap().credential().is_ok());
        for (good, bad) in [
            (r#""a""#, "1"),
            (r#""p""#, "null"),
            (r#""p""#, r#""\ud800""#),
            (r#""c""#, "null"),
            (r#","created_at":"c""#, ""),
            ("null", "0"),
            ("true", r#""true""#),
            (":1,", ":-1,"),
            (":1,", ":1.0,"),
            (":1,", ":9223372036854775808,"),
            (r#""1""#, "1"),
            (r#"{"totp":"1"}"#, "[]"),
            (r#"{"totp":"1"}"#, r#"{"totp":"1","totp":"2"}"#),
            (r#""username":"a""#, r#""username":"a","username":"b""#),
        ] {
            let text = whole.replacen(good, bad, 1);
            assert_ne!(text, whole);
            let error = Plaintext::parse(text.as_bytes()).unwrap().credential().unwrap_err();
            assert_eq!(error.code, ErrorCode::Malformed, "{text}");
        }
    }

    #[test]
    fn field_names_are_checked() {
        for fields in
            [&[("", "x")][..], &[("a\n", "x")], &[("password", "x")], &[("a", "x"), ("a", "y")]]
        {
            let error = check(&credential("p", fields)).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidCredential, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(password in ".*", value in ".*") {
            let written = credential(&password, &[("note", &value)]);
            let mut plaintext = Plaintext::default();
            plaintext.replace(&written, "2025-01-14T10:00:00").unwrap();
            let read = Plaintext::parse(&plaintext.to_bytes().unwrap()).unwrap().credential().unwrap();
            prop_assert_eq!(read.password, password);
            prop_assert_eq!(&read.fields[0].value, &value);
            prop_assert_eq!(read.created_at.as_deref(), Some("2025-01-14T10:00:00"));
        }
    }
}
