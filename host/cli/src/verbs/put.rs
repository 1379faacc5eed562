//! `moat put`: stores a credential.

use std::process::ExitCode;

use moat::{Credential, ErrorCode, Field, KeySource, PutOptions};
use zeroize::Zeroizing;

use crate::args::Put;
use crate::context::Context;
use crate::failure::Failure;
use crate::{input, output};

pub(crate) fn run(context: &Context, put: &Put) -> Result<ExitCode, Failure> {
    // First, so that nobody types a password in vain, and no directory is created in vain.
    let keys = context.master_key()?;
    keys.ring().map_err(|error| context.explain(&error))?;

    let password = read_password(put)?;
    let mut credential = Credential::new(put.username.as_str(), password.as_str());
    for (name, value) in &put.field {
        credential = credential.with_field(Field::new(name, value));
    }
    if let Some(name) = &put.field_stdin {
        credential = credential.with_field(Field::new(name, input::read_text("field")?.as_str()));
    }
    let mut options = PutOptions::default();
    options.create_only = put.create_only;
    options.version = put.format.map(|format| format.name().to_owned());
    options.token_encoding = put.token_encoding.map(Into::into);

    let vault = context.vault_for_put(keys, put.allow_new_key)?;
    let stored = vault.put(&put.user, &credential, &options).map_err(|error| {
        if put.create_only && error.code() == ErrorCode::Conflict {
            return Failure::library(
                &error,
                "nothing was changed; run `moat get USER` to see the existing credential",
            );
        }
        context.explain(&error)
    })?;

    if !stored.dropped_fields.is_empty() {
        tracing::warn!(
            "fields of the previous record were dropped: {}",
            stored.dropped_fields.join(", ")
        );
    }
    let verb = if stored.replaced { "replaced" } else { "stored" };
    let file = context.path()?.join(put.user.file_name());
    let text = format!("{verb} {} in {}", put.user, file.display());
    let mut value = output::summary(&stored.summary);
    value.insert("replaced".to_owned(), stored.replaced.into());
    context.output.done(&text, &value.into())?;
    Ok(ExitCode::SUCCESS)
}

fn read_password(put: &Put) -> Result<Zeroizing<String>, Failure> {
    if !put.password_stdin {
        return input::ask_password();
    }
    let password = input::read_text("password")?;
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty",
            "nothing was stored; check what is passed on standard input",
        ));
    }
    Ok(password)
}
