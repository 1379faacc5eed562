//! The document that `export` writes and `import` reads: credentials as JSON, as `host/docs/export.schema.json` has it.

use std::io::{self, Write};

use moat::{Credential, Field, Revealed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::document::{Fields, Object};
use crate::output::{self, Pairs, in_one_buffer};

const FORMAT: &str = "moat-export";
const VERSION: u32 = 1;

/// Writes a document: what comes before the credentials, each of them on a line of its own, and what comes after.
pub(super) struct Writer<'w> {
    stream: &'w mut dyn Write,
    begun: bool,
}

impl<'w> Writer<'w> {
    /// Begins a document that was made at this time.
    pub(super) fn begin(stream: &'w mut dyn Write, exported_at: &str) -> io::Result<Self> {
        write!(
            stream,
            r#"{{"format":"{FORMAT}","version":{VERSION},"exported_at":"{exported_at}","credentials":["#
        )?;
        Ok(Self { stream, begun: false })
    }

    /// Adds a credential.
    pub(super) fn add(&mut self, revealed: &Revealed) -> io::Result<()> {
        let end: &[u8] = if std::mem::replace(&mut self.begun, true) { b",\n" } else { b"\n" };
        self.stream.write_all(end)?;
        let (credential, summary) = (revealed.credential(), revealed.summary());
        let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
        let written = Written {
            user_id: &summary.user_id,
            username: credential.username(),
            password: credential.expose_password(),
            fields: Pairs(fields),
            created_at: output::utc(summary.created_at.as_deref()),
            last_used: output::utc(summary.last_used.as_deref()),
            is_valid: summary.is_valid,
            validation_attempts: summary.validation_attempts,
            expires: output::utc(summary.expires.as_deref()),
        };
        let text = in_one_buffer(|stream| Ok(serde_json::to_writer(stream, &written)?))?;
        self.stream.write_all(&text)
    }

    /// Ends the document.
    pub(super) fn end(self) -> io::Result<()> {
        self.stream.write_all(b"\n]}\n")
    }
}

#[derive(Serialize)]
#[serde(bound(serialize = "Pairs<I>: Serialize"))]
struct Written<'r, I: Iterator<Item = (&'r str, &'r str)> + Clone> {
    user_id: &'r str,
    username: &'r str,
    password: &'r str,
    fields: Pairs<I>,
    created_at: Option<String>,
    last_used: Option<String>,
    is_valid: bool,
    validation_attempts: u32,
    expires: Option<String>,
}

/// A document that was read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    format: String,
    version: u32,
    #[serde(rename = "exported_at")]
    _exported_at: String,
    pub(super) credentials: Vec<Object<Exported>>,
}

impl Document {
    /// Whether it is a document of this version.
    pub(super) fn is_known(&self) -> bool {
        self.format == FORMAT && self.version == VERSION
    }
}

/// A credential of a document.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Exported {
    pub(super) user_id: String,
    username: String,
    password: String,
    fields: Fields,
    created_at: Option<String>,
    last_used: Option<String>,
    is_valid: bool,
    validation_attempts: u32,
    /// As [`output::utc`] has it.
    expires: Option<String>,
}

impl Exported {
    /// The credential, and what of it can't be stored again.
    pub(super) fn credential(&mut self) -> (Credential, Vec<String>) {
        let mut lost = Vec::new();
        let [username, password] = [&mut self.username, &mut self.password]
            .map(|text| Zeroizing::new(std::mem::take(text)));
        let mut credential = Credential::new(username.as_str(), password.as_str());
        for (name, value) in self.fields.iter() {
            credential = credential.with_field(Field::new(name, value));
        }
        let mut time = |name: &str, time: &Option<String>| {
            let without_zone = time.as_deref().and_then(output::without_zone);
            if time.is_some() && without_zone.is_none() {
                lost.push(format!("{name}, which is not a time in UTC"));
            }
            without_zone
        };
        if let Some(time) = time("created_at", &self.created_at) {
            credential = credential.with_created_at(time);
        }
        if let Some(time) = time("last_used", &self.last_used) {
            credential = credential.with_last_used(time);
        }
        if let Some(expires) = &self.expires {
            let time = output::without_zone(expires);
            credential = credential.with_expires(time.as_ref().unwrap_or(expires));
        }
        credential = credential.with_validation(self.is_valid, self.validation_attempts);
        (credential, lost)
    }
}
