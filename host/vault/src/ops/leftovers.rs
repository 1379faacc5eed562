use std::ffi::OsString;
use std::slice;

use super::pages::Pages;
use crate::contract::{self, ErrorCode};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// What the names of the old migration's backups contain.
const BACKUP: &[u8] = b".cred.backup_";

/// A file that is neither a record nor the program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Its name, which need not be UTF-8.
    pub name: OsString,
    /// Whose record it is a backup of, as the FossaWork application's old migration left them: unencrypted.
    pub backup_of: Option<UserId>,
}

impl Leftover {
    /// Whether it looks like a record or a backup of one, but belongs to no user because its name is not UTF-8. It has to
    /// be renamed before anything can be done with it.
    pub fn needs_another_name(&self) -> bool {
        let name = self.name.as_encoded_bytes();
        let mut parts = name.windows(BACKUP.len());
        self.name.to_str().is_none()
            && (name.ends_with(UserId::EXTENSION.as_bytes()) || parts.any(|part| part == BACKUP))
    }
}

impl Vault {
    /// The files that are neither records nor the program's own, in the order of the directory (`wit/directory.wit`), and
    /// after them those whose names are not UTF-8. Needs no key. The iterator ends with the first error, one of those of
    /// [every call](Vault#errors).
    pub fn leftovers(&self) -> impl Iterator<Item = Result<Leftover, Error>> + '_ {
        Pages::new(|cursor| {
            let mut not_utf8 = Ok(Vec::new());
            let (leftovers, next) =
                self.page(Operation::Leftovers, |component, store, limit| {
                    let vault = component.vault(store)?;
                    let page = vault.call_leftovers(store, cursor, limit)?;
                    // Names are strings for the component, so the host has to look for these itself.
                    if page.as_ref().is_ok_and(|page| page.next.is_none()) {
                        not_utf8 = self.directory().names_not_utf8();
                    }
                    Ok(page.map(|page| (page.leftovers, page.next)))
                })?;
            let not_utf8 = not_utf8?.into_iter().map(|name| Ok(Leftover { name, backup_of: None }));
            let leftovers = leftovers.into_iter().map(checked).chain(not_utf8);
            Ok((leftovers.collect::<Result<_, _>>()?, next))
        })
    }

    /// Removes a backup of this name, if the record that it is a backup of can be decrypted, and returns whether there was
    /// one.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Malformed`] when this isn't the name of a backup, and those of [`Vault::describe`].
    pub fn remove_backup(&self, name: &str) -> Result<bool, Error> {
        let Some(user) = UserId::from_backup_name(name) else {
            let message = "this is not the name of a backup";
            return Err(Error::new(ErrorCode::Malformed, message));
        };
        let request = Request::new(Operation::RemoveBackup, slice::from_ref(&user));
        let removed = self.call(&request, |component, store| {
            component.vault(store)?.call_remove_backup(store, name)
        })?;
        Ok(removed.existed)
    }
}

fn checked(leftover: contract::Leftover) -> Result<Leftover, Error> {
    let backup_of = UserId::from_backup_name(&leftover.name);
    if backup_of.as_ref().map(UserId::as_str) != leftover.backup_of.as_deref() {
        return Err(Error::answer("reported a backup that is not one"));
    }
    Ok(Leftover { name: leftover.name.into(), backup_of })
}
