//! What a person changed in a document.

use moat::{Changes, Field};

use crate::document::{Document, Fields};

/// The changes that lead from one document to the other; `None` if there are none. What `after` doesn't have is removed.
pub(super) fn changes(before: &Document, after: &Document) -> Option<Changes> {
    let mut changes = Changes::default();
    let mut is_changed = false;
    if let Some(username) = other(&before.username, &after.username) {
        changes = changes.username(username);
        is_changed = true;
    }
    if let Some(password) = other(&before.password, &after.password) {
        changes = changes.password(password);
        is_changed = true;
    }
    for (name, value) in after.fields.iter() {
        if before.fields.find(name) != Some(value) {
            changes = changes.field(Field::new(name, value));
            is_changed = true;
        }
    }
    for (name, _) in before.fields.iter() {
        if after.fields.find(name).is_none() {
            changes = changes.without_field(name);
            is_changed = true;
        }
    }
    is_changed.then_some(changes)
}

/// The value after, if it is another than before.
fn other<'d>(before: &Option<String>, after: &'d Option<String>) -> Option<&'d str> {
    after.as_deref().filter(|after| before.as_deref() != Some(after))
}

/// The document that is there now, with the changes that lead from `before` to `after`.
pub(super) fn merged(before: &Document, after: &Document, now: &Document) -> Document {
    let own = |before, after, now: &Option<String>| {
        other(before, after).map(str::to_owned).or_else(|| now.clone())
    };
    let is_removed = |name| before.fields.find(name).is_some() && after.fields.find(name).is_none();
    let changed =
        |name| after.fields.find(name).filter(|value| before.fields.find(name) != Some(value));
    let kept = now.fields.iter().filter(|(name, _)| !is_removed(name));
    let kept = kept.map(|(name, value)| (name, changed(name).unwrap_or(value)));
    let added = after.fields.iter().filter(|(name, _)| now.fields.find(name).is_none());
    let added = added.filter_map(|(name, _)| Some((name, changed(name)?)));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Document {
        username: own(&before.username, &after.username, &now.username),
        password: own(&before.password, &after.password, &now.password),
        fields: Fields(kept.chain(added).map(owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(username: &str, password: &str, fields: &[(&str, &str)]) -> Document {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let (username, password) = (Some(username.into()), Some(password.into()));
        Document { username, password, fields: Fields(fields.collect()) }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let before = document("anna", "horse", &[("a", "1"), ("b", "2")]);
        for (after, is_changed) in [
            (document("anna", "horse", &[("a", "1"), ("b", "2")]), false),
            (document("anna", "horse", &[("b", "2"), ("a", "1")]), false),
            (document("bob", "horse", &[("a", "1"), ("b", "2")]), true),
            (document("anna", "horse ", &[("a", "1"), ("b", "2")]), true),
            (document("anna", "horse", &[("a", ""), ("b", "2")]), true),
            (document("anna", "horse", &[("a", "1")]), true),
            (document("anna", "horse", &[("a", "1"), ("b", "2"), ("c", "")]), true),
        ] {
            assert_eq!(changes(&before, &after).is_some(), is_changed);
        }
    }

    /// Each side's changes are kept; where both changed the same, those of the text are.
    #[test]
    fn what_others_changed_meanwhile_is_kept() {
        let before = document("anna", "horse", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        let after =
            document("anna", "mine", &[("a", "1"), ("c", "mine"), ("d", "4"), ("e", "mine")]);
        let now = document(
            "theirs",
            "theirs",
            &[("a", "theirs"), ("b", "2"), ("c", "3"), ("f", "theirs")],
        );
        let merged = merged(&before, &after, &now);
        assert_eq!(merged.username.as_deref(), Some("theirs"));
        assert_eq!(merged.password.as_deref(), Some("mine"));
        let fields: Vec<_> = merged.fields.iter().collect();
        assert_eq!(fields, [("a", "theirs"), ("c", "mine"), ("f", "theirs"), ("e", "mine")]);
    }
}
