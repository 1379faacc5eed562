//! Lists that are read in pages as they are iterated over.

use std::vec;

use wasmtime::Store;

use crate::contract;
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::sandbox::{Call, Exports, Violation};
use crate::vault::Vault;

/// How many names of the directory one call reads.
const LIMIT: u32 = 4096;

/// A page, and where the next begins.
type Page<T> = (Vec<T>, Option<String>);

/// An iterator over the items of all pages; it ends with the first error.
pub(super) struct Pages<T, F> {
    fetch: F,
    page: vec::IntoIter<T>,
    next: Next,
}

enum Next {
    First,
    After(String),
    None,
}

impl<T, F: FnMut(Option<&str>) -> Result<Page<T>, Error>> Pages<T, F> {
    /// Pages of which each is fetched by the cursor that the one before ends with.
    pub(super) fn new(fetch: F) -> Self {
        Self { fetch, page: Vec::new().into_iter(), next: Next::First }
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
            match (self.fetch)(cursor.as_deref()) {
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
            &Exports<'_>,
            &mut Store<Call>,
            u32,
        ) -> wasmtime::Result<Result<Page<T>, contract::Error>>,
    ) -> Result<Page<T>, Error> {
        self.call(&Request::new(operation, &[]), |component, store| {
            let page = function(component, store, LIMIT)?;
            // With invented cursors it could keep the host busy for ever.
            let invented = |(_, next): &Page<T>| next.as_deref() != store.data().next_page();
            if page.as_ref().is_ok_and(invented) {
                return Err(Violation::Page.into());
            }
            Ok(page)
        })
    }
}
