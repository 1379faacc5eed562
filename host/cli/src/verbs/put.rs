//! `moat put`: stores a credential.

use std::process::ExitCode;

use moat::{Credential, ErrorCode, KeySource, PutOptions};

use crate::args::Put;
use crate::context::Context;
use crate::failure::Failure;
use crate::values::{self, Password};
use crate::{ambient, output};

/// What to do where a credential must not be replaced.
const EXISTS_HINT: &str = "nothing was changed; run `moat get USER` to see the existing credential";

pub(crate) fn run(context: &Context, put: &Put) -> Result<ExitCode, Failure> {
    // First, so that nobody types a password in vain, and no directory is created in vain.
    let keys = context.master_key()?;
    keys.ring().map_err(|error| context.explain(&error))?;
    let file = context.path()?.join(put.user.file_name());
    ask_to_replace(put, ambient::exists(&file))?;

    let values = values::read(&put.values, put.username.as_deref(), Password::Required)?;
    let password = values.password.unwrap_or_default();
    let credential = Credential::new(values.username.unwrap_or_default(), password.as_str());
    let credential = values.fields.into_iter().fold(credential, Credential::with_field);
    let credential = match &put.expiry.expires {
        Some(expires) => credential.with_expires(expires),
        None => credential,
    };
    let mut options = PutOptions::default();
    options.create_only = put.create_only;
    options.version = put.format.map(|format| format.name().to_owned());
    options.token_encoding = put.token_encoding.map(Into::into);
    options.keep_fields = !put.drop_fields;

    let vault = context.vault_for_put(keys, put.allow_new_key)?;
    let stored = vault.put(&put.user, &credential, &options).map_err(|error| {
        if put.create_only && error.code() == ErrorCode::Conflict {
            return Failure::library(&error, EXISTS_HINT).for_user(&put.user);
        }
        context.explain_for(&put.user, &error)
    })?;

    if !stored.dropped_fields.is_empty() {
        tracing::warn!(
            "fields of the previous record were dropped: {}",
            stored.dropped_fields.join(", ")
        );
    }
    output::warn_of_expiry(&stored.summary);
    let verb = if stored.replaced { "replaced" } else { "stored" };
    let text = format!("{verb} {} in {}", put.user, file.display());
    let mut value = output::summary(&stored.summary);
    value.insert("replaced".to_owned(), stored.replaced.into());
    context.output.done(&text, &value.into())?;
    Ok(ExitCode::SUCCESS)
}

/// Before a password is asked for: whether it may replace the one that there is.
fn ask_to_replace(put: &Put, exists: bool) -> Result<(), Failure> {
    let asks = !put.values.password_stdin && !put.values.json_stdin;
    if !asks || !exists {
        return Ok(());
    }
    if put.create_only {
        return Err(Failure::conflict("this user already has a credential", EXISTS_HINT)
            .for_user(&put.user));
    }
    if put.yes {
        return Ok(());
    }
    output::confirm(&format!("{} has a credential: replace its password?", put.user))
}
