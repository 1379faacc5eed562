use std::slice;

use super::reveal::PASSWORD;
use crate::contract::{Revealed, Summary, VersionHistory};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Returns which earlier versions of a credential are kept, without their secrets.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::describe`].
    pub fn history(&self, user: &UserId) -> Result<VersionHistory, Error> {
        let request = Request::new(Operation::History, slice::from_ref(user));
        let mut history: VersionHistory = self.call(&request, |component, store| {
            component.vault(store)?.call_history(store, user.as_str())
        })?;
        for version in &mut history.versions {
            version.field_names.retain(|name| self.restrictions().cover_secret(name));
        }
        history.summary = self.without_others(history.summary);
        Ok(history)
    }

    /// Decrypts a record and returns an earlier version of its credential, as [`Vault::reveal`] does the current one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorCode::NotFound) also when there is none of this number, and those of [`Vault::describe`].
    pub fn reveal_version(&self, user: &UserId, number: u32) -> Result<Revealed, Error> {
        let request = Request::new(Operation::RevealVersion, slice::from_ref(user));
        self.decrypt_by(&Request { secret: Some(PASSWORD), ..request }, |component, store| {
            component.reveal(store)?.call_reveal_version(store, user.as_str(), number)
        })
    }

    /// Puts an earlier version in the place of the credential, which becomes the latest of the earlier ones.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorCode::NotFound) also when there is none of this number,
    /// [`Conflict`](crate::ErrorCode::Conflict) when the record doesn't have the expected revision, and those of
    /// [`Vault::mark_used`].
    pub fn restore(
        &self,
        user: &UserId,
        number: u32,
        expected_revision: Option<&str>,
    ) -> Result<Summary, Error> {
        self.summarize(Operation::Restore, user, |component, store| {
            component.vault(store)?.call_restore(store, user.as_str(), number, expected_revision)
        })
    }
}
