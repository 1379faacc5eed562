use std::slice;

use super::KeyMismatch;
use crate::audit::Outcome;
use crate::contract::{Credential, ErrorCode, PutOptions, Stored};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Stores a credential, in place of the one before if there is one.
    ///
    /// A key of the ring must decrypt the record that is replaced, unless it is of a legacy kind that anyone can read:
    /// with a mistyped key nothing is replaced. Nor is a new user's credential stored when the keys decrypt none of the
    /// first few existing records, unless [`crate::Builder::allow_new_key`] allows it.
    ///
    /// # Errors
    ///
    /// [`InvalidCredential`](crate::ErrorCode::InvalidCredential), [`Conflict`](crate::ErrorCode::Conflict) as the options
    /// ask for it, [`TooLarge`](crate::ErrorCode::TooLarge), and those of [`Vault::mark_used`].
    /// [`WrongKeyOrTampered`](crate::ErrorCode::WrongKeyOrTampered) has [`crate::KeyMismatch`] as its source when it is the
    /// existing records of others that the keys don't decrypt.
    pub fn put(
        &self,
        user: &UserId,
        credential: &Credential,
        options: &PutOptions,
    ) -> Result<Stored, Error> {
        let token_encoding = options.token_encoding.or(self.token_encoding());
        let options = PutOptions { token_encoding, ..options.clone() };
        let request = Request {
            created_at: credential.created_at(),
            ..Request::new(Operation::Put, slice::from_ref(user))
        };
        let put = |admission: &Admission| {
            let is_new = self.prepare_directory_for(user, &options, admission)?;
            let stored = self.enter(admission, &request, |component, store| {
                let vault = component.vault(store)?;
                vault.call_put(store, user.as_str(), credential, &options)
            });
            // Where there is no record of the user, it is the settings that no key authenticates.
            stored.map_err(|error: Error| match error.code() {
                ErrorCode::WrongKeyOrTampered if is_new => {
                    Error::caused(error.code(), error.to_string(), KeyMismatch::Settings)
                }
                _ => error,
            })
        };
        self.perform(&request, put, |stored: &Stored| {
            vec![Outcome::done(Some(&stored.summary.key))]
        })
    }
}
