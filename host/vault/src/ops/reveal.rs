use std::slice;

use crate::contract::{self, Revealed, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::sandbox::Function;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// The name of the password among a credential's secrets; no field can have it.
pub(crate) const PASSWORD: &str = "password";

impl Vault {
    /// Decrypts a record and returns all of it; in a [`crate::Scope`], with the fields that are in scope.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::describe`].
    pub fn reveal(&self, user: &UserId) -> Result<Revealed, Error> {
        let request = Request::new(Operation::Reveal, slice::from_ref(user));
        self.decrypt(user, &Request { secret: Some(PASSWORD), ..request })
    }

    /// Decrypts a record for a request, without the fields that are not in scope.
    pub(super) fn decrypt(&self, user: &UserId, request: &Request<'_>) -> Result<Revealed, Error> {
        self.decrypt_by(request, |component, store| {
            component.reveal(store)?.call_reveal(store, user.as_str())
        })
    }

    /// As [`Self::decrypt`], by this function of the component.
    pub(super) fn decrypt_by(
        &self,
        request: &Request<'_>,
        function: impl Function<Result<Revealed, contract::Error>>,
    ) -> Result<Revealed, Error> {
        let mut revealed: Revealed = self.call(request, function)?;
        let is_covered = |name: &str| self.restrictions().cover_secret(name);
        revealed.credential.fields.retain(|field| is_covered(field.name()));
        revealed.summary = self.without_others(revealed.summary);
        Ok(revealed)
    }

    /// Decrypts a record and returns all but its secrets.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorCode::NotFound), [`MasterKeyMissing`](crate::ErrorCode::MasterKeyMissing),
    /// [`WrongKeyOrTampered`](crate::ErrorCode::WrongKeyOrTampered), [`NeedsMigration`](crate::ErrorCode::NeedsMigration),
    /// [`Malformed`](crate::ErrorCode::Malformed), [`UnsupportedVersion`](crate::ErrorCode::UnsupportedVersion), and those
    /// of [every call](Vault#errors).
    pub fn describe(&self, user: &UserId) -> Result<Summary, Error> {
        self.summarize(Operation::Describe, user, |component, store| {
            component.vault(store)?.call_describe(store, user.as_str())
        })
    }
}
