//! A file of variables, which become the fields of one credential.

use super::entry::{Draft, Item, Name};
use crate::args::ImportEnv;
use crate::dotenv::{self, Variable};
use crate::failure::Failure;

/// The variables that are the user name and the password, if they are there.
const USERNAME: &str = "USERNAME";
const PASSWORD: &str = "PASSWORD";

pub(super) fn read(text: &str, import: &ImportEnv) -> Result<Vec<Item>, Failure> {
    let variables = dotenv::parse(text, |_| true, |_| false).map_err(|what| {
        Failure::usage(
            format!("{}: {what}", import.file.display()),
            "nothing was changed; write it as NAME='value', with no quote inside the value; `moat set` stores any other",
        )
    })?;
    for wanted in [&import.username_from, &import.password_from].into_iter().flatten() {
        if !variables.iter().any(|variable| variable.name == *wanted) {
            return Err(Failure::usage(
                format!("{} has no variable of the name {wanted}", import.file.display()),
                "nothing was changed; name one that it has",
            ));
        }
    }
    let username = import.username_from.as_deref().unwrap_or(USERNAME);
    let password = import.password_from.as_deref().unwrap_or(PASSWORD);
    let mut draft = Draft::default();
    for Variable { name, value, .. } in &variables {
        if name == username {
            draft.username(value);
        } else if name == password {
            draft.password(value);
        } else {
            draft.field(name, value);
        }
    }
    let name = Name::Exact(import.user.to_string());
    Ok(vec![draft.finish(import.file.display().to_string(), name)])
}
