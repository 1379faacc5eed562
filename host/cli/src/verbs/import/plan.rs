//! What is to become of each entry, decided before anything is written.

use std::collections::BTreeMap;

use moat::{Credential, UserId};
use serde_json::{Value, json};

use super::entry::{Entry, Item, Name};
use super::naming;
use crate::args::{Existing, ImportOptions};
use crate::failure::Failure;
use crate::output::{Pairs, length};

/// The most bytes of JSON that fit into a new record, encrypted and in base64.
const MAX_VALUES: usize = 61_440 / 4 * 3;

/// How many names a message has at most.
const MAX_NAMED: usize = 10;

/// What is to become of all entries, in their order.
pub(super) struct Plan {
    pub(super) lines: Vec<Line>,
}

/// What is to become of an entry.
pub(super) struct Line {
    place: String,
    pub(super) fate: Fate,
    /// The names of its values.
    values: Vec<String>,
    not_taken: Vec<String>,
}

pub(super) enum Fate {
    /// It is stored.
    Stored { user: UserId, credential: Credential, replaces: bool },
    /// The user has a credential, which stays as it is.
    Skipped(UserId),
    /// The user has a credential, and nothing says what is to become of it.
    Conflict(UserId),
    /// It can't be stored, and why.
    Unusable(String),
    /// There is nothing to be stored, and why.
    Ignored(&'static str),
}

impl Plan {
    pub(super) fn new(
        items: Vec<Item>,
        options: &ImportOptions,
        exists: impl Fn(&UserId) -> bool,
    ) -> Self {
        let ids = user_ids(&items, &options.prefix);
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        let lines = items.into_iter().zip(ids).map(|(item, id)| match item {
            Item::Ignored { place, why } => {
                let fate = Fate::Ignored(why);
                Line { place, fate, values: Vec::new(), not_taken: Vec::new() }
            }
            Item::Entry(Entry { place, credential, not_taken, .. }) => {
                let values = names(&credential);
                let usable = usable(&id, &credential, &places);
                places.entry(id).or_insert_with(|| place.clone());
                let fate = match usable {
                    Err(why) => Fate::Unusable(why),
                    Ok(user) => match (exists(&user), options.existing) {
                        (false, _) => Fate::Stored { user, credential, replaces: false },
                        (true, Existing::Replace) => {
                            Fate::Stored { user, credential, replaces: true }
                        }
                        (true, Existing::Skip) => Fate::Skipped(user),
                        (true, Existing::Fail) => Fate::Conflict(user),
                    },
                };
                Line { place, fate, values, not_taken }
            }
        });
        Self { lines: lines.collect() }
    }

    /// Why nothing is to be written.
    pub(super) fn refusal(&self) -> Option<Failure> {
        let unusable: Vec<&str> = self
            .lines
            .iter()
            .filter(|line| matches!(line.fate, Fate::Unusable(_)))
            .map(|line| line.place.as_str())
            .collect();
        if !unusable.is_empty() {
            return Some(Failure::usage(
                format!("can't be imported: {}", some(&unusable)),
                "nothing was changed; the report says why; change or rename these entries in the source, then run this again",
            ));
        }
        let conflicts: Vec<&str> = self
            .lines
            .iter()
            .filter_map(|line| match &line.fate {
                Fate::Conflict(user) => Some(user.as_str()),
                _ => None,
            })
            .collect();
        (!conflicts.is_empty()).then(|| {
            Failure::conflict(
                format!("there is a credential already: {}", some(&conflicts)),
                "nothing was changed; --existing skip leaves these as they are, --existing replace replaces them, --prefix TEXT gives all imported ones other user ids",
            )
        })
    }
}

impl Line {
    pub(super) fn text(&self) -> String {
        let Self { place, fate, values, not_taken } = self;
        let values = if values.is_empty() { "no values".to_owned() } else { values.join(", ") };
        let from = |user: &UserId| {
            let from =
                if user.as_str() == place { String::new() } else { format!(" from {place}") };
            let without = if not_taken.is_empty() {
                String::new()
            } else {
                format!("; not taken: {}", not_taken.join(", "))
            };
            format!("{user}{from}: {values}{without}")
        };
        match fate {
            Fate::Stored { user, replaces: false, .. } => format!("new       {}", from(user)),
            Fate::Stored { user, replaces: true, .. } => format!("replaces  {}", from(user)),
            Fate::Skipped(user) | Fate::Conflict(user) => format!("exists    {}", from(user)),
            Fate::Unusable(why) => format!("unusable  {place}: {why}"),
            Fate::Ignored(why) => format!("ignored   {place}: {why}"),
        }
    }

