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

const ON_STANDARD_INPUT: &str = "pass it on standard input with --password-stdin";

/// A new password, asked for twice at the terminal.
pub(super) fn ask_password() -> Result<Zeroizing<String>, Failure> {
    let no_terminal = |error: io::Error| {
        let message = format!("no terminal to ask for the password: {error}");
        Failure::usage(message, ON_STANDARD_INPUT)
    };
    let mut terminal = ambient::terminal().and_then(HiddenTerminal::new).map_err(no_terminal)?;
    let mut ask = |question| match terminal.ask(question) {
        Ok(answer) => text("the password", &answer),
        Err(Unanswered::Cancelled) => Err(Failure::usage(
            "canceled: the input ended before the password was complete",
            "nothing was stored; run this again, and end the password with Enter",
        )),
        Err(Unanswered::TooLong) => Err(unusable("the password", "is too long")),
        Err(Unanswered::Io(error)) => Err(no_terminal(error)),
    };
    let password = ask("password: ")?;
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty",
            "nothing was stored; run this again and enter one",
        ));
    }
    if password != ask("repeat password: ")? {
        return Err(Failure::usage(
            "the passwords don't match",
            "nothing was stored; run this again",
        ));
    }
    Ok(password)
}

/// Text from standard input, without one trailing newline.
pub(super) fn read_text(what: &str) -> Result<Zeroizing<String>, Failure> {
    text(&format!("the {what} on standard input"), &read(what)?)
}

/// Bytes from standard input, without one trailing newline.
pub(super) fn read(what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
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
            "nothing was stored; pass it through a file or a pipe, which don't truncate it",
        ));
    }
    Ok(without_newline(bytes))
}

fn text(what: &str, bytes: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| unusable(what, "is not UTF-8 text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn unusable(what: &str, reason: &str) -> Failure {
    Failure::usage(
        format!("{what} {reason}"),
        "nothing was stored; it must be UTF-8 text of at most 64 KiB",
    )
}
