//! Using a secret without handing it out.

use std::slice;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::reveal::PASSWORD;
use crate::contract::{Credential, ErrorCode};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// HMAC-SHA256 (RFC 2104) of a message, keyed with the UTF-8 bytes of a secret, `password` or a field's name, by
    /// [`Operation::Apply`].
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NotFound`] when the credential has no secret of this name, and those of [`Vault::describe`].
    pub fn hmac_sha256(
        &self,
        user: &UserId,
        secret: &str,
        message: &[u8],
    ) -> Result<[u8; 32], Error> {
        self.apply(user, secret, "hmac-sha256", |_, secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| {
                Error::caused(ErrorCode::InvalidCredential, "the secret can't be a key", error)
            })?;
            Ok(mac.chain_update(message).finalize().into_bytes().into())
        })
    }

    /// Decrypts a record and uses one of its secrets.
    pub(crate) fn apply<T>(
        &self,
        user: &UserId,
        secret: &str,
        purpose: &str,
        usage: impl FnOnce(&Credential, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let request = Request::new(Operation::Apply, slice::from_ref(user));
        let request = Request { secret: Some(secret), purpose: Some(purpose), ..request };
        let revealed = self.decrypt(user, &request)?;
        let credential = revealed.credential();
        let mut fields = credential.fields().iter();
        let value = match secret {
            PASSWORD => Some(credential.expose_password()),
            _ => fields.find(|field| field.name() == secret).map(|field| field.expose_value()),
        };
        let missing = || Error::new(ErrorCode::NotFound, "the credential has no such secret");
        usage(credential, value.ok_or_else(missing)?)
    }

    /// Refuses to use a user's secret for this.
    #[cfg(feature = "http")]
    pub(crate) fn refuse_apply<T>(
        &self,
        user: &UserId,
        purpose: &str,
        why: &str,
    ) -> Result<T, Error> {
        let request = Request::new(Operation::Apply, slice::from_ref(user));
        self.refuse(&Request { purpose: Some(purpose), ..request }, why)
    }
}
