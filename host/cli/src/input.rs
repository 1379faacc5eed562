//! Reading secrets: hidden at the terminal, or from standard input.

use std::io;

use zeroize::Zeroizing;

use super::failure::Failure;
use super::secret_file::without_newline;
use crate::ambient;
use crate::terminal::{HiddenTerminal, Unanswered};

/// The longest line that a terminal passes on in full, in bytes (Linux's `N_TTY_BUF_SIZE` minus the newline). Anything
/// beyond that is lost.
const MAX_TERMINAL_LINE: usize = 4095;

/// What to ask for.
pub(super) struct Question {
    what: String,
    is_repeated: bool,
    /// The way to go where nobody can be asked.
    otherwise: &'static str,
}

impl Question {
    /// A password that is chosen now: a mistake would go unnoticed.
    pub(super) fn password() -> Self {
        let otherwise = "pass it on standard input with --password-stdin";
        Self { what: "password".to_owned(), is_repeated: true, otherwise }
    }

    /// The value of a field, which is copied from elsewhere.
    pub(super) fn field(name: &str) -> Self {
        let otherwise = "pass it on standard input with --field-stdin NAME";
        Self { what: format!("{name:?}"), is_repeated: false, otherwise }
    }
}

/// Asks for a secret at the terminal.
pub(super) fn ask(question: &Question) -> Result<Zeroizing<String>, Failure> {
    let Question { what, is_repeated, otherwise } = question;
    let no_terminal = |error: io::Error| {
        let message = format!("no terminal to ask for the {what}: {error}");
        Failure::usage(message, *otherwise)
    };
    let mut terminal = ambient::terminal().and_then(HiddenTerminal::new).map_err(no_terminal)?;
    let mut ask = |question: &str| match terminal.ask(question) {
        Ok(answer) => text(&format!("the {what}"), &answer),
        Err(Unanswered::Cancelled) => Err(Failure::usage(
            format!("canceled: the input ended before the {what} was complete"),
            format!("nothing was changed; run this again, and end the {what} with Enter"),
        )),
        Err(Unanswered::TooLong) => Err(unusable(&format!("the {what}"), "is too long")),
        Err(Unanswered::Io(error)) => Err(no_terminal(error)),
    };
    let answer = ask(&format!("{what}: "))?;
    if answer.is_empty() {
        return Err(Failure::usage(
            format!("the {what} is empty"),
            "nothing was changed; run this again and enter one",
        ));
    }
    if *is_repeated && answer != ask(&format!("repeat {what}: "))? {
        return Err(Failure::usage(
            format!("the {what}s don't match"),
            "nothing was changed; run this again",
        ));
    }
    Ok(answer)
}

/// Text from standard input, without one trailing newline.
pub(super) fn read_text(what: &str) -> Result<Zeroizing<String>, Failure> {
    text(&format!("the {what} on standard input"), &read(what)?)
}

/// Bytes from standard input, without one trailing newline.
pub(super) fn read(what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_bytes(what).map(without_newline)
}

/// All bytes from standard input.
pub(super) fn read_bytes(what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let terminal = ambient::standard_input_is_terminal();
    if terminal {
        tracing::warn!(
            "reading the {what} from the terminal, where it is visible; end it with Ctrl-D"
        );
    }
    let what = format!("the {what} on standard input");
    let bytes = ambient::read_standard_input()
        .map_err(|_| unusable(&what, "can't be read or is too long"))?;
    if terminal && bytes.split(|byte| *byte == b'\n').any(|line| line.len() >= MAX_TERMINAL_LINE) {
        return Err(Failure::usage(
            format!("{what} has a line that is too long for a terminal"),
            "nothing was changed; pass it through a file or a pipe, which don't truncate it",
        ));
    }
    Ok(bytes)
}

/// The bytes as text.
pub(super) fn text(what: &str, bytes: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| unusable(what, "is not UTF-8 text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn unusable(what: &str, reason: &str) -> Failure {
    Failure::usage(
        format!("{what} {reason}"),
        "nothing was changed; it must be UTF-8 text of at most 64 KiB; --base64 stores other files",
    )
}
