//! How text is shown: colors, and escapes for characters that could control a terminal.

use std::ffi::OsStr;
use std::io::{self, Write};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::ser::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

use crate::{ambient, progress};

/// The style of the words "error" and "fail".
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
/// The style of the words "warning" and "warn".
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// The style of the word "ok".
pub(super) const GREEN: Style = AnsiColor::Green.on_default().bold();
/// The style of labels.
pub(super) const BOLD: Style = Style::new().bold();

/// Prints a message on standard error. Failure to print is ignored, so that the work continues.
pub(super) fn print_message(style: Style, label: &str, text: &str) {
    let style = on(&io::stderr(), style);
    let room = progress::make_room();
    let line = format!("{room}{style}{label}:{style:#} {}\n", printable(text));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// As [`print_message`], in JSON.
pub(super) fn print_json(value: &Value) {
    let line = json_text(value, ambient::standard_error_is_terminal()) + "\n";
    let _ = io::stderr().write_all(line.as_bytes());
}

/// The style to use on a stream: none if no colors are wanted there, for example because of NO_COLOR.
pub(super) fn on(stream: &impl RawStream, style: Style) -> Style {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Style::new(),
        _ => style,
    }
}

/// A value without secrets, as JSON.
pub(super) fn json_text(value: &Value, terminal: bool) -> String {
    let mut text = Vec::new();
    // Writing to memory doesn't fail, and JSON is UTF-8.
    let _ = write_json(&mut text, value, terminal);
    String::from_utf8(text).unwrap_or_default()
}

pub(super) fn write_json(
    stream: &mut dyn Write,
    value: &impl Serialize,
    terminal: bool,
) -> io::Result<()> {
    let written = if terminal {
        value.serialize(&mut serde_json::Serializer::with_formatter(stream, ForTerminals))
    } else {
        serde_json::to_writer(stream, value)
    };
    written.map_err(io::Error::from)
}

/// Escapes characters that could control a terminal.
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

/// The text, with characters escaped that could control a terminal or hide text.
pub(super) fn printable(text: &str) -> String {
    escaped(text, is_hidden)
}

/// As [`printable`], with the ends of lines as they are.
pub(super) fn printable_lines(text: &str) -> String {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

/// The text as one line for standard output. In a pipe, only control characters are escaped.
pub(super) fn one_line(text: &str) -> String {
    let terminal = ambient::standard_output_is_terminal();
    escaped(text, if terminal { is_hidden } else { char::is_control })
}

/// The text in lines of at most so many characters, broken at blanks; at least one line. A longer word is a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let room = |line: &str| line.chars().count() + 1 + word.chars().count() <= width;
        match lines.last_mut().filter(|line| room(line)) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Whether a character could hide text, change its direction, or control a terminal: control characters, those that
/// Unicode has displays ignore (`Default_Ignorable_Code_Point`), separators of lines, and annotations.
#[rustfmt::skip]
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn escaped(text: &str, is_escaped: fn(char) -> bool) -> String {
    // The maximum length, because a growing buffer would leave copies of a secret behind.
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

/// The name of a file. One that isn't UTF-8 is escaped as in a shell's `$'…'`.
pub(super) fn file_name(name: &OsStr) -> String {
    name.to_str().map_or_else(|| name.as_encoded_bytes().escape_ascii().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(wrapped("one two  three", 7), ["one two", " three"]);
        assert_eq!(wrapped("one extraordinarily", 5), ["one", "extraordinarily"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("one two", usize::MAX), ["one two"]);
    }
}
