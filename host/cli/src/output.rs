//! What is printed: text for people, JSON for programs.
//!
//! No value is altered on its way out. Colours are written or not, never filtered out again. Into a pipe or a file
//! every character goes as it is; at a terminal, one that could steer it or hide what is there is escaped: in text for
//! the eye, in JSON so that it is still the same value.

use std::ffi::OsStr;
use std::io::{self, Write};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use moat::{Envelope, KeyWeakness, Revealed, Summary};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::failure::{Failure, REPLACE_KEY};
use crate::ambient;

/// Of a record, or a copy of one, whose name is not UTF-8.
pub(super) const NOT_UTF8: &str = "its name is not UTF-8, which no user id can be; rename it (mv $'OLD' NEW.cred) and run this again";

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

    /// Whether somebody watches who may be told how far the work is.
    pub(super) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && ambient::standard_error_is_terminal()
    }

    /// What was asked for: a line of text.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        print(|stdout| writeln!(stdout, "{text}"))
    }

    /// What was asked for, byte for byte.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        printed(ambient::standard_output().and_then(|mut stdout| stdout.write_all(bytes)))
    }

    /// What was asked for, as one JSON object a line.
    pub(super) fn value(&self, value: &impl Serialize) -> Result<(), Failure> {
        let terminal = ambient::standard_output_is_terminal();
        print(|stdout| {
            write_json(stdout, value, terminal)?;
            writeln!(stdout)
        })
    }

    /// A confirmation, in words or as JSON.
    pub(super) fn done(&self, text: &str, value: &Value) -> Result<(), Failure> {
        let lines: Vec<_> = text.split('\n').map(one_line).collect();
        let printed = match (self.json, self.quiet) {
            (true, _) => self.value(value),
            (false, false) => self.line(&lines.join("\n")),
            (false, true) => Ok(()),
        };
        let hint = "it was done all the same; check standard output";
        printed.map_err(|failure| Failure::other(failure.text().0, hint))
    }

    /// Rows of a label and a value.
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

/// Prints what may be a secret: through one buffer that is wiped, and that never grows, which would leave
/// copies behind. So it is written twice, the first time to see how long it is.
fn print(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let outcome = (|| {
        let mut length = Length(0);
        write(&mut length)?;
        let mut text = Zeroizing::new(Vec::with_capacity(length.0));
        write(&mut *text)?;
        ambient::standard_output()?.write_all(&text)
    })();
    printed(outcome)
}

/// Tells something by the way, or of a failure, on standard error. With that gone, the work still goes on.
pub(super) fn tell(style: Style, label: &str, text: &str) {
    let style = on(&io::stderr(), style);
    let line = format!("{style}{label}:{style:#} {}\n", printable(text));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// As [`tell`], in JSON.
pub(super) fn tell_value(value: &Value) {
    let line = json_text(value, ambient::standard_error_is_terminal()) + "\n";
    let _ = io::stderr().write_all(line.as_bytes());
}

/// The style as it is written to a stream: none where no colours are wanted, as NO_COLOR and the like have it.
fn on(stream: &impl RawStream, style: Style) -> Style {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Style::new(),
        _ => style,
    }
}

/// JSON without a secret.
pub(super) fn json_text(value: &Value, terminal: bool) -> String {
    let mut text = Vec::new();
    // Writing to memory doesn't fail, and JSON is UTF-8.
    let _ = write_json(&mut text, value, terminal);
    String::from_utf8(text).unwrap_or_default()
}

fn write_json(stream: &mut dyn Write, value: &impl Serialize, terminal: bool) -> io::Result<()> {
    let written = if terminal {
        value.serialize(&mut serde_json::Serializer::with_formatter(stream, ForTerminals))
    } else {
        serde_json::to_writer(stream, value)
    };
    written.map_err(io::Error::from)
}

/// JSON in which what could steer a terminal is escaped.
struct ForTerminals;

impl Formatter for ForTerminals {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        stream: &mut W,
        text: &str,
    ) -> io::Result<()> {
        text.chars().try_for_each(|c| {
            if is_hidden(c) {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .try_for_each(|unit| write!(stream, "\\u{unit:04x}"))
            } else {
                stream.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())
            }
        })
    }
}

/// A reader that has seen enough, as `head`, is no failure.
pub(super) fn printed(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprintable(error)),
        _ => Ok(()),
    }
}

/// Standard output doesn't take what is printed.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped from an error")]
pub(super) fn unprintable(error: io::Error) -> Failure {
    Failure::other(format!("printing: {error}"), "check standard output")
}

/// Asks at a terminal, where there is one, whether to delete something.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !ambient::standard_input_is_terminal() {
        return Ok(());
    }
    let answer = ambient::ask(&format!("{} [y/N] ", printable(question)))
        .map_err(|error| Failure::other(format!("asking: {error}"), "give --yes"))?;
    if !matches!(answer.trim_ascii(), b"y" | b"Y" | b"yes") {
        return Err(Failure::other("not confirmed", "nothing was deleted"));
    }
    Ok(())
}

/// The name of a file: one that isn't UTF-8 with escapes, as `$'…'` in a shell takes them.
pub(super) fn file_name(name: &OsStr) -> String {
    name.to_str().map_or_else(|| name.as_encoded_bytes().escape_ascii().to_string(), str::to_owned)
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

/// The text with everything escaped that could steer a terminal or hide what is there.
pub(super) fn printable(text: &str) -> String {
    escaped(text, is_hidden)
}

/// The text as one line of standard output: a pipe gets every character that doesn't break the line.
pub(super) fn one_line(text: &str) -> String {
    let terminal = ambient::standard_output_is_terminal();
    escaped(text, if terminal { is_hidden } else { char::is_control })
}

/// Whether a character is invisible, and so can hide something, change the direction of the text, or steer a terminal.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &str, is_escaped: fn(char) -> bool) -> String {
    // The longest that it can get: a buffer that grows would leave copies of a secret behind.
    let mut escaped = String::with_capacity(text.len() * "\\u{7f}".len());
    for c in text.chars() {
        if is_escaped(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
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

/// All of a credential; as JSON, without a copy of its secrets.
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

struct Pairs<I>(I);

impl<'p, I: Iterator<Item = (&'p str, &'p str)> + Clone> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
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
        "write_counter": envelope.write_counter,
        "size": envelope.size,
        "revision": envelope.revision,
    });
    object(value)
}

/// A failure of one record among many.
pub(super) fn error(error: &moat::Error) -> Value {
    json!({ "code": error.code().name(), "message": error.to_string() })
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
