//! Lists that come in pages while they are gone through.

use std::vec;

use wasmtime::Store;

use crate::contract;
use crate::error::Error;
use crate::operation::Operation;
use crate::sandbox::bindings::CredentialVault;
use crate::sandbox::{Call, Stop};
use crate::vault::Vault;

/// How many names of the directory one call looks at.
const LIMIT: u32 = 4096;

/// A page, and where the next begins.
type Page<T> = (Vec<T>, Option<String>);

/// An iterator over what stands in all pages; it ends with the first error.
pub(super) struct Pages<T, F> {
    turn: F,
    page: vec::IntoIter<T>,
    next: Next,
}

enum Next {
    First,
    After(String),
    None,
}

impl<T, F: FnMut(Option<&str>) -> Result<Page<T>, Error>> Pages<T, F> {
    /// Pages that are turned by asking for the one after a cursor.
    pub(super) fn new(turn: F) -> Self {
        Self { turn, page: Vec::new().into_iter(), next: Next::First }
    }
}

impl<T, F: FnMut(Option<&str>) -> Result<Page<T>, Error>> Iterator for Pages<T, F> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.page.next() {
                return Some(Ok(item));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::None) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::None => return None,
            };
            match (self.turn)(cursor.as_deref()) {
                Ok((page, next)) => {
                    self.page = page.into_iter();
                    self.next = next.map_or(Next::None, Next::After);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Vault {
    /// Asks the component for a page.
    pub(super) fn page<T>(
        &self,
        operation: Operation,
        function: impl FnOnce(
            &CredentialVault,
            &mut Store<Call>,
            u32,
        ) -> wasmtime::Result<Result<Page<T>, contract::Error>>,
    ) -> Result<Page<T>, Error> {
        self.call(operation, &[], |component, store| {
            let page = function(component, store, LIMIT)?;
            // With pages of its own invention it could go on for ever.
            let invented = |(_, next): &Page<T>| next.as_deref() != store.data().next_page();
            if page.as_ref().is_ok_and(invented) {
                return Err(Stop::Page.into());
            }
            Ok(page)
        })
    }
}