    pub(super) fn value(&self) -> Value {
        let (status, user, reason) = match &self.fate {
            Fate::Stored { user, replaces: false, .. } => ("new", Some(user), None),
            Fate::Stored { user, replaces: true, .. } => ("replaces", Some(user), None),
            Fate::Skipped(user) | Fate::Conflict(user) => ("exists", Some(user), None),
            Fate::Unusable(why) => ("unusable", None, Some(why.as_str())),
            Fate::Ignored(why) => ("ignored", None, Some(*why)),
        };
        json!({
            "entry": self.place,
            "status": status,
            "user_id": user.map(UserId::as_str),
            "values": self.values,
            "not_taken": self.not_taken,
            "reason": reason,
        })
    }
}

/// The user id of each item. Of entries that would have the same, each gets its user name after it.
fn user_ids(items: &[Item], prefix: &str) -> Vec<String> {
    let id = |item: &Item, with_username: bool| match item {
        Item::Ignored { .. } => String::new(),
        Item::Entry(Entry { name: Name::Exact(id), .. }) => format!("{prefix}{id}"),
        Item::Entry(Entry { name: Name::Path(names), credential, .. }) => {
            let username = Some(credential.username()).filter(|name| !name.is_empty());
            let names = names.iter().map(String::as_str);
            let names = names.chain(username.filter(|_| with_username));
            format!("{prefix}{}", naming::user_id(names))
        }
    };
    let plain: Vec<String> = items.iter().map(|item| id(item, false)).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    plain.iter().for_each(|id| *count.entry(id).or_default() += 1);
    let is_shared = |id: &String| count.get(id.as_str()).is_some_and(|count| *count > 1);
    items.iter().zip(&plain).map(|(item, plain)| id(item, is_shared(plain))).collect()
}

/// The user id, if the credential can be stored under it.
fn usable(
    id: &str,
    credential: &Credential,
    places: &BTreeMap<String, String>,
) -> Result<UserId, String> {
    let user = UserId::parse(id).map_err(|error| error.to_string())?;
    if let Some(other) = places.get(id) {
        return Err(format!("it would become {user}, as {other} does"));
    }
    let fields = credential.fields();
    for (place, field) in fields.iter().enumerate() {
        let before = fields.iter().take(place);
        let is_taken = |name: &str| before.clone().any(|other| other.name() == name);
        if naming::field_name(field.name(), is_taken) != field.name() {
            return Err(format!("a field can't be called {:?}, or not twice", field.name()));
        }
    }
    let size = size(credential);
    if size > MAX_VALUES {
        return Err(format!("its values have {size} bytes, more than the {MAX_VALUES} that fit"));
    }
    Ok(user)
}

/// How many bytes the values have in JSON.
pub(super) fn size(credential: &Credential) -> usize {
    let own = [("username", credential.username()), ("password", credential.expose_password())];
    let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
    let values = Pairs(own.into_iter().chain(fields));
    // Counting doesn't fail.
    length(|stream| Ok(serde_json::to_writer(stream, &values)?)).unwrap_or(usize::MAX)
}

/// The names of the values that are not empty, and those of all fields.
fn names(credential: &Credential) -> Vec<String> {
    let own = [("username", credential.username()), ("password", credential.expose_password())];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    own.chain(credential.fields().iter().map(moat::Field::name)).map(str::to_owned).collect()
}

/// Some names, and how many others there are.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
