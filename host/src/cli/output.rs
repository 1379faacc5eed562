//! What is printed: text for people, JSON for programs. Colours only at a terminal, and not with NO_COLOR.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use moat::{Envelope, KeyWeakness, Revealed, Summary};
use serde_json::{Map, Value, json};

use super::failure::Failure;

/// Of the word "error".
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
/// Of the word "warning".
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Of labels.
pub(super) const BOLD: Style = Style::new().bold();

/// Standard output, and how to write to it.
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// What was asked for: a line of text.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        Self::print(|stdout| writeln!(stdout, "{text}"))
    }

    /// What was asked for, byte for byte.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        Self::print(|_| {
            // Past anstream, which would take escape sequences out.
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        })
    }

    /// What was asked for, as one JSON object a line.
    pub(super) fn value(&self, value: &Value) -> Result<(), Failure> {
        Self::print(|stdout| writeln!(stdout, "{value}"))
    }

    /// A confirmation, in words or as JSON.
    pub(super) fn done(&self, text: &str, value: &Value) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => self.value(value),
            (false, false) => self.line(text),
            (false, true) => Ok(()),
        }
    }

    /// Rows of a label and a value.
    pub(super) fn table(&self, rows: &[(&str, String)]) -> Result<(), Failure> {
        let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        Self::print(|stdout| {
            rows.iter().try_for_each(|(label, value)| {
                writeln!(stdout, "{BOLD}{label:width$}{BOLD:#}  {}", printable(value))
            })
        })
    }

    /// A reader that has seen enough, as `head`, is no failure.
    fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        match write(&mut stdout).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::other(format!("printing: {error}"), "check standard output"))
            }
            _ => Ok(()),
        }
    }
}

/// The text with everything escaped that could steer a terminal or hide what is there.
pub(super) fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// All of a credential but its secrets, whose values are null.
pub(super) fn summary(summary: &Summary) -> Map<String, Value> {
    let hidden: Map<_, _> =
        summary.field_names.iter().map(|name| (name.clone(), Value::Null)).collect();
    let value = json!({
        "user_id": summary.user_id,
        "username": summary.username,
        "password": null,
        "created_at": summary.created_at,
        "last_used": summary.last_used,
        "is_valid": summary.is_valid,
        "validation_attempts": summary.validation_attempts,
        "fields": hidden,
        "encryption_version": summary.envelope.version,
        "key_id": summary.key.id,
    });
    object(value)
}

/// All of a credential.
pub(super) fn revealed(revealed: &Revealed) -> Map<String, Value> {
    let credential = revealed.credential();
    let fields = credential.fields().iter();
    let fields: Map<_, _> =
        fields.map(|field| (field.name().to_owned(), field.expose_value().into())).collect();
    let mut object = summary(revealed.summary());
    object.insert("password".to_owned(), credential.expose_password().into());
    object.insert("fields".to_owned(), fields.into());
    object
}

/// The outside of a record.
pub(super) fn envelope(user_id: &str, envelope: &Envelope) -> Map<String, Value> {
    let value = json!({
        "user_id": user_id,
        "kind": envelope.kind.name(),
        "encryption_version": envelope.version,
        "token_encoding": envelope.encoding.map(moat::TokenEncoding::name),
        "key_id": envelope.key_id,
        "created_at": envelope.created_at,
        "encrypted_at": envelope.encrypted_at,
        "size": envelope.size,
        "revision": envelope.revision,
    });
    object(value)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Warns of a key that ought to be replaced.
pub(super) fn warn_of_weak_key(summary: &Summary) {
    match summary.key.weakness {
        Some(KeyWeakness::TooShort) => {
            tracing::warn!(
                "the master key has fewer than 16 bytes; make another with `moat keygen`"
            );
        }
        Some(_) => {
            tracing::warn!(
                "the master key is the application's published default, which anyone can read; make another with `moat keygen`"
            );
        }
        None => {}
    }
}
