//! The export of Bitwarden in JSON, not encrypted.

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::entry::{Draft, Item, Name};
use crate::failure::Failure;

/// The entries of an export.
pub(super) fn read(text: &str) -> Result<Vec<Item>, Failure> {
    let export: Export = serde_json::from_str(text).map_err(|error| {
        // Without the message of the parser, which may quote what it read.
        Failure::usage(
            format!(
                "this is not an export of Bitwarden in JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
            "nothing was changed; export the vault as .json",
        )
    })?;
    if export.encrypted {
        return Err(Failure::usage(
            "this export of Bitwarden is encrypted",
            "nothing was changed; export the vault as .json, not as .json (Encrypted), and delete the file afterwards",
        ));
    }
    let Some(items) = export.items else {
        return Err(Failure::usage(
            "this is not an export of Bitwarden in JSON: it has no \"items\"",
            "nothing was changed; export the vault as .json",
        ));
    };
    let folders = [export.folders, export.collections].concat();
    Ok(items.into_iter().map(|item| item.read(&folders)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    #[serde(default)]
    encrypted: bool,
    #[serde(default)]
    folders: Vec<Folder>,
    /// What an organization has in place of folders.
    #[serde(default)]
    collections: Vec<Folder>,
    items: Option<Vec<Stored>>,
}

#[derive(Clone, Deserialize)]
struct Folder {
    id: String,
    name: String,
}

/// Members that are not here are about how Bitwarden shows or shares the entry.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "type")]
    kind: u32,
    name: Option<String>,
    folder_id: Option<String>,
    collection_ids: Option<Vec<String>>,
    notes: Option<String>,
    fields: Option<Vec<CustomField>>,
    login: Option<Login>,
    card: Option<Card>,
    identity: Option<Identity>,
    ssh_key: Option<SshKey>,
    password_history: Option<Vec<Previous>>,
    attachments: Option<Vec<Attachment>>,
    creation_date: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct CustomField {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
struct Login {
    uris: Option<Vec<Uri>>,
    username: Option<String>,
    password: Option<String>,
    totp: Option<String>,
    fido2_credentials: Option<Vec<Passkey>>,
    password_revision_date: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Uri {
    uri: Option<String>,
}

/// Only that there is one.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Passkey {}

/// Only that there is one.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Previous {}

/// Only that there is one.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Attachment {}

/// A part of an entry whose members become fields of these names.
macro_rules! part {
    ($part:ident { $($member:ident = $name:literal,)+ }) => {
        #[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
        #[serde(rename_all = "camelCase")]
        struct $part { $($member: Option<String>,)+ }

        impl $part {
            fn take(&self, draft: &mut Draft) {
                $(draft.field_with_something($name, self.$member.as_deref());)+
            }
        }
    };
}

part!(Card {
    cardholder_name = "cardholder",
    brand = "brand",
    number = "number",
    exp_month = "expiry month",
    exp_year = "expiry year",
    code = "code",
});

part!(Identity {
    title = "title",
    first_name = "first name",
    middle_name = "middle name",
    last_name = "last name",
    address1 = "address",
    address2 = "address",
    address3 = "address",
    city = "city",
    state = "state",
    postal_code = "postal code",
    country = "country",
    company = "company",
    email = "email",
    phone = "phone",
    ssn = "social security number",
    passport_number = "passport number",
    license_number = "license number",
    username = "username",
});

part!(SshKey {
    private_key = "private key",
    public_key = "public key",
    key_fingerprint = "fingerprint",
});

impl Stored {
    fn read(self, folders: &[Folder]) -> Item {
        let own = self.name.as_deref().unwrap_or_default();
        let collections = self.collection_ids.iter().flatten();
        let mut places = self.folder_id.iter().chain(collections);
        let folder = places.find_map(|id| folders.iter().find(|folder| folder.id == *id));
        let name = Name::path(folder.map_or("", |folder| folder.name.as_str()), own);
        let place = name.shown();
        if !(1..=5).contains(&self.kind) {
            return Item::Ignored { place, why: "it is of a kind that is not known here" };
        }

        let mut draft = Draft::default();
        let mut set_at = self.creation_date.as_deref();
        if let Some(login) = &self.login {
            draft.username(login.username.as_deref().unwrap_or_default());
            draft.password(login.password.as_deref().unwrap_or_default());
            for uri in login.uris.iter().flatten() {
                draft.field_with_something("url", uri.uri.as_deref());
            }
            draft.field_with_something("totp", login.totp.as_deref());
            count(&mut draft, login.fido2_credentials.as_deref(), "passkey");
            set_at = login.password_revision_date.as_deref().or(set_at);
        }
        if let Some(card) = &self.card {
            card.take(&mut draft);
        }
        if let Some(identity) = &self.identity {
            identity.take(&mut draft);
        }
        if let Some(key) = &self.ssh_key {
            key.take(&mut draft);
        }
        for field in self.fields.iter().flatten() {
            match (&field.name, &field.value) {
                (name, Some(value)) => draft.field(name.as_deref().unwrap_or_default(), value),
                // One that is linked to another value.
                (name, None) => draft.not_taken.push(format!(
                    "the field {:?}, which has no value",
                    name.as_deref().unwrap_or_default()
                )),
            }
        }
        draft.field_with_something("notes", self.notes.as_deref());
        count(&mut draft, self.password_history.as_deref(), "previous password");
        count(&mut draft, self.attachments.as_deref(), "attachment");
        draft.created_at(set_at);
        draft.finish(place, name)
    }
}

/// Says how many of these there are, if there are any.
fn count<T>(draft: &mut Draft, those: Option<&[T]>, what: &str) {
    match those.map_or(0, <[T]>::len) {
        0 => {}
        1 => draft.not_taken.push(format!("1 {what}")),
        many => draft.not_taken.push(format!("{many} {what}s")),
    }
}
