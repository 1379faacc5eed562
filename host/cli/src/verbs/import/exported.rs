//! The document that `moat export` writes.

use super::entry::{Entry, Item, Name};
use crate::document::Object;
use crate::export_document::Document;
use crate::failure::Failure;

pub(super) fn read(text: &str) -> Result<Vec<Item>, Failure> {
    let Object(document): Object<Document> = serde_json::from_str(text).map_err(|error| {
        // Without the message of the parser, which may quote what it read.
        refused(&format!(
            "this is not what `moat export` writes (line {}, column {})",
            error.line(),
            error.column()
        ))
    })?;
    if !document.is_known() {
        return Err(refused("this is not what this version of `moat export` writes"));
    }
    let items = document.credentials.into_iter().map(|Object(mut exported)| {
        let (credential, not_taken) = exported.credential();
        let place = exported.user_id.clone();
        Item::Entry(Entry { name: Name::Exact(place.clone()), place, credential, not_taken })
    });
    Ok(items.collect())
}

fn refused(what: &str) -> Failure {
    Failure::usage(
        what,
        "nothing was changed; pass the whole file; a newer release of moat may have written it",
    )
}
