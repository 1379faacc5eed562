//! The output: text for people, JSON for programs.
//!
//! Values are never altered. Colors are either written or not, never filtered out afterwards. A pipe or a file gets
//! every character unchanged. At a terminal, characters that could control it or hide text are escaped; in JSON, in
//! such a way that the value stays the same.

use std::io::{self, Write};
use std::time::Duration;

use moat::{Envelope, KeyWeakness, Revealed, Summary};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use time::PrimitiveDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use crate::ambient;
use crate::failure::{Failure, REPLACE_KEY, printed};
use crate::style::{BOLD, on, one_line, printable, write_json};

/// Explains that the name of a record, or of a copy of one, is not UTF-8.
pub(super) const NOT_UTF8: &str = "its name is not UTF-8, so it can't be a user id; rename it (mv $'OLD' NEW.cred) and run this again";

/// How to write to standard output.
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether to show progress.
    pub(super) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && ambient::standard_error_is_terminal()
    }

    /// Prints the requested output: a line of text.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        print(|stdout| writeln!(stdout, "{text}"))
    }

    /// Prints the requested output, byte for byte.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        printed(ambient::standard_output().and_then(|mut stdout| stdout.write_all(bytes)))
    }

    /// Prints a value: as it is; at a terminal, with what could control that escaped in this way.
    pub(super) fn secret(
        &self,
        text: &str,
        end: &str,
        escaped: fn(&str) -> String,
    ) -> Result<(), Failure> {
        if !ambient::standard_output_is_terminal() {
            return self.raw(&Zeroizing::new([text, end].concat().into_bytes()));
        }
        let shown = Zeroizing::new(escaped(text));
        if *shown != text {
            tracing::warn!(
                "control characters are shown escaped; pipe the output to get the exact value"
            );
        }
        self.raw(&Zeroizing::new([shown.as_str(), end].concat().into_bytes()))
    }

    /// Prints the requested output as one line of JSON.
    pub(super) fn value(&self, value: &impl Serialize) -> Result<(), Failure> {
        let terminal = ambient::standard_output_is_terminal();
        print(|stdout| {
            write_json(stdout, value, terminal)?;
            writeln!(stdout)
        })
    }

    /// Prints a confirmation, as text or JSON.
    pub(super) fn done(&self, text: &str, value: &Value) -> Result<(), Failure> {
        let lines: Vec<_> = text.split('\n').map(one_line).collect();
        let printed = match (self.json, self.quiet) {
            (true, _) => self.value(value),
            (false, false) => self.line(&lines.join("\n")),
            (false, true) => Ok(()),
        };
        let hint = "the operation itself succeeded; check where standard output goes";
        printed.map_err(|failure| Failure::other(failure.text().0, hint))
    }

    /// Prints rows of a label and a value.
    pub(super) fn table(&self, rows: &[(&str, impl AsRef<str>)]) -> Result<(), Failure> {
        let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let terminal = ambient::standard_output_is_terminal();
        let bold = on(&io::stdout(), BOLD);
        print(|stdout| {
            rows.iter().try_for_each(|(label, value)| {
                write!(stdout, "{bold}{label:width$}{bold:#}  ")?;
                if terminal {
                    let value = Zeroizing::new(printable(value.as_ref()));
                    writeln!(stdout, "{}", *value)
                } else {
                    writeln!(stdout, "{}", value.as_ref())
                }
            })
        })
    }
}

/// Prints what may be a secret, through one buffer.
fn print(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let text = in_one_buffer(write);
    printed(text.and_then(|text| ambient::standard_output()?.write_all(&text)))
}

/// What may be a secret, in a buffer that is wiped and never grows, because growing would leave copies behind. So `write` is
/// called twice, the first time to determine the length.
pub(super) fn in_one_buffer(
    write: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(length(&write)?));
    write(&mut *text)?;
    Ok(text)
}

/// How many bytes are written.
pub(super) fn length(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<usize> {
    let mut length = Length(0);
    write(&mut length)?;
    Ok(length.0)
}

/// Asks whether to delete or replace something, if standard input is a terminal.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !ambient::standard_input_is_terminal() {
        return Ok(());
    }
    let answer = ambient::ask(&format!("{} [y/N] ", printable(question))).map_err(|error| {
        Failure::other(format!("asking for confirmation: {error}"), "use --yes")
    })?;
    if !matches!(answer.trim_ascii(), b"y" | b"Y" | b"yes") {
        return Err(Failure::other("not confirmed", "nothing was changed"));
    }
    Ok(())
}

