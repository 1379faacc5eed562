use std::vec;

use crate::contract::ErrorCode;
use crate::error::Error;
use crate::sandbox::{Operation, Stop};
use crate::user_id::UserId;
use crate::vault::Vault;

/// How many names of the directory one call looks at.
const PAGE: u32 = 4096;

impl Vault {
    /// The users who have a record, in ascending order of their bytes; needs no key. The directory is read in
    /// pages while the iterator goes on.
    pub fn users(&self) -> Users<'_> {
        Users { vault: self, page: Vec::new().into_iter(), next: Next::First }
    }
}

/// An iterator over the users of a vault; it ends with the first error.
pub struct Users<'v> {
    vault: &'v Vault,
    page: vec::IntoIter<String>,
    next: Next,
}

enum Next {
    First,
    After(String),
    None,
}

impl Users<'_> {
    fn turn_page(&mut self) -> Result<(), Error> {
        let cursor = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => None,
            Next::After(cursor) => Some(cursor),
            Next::None => return Ok(()),
        };
        let page = self.vault.call(Operation::Users, &[], |component, store| {
            let vault = component.fossawork_credentials_vault();
            let page = vault.call_users(&mut *store, cursor.as_deref(), PAGE)?;
            // With pages of its own invention it could go on for ever.
            if page.as_ref().is_ok_and(|page| page.next.as_deref() != store.data().next_page()) {
                return Err(Stop::Page.into());
            }
            Ok(page)
        })?;
        self.page = page.user_ids.into_iter();
        self.next = page.next.map_or(Next::None, Next::After);
        Ok(())
    }
}

impl Iterator for Users<'_> {
    type Item = Result<UserId, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(user_id) = self.page.next() {
                let user = UserId::parse(&user_id);
                return Some(user.map_err(|error| {
                    Error::caused(ErrorCode::Sandbox, "the component listed no user", error)
                }));
            }
            if matches!(self.next, Next::None) {
                return None;
            }
            if let Err(error) = self.turn_page() {
                return Some(Err(error));
            }
        }
    }
}
