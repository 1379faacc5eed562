//! The parts of a credential, from wherever the arguments say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moat::Field;
use zeroize::Zeroizing;

use crate::ambient::{self, SecretFileError};
use crate::args::Values;
use crate::document::Document;
use crate::failure::Failure;
use crate::input::{self, Question};
use crate::password::Recipe;
use crate::secret_file::{describe, file_remedy, without_newline};

/// Whether there has to be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Password {
    /// Where the arguments name no source, it is asked for at the terminal.
    Required,
    Optional,
}

/// What was read.
#[derive(Default)]
pub(super) struct Given {
    pub(super) username: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) fields: Vec<Field>,
}

/// Reads all parts: first those that are asked for at the terminal.
pub(super) fn read(
    values: &Values,
    username: Option<&str>,
    password: Password,
) -> Result<Given, Failure> {
    let mut given = if values.json_stdin { document(password)? } else { Given::default() };
    if let Some(username) = username
        && given.username.replace(username.to_owned()).is_some()
    {
        return Err(Failure::usage(
            "the user name is given twice: in the JSON and with --username",
            "nothing was changed; omit one of them",
        ));
    }
    if values.json_stdin && password == Password::Required && given.username.is_none() {
        return Err(Failure::usage(
            "the JSON on standard input has no \"username\"",
            "nothing was changed; add it, or pass --username",
        ));
    }
    if values.generate {
        given.password = Some(Recipe::default().password()?);
    } else if values.password_stdin {
        given.password = Some(piped_password(input::read_text("password")?)?);
    } else if password == Password::Required && !values.json_stdin {
        given.password = Some(input::ask(&Question::password())?);
    }
    for (name, value) in &values.field {
        let field = match value {
            Some(value) => Field::new(name, value),
            None => Field::new(name, input::ask(&Question::field(name))?.as_str()),
        };
        given.fields.push(field);
    }
    if let Some(name) = &values.field_stdin {
        given.fields.push(field(name, values, "standard input", input::read_bytes("field")?)?);
    }
    for (name, path) in &values.field_file {
        let shown = path.display().to_string();
        let bytes = ambient::read_value_file(path)
            .map_err(|error| Failure::usage(describe(&shown, &error), file_remedy(path, &error)))?;
        given.fields.push(field(name, values, &shown, bytes)?);
    }
    for (name, number) in &values.field_fd {
        let what = format!("descriptor {number}");
        let bytes = ambient::read_descriptor(*number).map_err(|error| unreadable(&what, &error))?;
        given.fields.push(field(name, values, &what, bytes)?);
    }
    Ok(given)
}

fn unreadable(what: &str, error: &SecretFileError) -> Failure {
    Failure::usage(
        describe(what, error),
        "nothing was changed; open it for this program, as in: moat set USER --field-fd NAME=3 3< FILE",
    )
}

/// A field of these bytes: the text without one trailing newline, or all of it in base64.
fn field(
    name: &str,
    values: &Values,
    place: &str,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Field, Failure> {
    if values.base64 {
        return Ok(Field::new(name, STANDARD.encode(&*bytes)));
    }
    let text = input::text(&format!("the field {name:?} from {place}"), &without_newline(bytes))?;
    Ok(Field::new(name, text.as_str()))
}

fn piped_password(password: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty",
            "nothing was changed; check what is passed on standard input",
        ));
    }
    Ok(password)
}

/// The credential on standard input.
fn document(password: Password) -> Result<Given, Failure> {
    let text = input::read_text("credential")?;
    let mut document = Document::parse(&text, "the credential on standard input")?;
    let found = document.password.take().map(Zeroizing::new);
    if found.is_none() && password == Password::Required {
        return Err(Failure::usage(
            "the JSON on standard input has no \"password\"",
            "nothing was changed; add it",
        ));
    }
    Ok(Given {
        username: document.username.take(),
        password: found.map(piped_password).transpose()?,
        fields: document.fields.iter().map(|(name, value)| Field::new(name, value)).collect(),
    })
}
