//! An entry of a source, on its way to a credential.

use moat::{Credential, Field};
use zeroize::Zeroizing;

use super::naming;

/// What a source has at one place.
pub(super) enum Item {
    Entry(Entry),
    /// Nothing that could become a credential, and why.
    Ignored {
        place: String,
        why: &'static str,
    },
}

/// What becomes a credential.
pub(super) struct Entry {
    /// Where it is in the source, for messages.
    pub(super) place: String,
    pub(super) name: Name,
    pub(super) credential: Credential,
    /// What the source has beside it and the credential doesn't.
    pub(super) not_taken: Vec<String>,
}

/// What an entry is called, from which its user id is made.
pub(super) enum Name {
    /// The user id itself.
    Exact(String),
    /// The names of its folders, and its own.
    Path(Vec<String>),
}

impl Name {
    /// A path that the source has as one text.
    pub(super) fn path(folder: &str, name: &str) -> Self {
        let folders = folder.split('/').filter(|folder| !folder.is_empty());
        Self::Path(folders.chain([name]).map(str::to_owned).collect())
    }

    /// As people write it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Path(names) => names.join("/"),
        }
    }
}

/// The values of an entry, as they are found.
#[derive(Default)]
pub(super) struct Draft {
    username: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
    fields: Vec<Field>,
    created_at: Option<String>,
    pub(super) not_taken: Vec<String>,
}

impl Draft {
    /// Takes a user name; a second one is a field.
    pub(super) fn username(&mut self, value: &str) {
        if self.username.is_none() {
            self.username = Some(Zeroizing::new(value.to_owned()));
        } else {
            self.field("username", value);
        }
    }

    /// Takes a password; a second one is a field.
    pub(super) fn password(&mut self, value: &str) {
        if self.password.is_none() {
            self.password = Some(Zeroizing::new(value.to_owned()));
        } else {
            self.field("password", value);
        }
    }

    /// Takes an additional value, under a name like this that no other has.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let is_taken = |name: &str| self.fields.iter().any(|field| field.name() == name);
        self.fields.push(Field::new(naming::field_name(name, is_taken), value));
    }

    /// As [`Self::field`], unless the value is empty.
    pub(super) fn field_with_something(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.field(name, value);
        }
    }

    /// Takes when the password was set, if it is a time in UTC.
    pub(super) fn created_at(&mut self, time: Option<&str>) {
        self.created_at = time.and_then(crate::output::without_zone);
    }

    /// The entry, unless there is nothing in it.
    pub(super) fn finish(self, place: String, name: Name) -> Item {
        let Self { username, password, fields, created_at, not_taken } = self;
        let [username, password] = [username, password].map(Option::unwrap_or_default);
        if username.is_empty() && password.is_empty() && fields.is_empty() {
            return Item::Ignored { place, why: "there is nothing in it" };
        }
        let credential = Credential::new(username.as_str(), password.as_str());
        let credential = fields.into_iter().fold(credential, Credential::with_field);
        let credential = match created_at {
            Some(time) => credential.with_created_at(time),
            None => credential,
        };
        Item::Entry(Entry { place, name, credential, not_taken })
    }
}
