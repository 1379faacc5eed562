//! A look at a few existing records before the first record of a new user is written beside them.
//!
//! They show which token encoding the directory's other readers need, and whether the key is the right one: what a wrong
//! key encrypts, the right one can't decrypt.

use std::fmt;
use std::slice;

use crate::contract::{Configured, Envelope, ErrorCode, PutOptions, RecordKind, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::vault::Vault;
use moat_format::files::SETTINGS;
use moat_format::json_object::RawObject;
use moat_format::settings::TOKEN_ENCODING;
use moat_format::user_id::UserId;
use moat_format::version::Version;

/// How many records are examined, at most.
const SAMPLE: usize = 8;

/// Why nothing was encrypted: the directory has records, and no key of the ring decrypts those that were tried.
/// It is the [`source`](std::error::Error::source) of an error with the code [`ErrorCode::WrongKeyOrTampered`].
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyMismatch;

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no master key decrypts the existing records")
    }
}

impl std::error::Error for KeyMismatch {}

impl Vault {
    /// Makes sure, before the first record of a new user is written, that the keys fit the existing records and that the
    /// directory's other readers can read the new one.
    pub(super) fn prepare_directory_for(
        &self,
        user: &UserId,
        options: &PutOptions,
        admission: &Admission,
    ) -> Result<(), Error> {
        let is_new = || matches!(self.directory().read(&user.file_name()), Ok(None));
        if self.knows_neighbours() || !is_new() {
            return Ok(());
        }
        let neighbours = self.directory().sample(SAMPLE, UserId::from_file_name)?;
        if !self.allows_new_key() {
            self.check_keys_against(&neighbours, admission)?;
        }
        let adopts_encoding = options.token_encoding.is_none();
        if adopts_encoding {
            self.adopt_encoding_of(&neighbours, admission)?;
        }
        if !neighbours.is_empty() && adopts_encoding {
            self.note_neighbours();
        }
        Ok(())
    }

    /// Refuses a ring that decrypts none of these users' records, unless none of them can tell.
    fn check_keys_against(
        &self,
        neighbours: &[UserId],
        admission: &Admission,
    ) -> Result<(), Error> {
        let mut is_refused = false;
        for user in neighbours {
            let users = slice::from_ref(user);
            let answers = self.enter(admission, Operation::Verify, users, |component, store| {
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

    /// Sets the directory to the application's token encoding, if it isn't set to any and one of these users' records is
    /// the application's: it couldn't read another.
    fn adopt_encoding_of(&self, neighbours: &[UserId], admission: &Admission) -> Result<(), Error> {
        let is_apps = |user: &UserId| {
            let users = slice::from_ref(user);
            let envelope = self.enter(admission, Operation::Inspect, users, |component, store| {
                component.fossawork_credentials_vault().call_inspect(store, user.as_str())
            });
            envelope.is_ok_and(|envelope| is_the_applications(&envelope))
        };
        if neighbours.iter().any(is_apps) && !self.has_encoding()? {
            let part = Request::new(Operation::Configure, &[]);
            let encoding = Some(TokenEncoding::App);
            let _: Configured = self.perform_part(admission, &part, |component, store| {
                component.fossawork_credentials_vault().call_configure(store, None, encoding)
            })?;
        }
        Ok(())
    }

    /// Whether the directory is set to a token encoding. Settings that can't be read the component complains about.
    fn has_encoding(&self) -> Result<bool, Error> {
        let settings = self.directory().read(SETTINGS)?;
        let settings: Option<RawObject> =
            settings.and_then(|(text, _)| serde_json::from_slice(&text).ok());
        Ok(settings.is_some_and(|settings| settings.contains(TOKEN_ENCODING)))
    }
}

/// Whether a record is as the application writes it.
fn is_the_applications(envelope: &Envelope) -> bool {
    match envelope.kind {
        RecordKind::LegacyPlaintext | RecordKind::LegacyEncrypted => true,
        RecordKind::Current => {
            envelope.version.as_deref() == Some(Version::V1.name())
                && envelope.encoding == Some(TokenEncoding::App)
        }
    }
}
