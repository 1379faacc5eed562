use std::slice;

use super::pages::Pages;
use crate::contract::ErrorCode;
use crate::error::Error;
use crate::sandbox::Operation;
use crate::user_id::UserId;
use crate::vault::Vault;

/// A file that is neither a record nor this program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Its name.
    pub name: String,
    /// Whose record it is a copy of, as the FossaWork application's old migration left them: in the clear.
    pub backup_of: Option<UserId>,
}

impl Vault {
    /// The files that are neither records nor this program's own, in ascending order of their names' bytes;
    /// needs no key.
    pub fn leftovers(&self) -> impl Iterator<Item = Result<Leftover, Error>> + '_ {
        Pages::new(|cursor| {
            self.page(Operation::Leftovers, |component, store, limit| {
                let vault = component.fossawork_credentials_vault();
                let page = vault.call_leftovers(store, cursor, limit)?;
                Ok(page.map(|page| (page.leftovers, page.next)))
            })
        })
        .map(|leftover| {
            let leftover = leftover?;
            let backup_of = UserId::from_backup_name(&leftover.name);
            if backup_of.as_ref().map(UserId::as_str) != leftover.backup_of.as_deref() {
                return Err(Error::answer("told of a backup that is none"));
            }
            Ok(Leftover { name: leftover.name, backup_of })
        })
    }

    /// Removes a backup of this name, if the credential that it is of opens, and tells whether there was one.
    pub fn remove_backup(&self, name: &str) -> Result<bool, Error> {
        let Some(user) = UserId::from_backup_name(name) else {
            let message = "this is not the name of a backup";
            return Err(Error::new(ErrorCode::Malformed, message));
        };
        let user = slice::from_ref(&user);
        let removed = self.call(Operation::RemoveBackup, user, |component, store| {
            component.fossawork_credentials_vault().call_remove_backup(store, name)
        })?;
        Ok(removed.existed)
    }
}
