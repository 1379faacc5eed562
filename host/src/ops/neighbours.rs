//! A look at a few records that are there already, before the first of a new user is written beside them. A key that
//! decrypts none of them is most likely a wrong one: what it encrypts, the right one couldn't decrypt.

use std::fmt;
use std::slice;

use crate::contract::ErrorCode;
use crate::error::Error;
use crate::sandbox::Operation;
use crate::user_id::UserId;
use crate::vault::Vault;

/// How many records are looked at, at most.
const SAMPLE: usize = 8;

/// Why a new credential was not stored: the directory has records, and no key of the ring decrypts those that were tried.
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
    /// Refuses a ring that decrypts none of the records there, unless none can tell.
    pub(super) fn check_keys_against_neighbours(&self) -> Result<(), Error> {
        let is_record = |name: &str| UserId::from_file_name(name);
        let mut is_refused = false;
        for user in self.directory().sample(SAMPLE, is_record)? {
            let users = slice::from_ref(&user);
            let answers = self.enter(Operation::Verify, users, |component, store| {
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
}
