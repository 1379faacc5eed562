//! A look at a few records that are there already, before the first of a new user is written beside them.
//!
//! They show which form of token the directory's other readers need, and whether the key is the right one: what a wrong
//! key encrypts, the right one can't decrypt.

use std::fmt;
use std::slice;

use crate::contract::{Envelope, ErrorCode, RecordKind, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::sandbox::SETTINGS;
use crate::vault::Vault;
use moat_format::members::Members;
use moat_format::user_id::UserId;

/// How many records are looked at, at most.
const SAMPLE: usize = 8;

/// Why nothing was encrypted: the directory has records, and no key of the ring decrypts those that were tried.
/// It stands as the [`source`](std::error::Error::source) of an error of the code [`ErrorCode::WrongKeyOrTampered`].
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyMismatch;

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no master key decrypts the records that are there already")
    }
}

impl std::error::Error for KeyMismatch {}

impl Vault {
    /// A few of the users who have a record.
    pub(super) fn neighbours(&self) -> Result<Vec<UserId>, Error> {
        self.directory().sample(SAMPLE, UserId::from_file_name)
    }

    /// Refuses a ring that decrypts none of these users' records, unless none of them can tell.
    pub(super) fn check_keys_against(&self, neighbours: &[UserId]) -> Result<(), Error> {
        let mut is_refused = false;
        for user in neighbours {
            let answers =
                self.enter(Operation::Verify, slice::from_ref(user), |component, store| {
                    let vault = component.fossawork_credentials_vault();
                    vault.call_verify(store, &[user.to_string()]).map(Ok)
                })?;
            match answers.first() {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => is_refused |= error.code == ErrorCode::WrongKeyOrTampered,
                None => {}
            }
        }
        if is_refused {
            let message = KeyMismatch.to_string();
            return Err(Error::caused(ErrorCode::WrongKeyOrTampered, message, KeyMismatch));
        }
        Ok(())
    }

    /// Sets the directory to the application's form of tokens, if it isn't set to any and one of these users' records
    /// is the application's: that couldn't read another.
    pub(super) fn adopt_form_of(&self, neighbours: &[UserId]) -> Result<(), Error> {
        let is_apps = |user: &UserId| {
            let envelope =
                self.enter(Operation::Inspect, slice::from_ref(user), |component, store| {
                    component.fossawork_credentials_vault().call_inspect(store, user.as_str())
                });
            envelope.is_ok_and(|envelope| is_in_the_applications_form(&envelope))
        };
        if neighbours.iter().any(is_apps) && !self.has_form()? {
            self.configure(None, Some(TokenEncoding::App))?;
        }
        Ok(())
    }

    /// Whether the directory is set to a form of tokens. What can't be read the component complains of.
    fn has_form(&self) -> Result<bool, Error> {
        let settings = self.directory().read(SETTINGS)?;
        let settings: Option<Members> =
            settings.and_then(|(text, _)| serde_json::from_slice(&text).ok());
        Ok(settings
            .is_some_and(|settings| settings.iter().any(|(name, _)| name == "token_encoding")))
    }
}

fn is_in_the_applications_form(envelope: &Envelope) -> bool {
    match envelope.kind {
        RecordKind::LegacyPlaintext | RecordKind::LegacyEncrypted => true,
        _ => {
            let is_1_0 = envelope.version.as_deref() == Some("1.0");
            is_1_0 && envelope.encoding == Some(TokenEncoding::App)
        }
    }
}
