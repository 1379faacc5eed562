use std::slice;

use super::check_user;
use crate::contract::{Credential, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// An opened record.
#[derive(Clone, Debug)]
pub struct Revealed {
    credential: Credential,
    summary: Summary,
}

impl Revealed {
    /// The secrets.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Everything else.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Drops the fields that aren't to be handed on.
    pub(crate) fn retain_fields(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.credential.fields.retain(|field| is_kept(field.name()));
        self.summary.field_names.retain(|name| is_kept(name));
    }

    pub(crate) fn into_parts(self) -> (Credential, Summary) {
        (self.credential, self.summary)
    }
}

impl Vault {
    /// Opens a record and hands out all of it.
    pub fn reveal(&self, user: &UserId) -> Result<Revealed, Error> {
        self.open(Operation::Reveal, user)
    }

    /// Opens a record for this operation.
    pub(crate) fn open(&self, operation: Operation, user: &UserId) -> Result<Revealed, Error> {
        let revealed = self.call(operation, slice::from_ref(user), |component, store| {
            let reveal = component.fossawork_credentials_reveal();
            reveal.call_reveal(store, user.as_str())
        })?;
        check_user(&revealed.summary, user)?;
        Ok(Revealed { credential: revealed.credential, summary: revealed.summary })
    }

    /// Opens a record and tells all but its secrets.
    pub fn describe(&self, user: &UserId) -> Result<Summary, Error> {
        self.summarize(Operation::Describe, user, |component, store| {
            let vault = component.fossawork_credentials_vault();
            vault.call_describe(store, user.as_str())
        })
    }
}