/// Counts the bytes that are written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A time of a record as RFC 3339 has it. Records have UTC without a zone; what is no such time stays as it is.
pub(super) fn utc(time: Option<&str>) -> Option<String> {
    time.map(|time| if is_without_zone(time) { format!("{time}Z") } else { time.to_owned() })
}

/// The reverse: a time as records have it; `None` for what is no time in UTC.
pub(super) fn without_zone(time: &str) -> Option<String> {
    time.strip_suffix('Z').filter(|time| is_without_zone(time)).map(str::to_owned)
}

fn is_without_zone(time: &str) -> bool {
    let without_zone = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    PrimitiveDateTime::parse(time, without_zone).is_ok()
}

/// What [`summary`] says of every credential, the user name and the password first.
pub(super) const MEMBERS: [&str; 12] = [
    "username",
    "password",
    "created_at",
    "last_used",
    "is_valid",
    "validation_attempts",
    "expires",
    "expires_at",
    "user_id",
    "encryption_version",
    "key_id",
    "earlier_versions",
];

/// A credential with null in place of its secrets.
pub(super) fn summary(summary: &Summary) -> Map<String, Value> {
    let hidden: Map<_, _> =
        summary.field_names.iter().map(|name| (name.clone(), Value::Null)).collect();
    let value = json!({
        "user_id": summary.user_id,
        "username": summary.username,
        "password": null,
        "created_at": utc(summary.created_at.as_deref()),
        "last_used": utc(summary.last_used.as_deref()),
        "is_valid": summary.is_valid,
        "validation_attempts": summary.validation_attempts,
        "expires": utc(summary.expires.as_deref()),
        "expires_at": utc(summary.expires_at.as_deref()),
        "fields": hidden,
        "encryption_version": summary.envelope.version,
        "key_id": summary.key.id,
        "earlier_versions": summary.earlier_versions,
    });
    object(value)
}

/// A whole credential, serialized to JSON without copying its secrets.
pub(super) struct Exposed<'r>(pub(super) &'r Revealed);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let credential = self.0.credential();
        let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
        let parts = summary(self.0.summary());
        let mut map = serializer.serialize_map(Some(parts.len()))?;
        for (name, value) in &parts {
            match name.as_str() {
                "password" => map.serialize_entry(name, credential.expose_password())?,
                "fields" => map.serialize_entry(name, &Pairs(fields.clone()))?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

/// Names and values as a JSON object, in their order.
pub(super) struct Pairs<I>(pub(super) I);

impl<'p, I: Iterator<Item = (&'p str, &'p str)> + Clone> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// The envelope of a record.
pub(super) fn envelope(user_id: &str, envelope: &Envelope) -> Map<String, Value> {
    let value = json!({
        "user_id": user_id,
        "kind": envelope.kind.name(),
        "encryption_version": envelope.version,
        "token_encoding": envelope.encoding.map(moat::TokenEncoding::name),
        "key_id": envelope.key_id,
        "created_at": utc(envelope.created_at.as_deref()),
        "encrypted_at": utc(envelope.encrypted_at.as_deref()),
        "write_counter": envelope.write_counter,
        "size": envelope.size,
        "revision": envelope.revision,
    });
    object(value)
}

/// The error of one record among many.
pub(super) fn error(error: &moat::Error) -> Value {
    json!({ "code": error.code().name(), "message": error.to_string() })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Warns about a credential that has expired, although it was just written.
pub(super) fn warn_of_expiry(summary: &Summary) {
    if summary.expires_within(Duration::ZERO) {
        let at = summary.expires_at.as_ref().or(summary.expires.as_ref());
        tracing::warn!(
            "{} has expired ({}): set another date with `moat set {} --expires WHEN`",
            summary.user_id,
            at.map(String::as_str).unwrap_or_default(),
            summary.user_id,
        );
    }
}

/// Warns about a key that should be replaced.
pub(super) fn warn_of_weak_key(summary: &Summary) {
    match summary.key.weakness {
        Some(KeyWeakness::TooShort) => {
            tracing::warn!("the master key has fewer than 16 bytes: {REPLACE_KEY}");
        }
        Some(_) => {
            tracing::warn!(
                "the master key is the application's published default, which anyone can read: {REPLACE_KEY}"
            );
        }
        None => {}
    }
}
