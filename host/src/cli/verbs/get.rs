use std::process::ExitCode;

use moat::{Credential, Revealed, Summary};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::ambient;
use crate::cli::args::Get;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;

pub(crate) fn run(context: &Context, get: &Get) -> Result<ExitCode, Failure> {
    let vault = context.vault()?;
    if get.field.is_none() && !get.reveal {
        let summary = vault.describe(&get.user).map_err(|error| context.explain(&error))?;
        output::warn_of_weak_key(&summary);
        if context.output.json {
            context.output.value(&output::summary(&summary).into())?;
        } else {
            context.output.table(&rows(&summary, None))?;
        }
        return Ok(ExitCode::SUCCESS);
    }

    let revealed = vault.reveal(&get.user).map_err(|error| context.explain(&error))?;
    output::warn_of_weak_key(revealed.summary());
    match &get.field {
        Some(name) => print_field(context, &revealed, name)?,
        None if context.output.json => context.output.value(&output::revealed(&revealed).into())?,
        None => context.output.table(&rows(revealed.summary(), Some(revealed.credential())))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(summary: &Summary, secrets: Option<&Credential>) -> Vec<(&'static str, String)> {
    let password =
        secrets.map_or("(hidden; --field password prints it)", Credential::expose_password);
    let mut rows = vec![
        ("user id", summary.user_id.clone()),
        ("username", summary.username.clone()),
        ("password", password.to_owned()),
        ("created at", summary.created_at.clone().unwrap_or_default()),
        ("last used", summary.last_used.clone().unwrap_or_else(|| "never".to_owned())),
        ("valid", validity(summary)),
    ];
    match secrets {
        Some(credential) => rows.extend(
            credential
                .fields()
                .iter()
                .map(|field| ("field", format!("{} = {}", field.name(), field.expose_value()))),
        ),
        None => rows
            .extend(summary.field_names.iter().map(|name| ("field", format!("{name} (hidden)")))),
    }
    let version = summary.envelope.version.clone();
    rows.push(("version", version.unwrap_or_else(|| "before 1.0".to_owned())));
    rows.extend(summary.key.id.clone().map(|id| ("key", id)));
    rows
}

fn validity(summary: &Summary) -> String {
    match (summary.validation_attempts, summary.is_valid) {
        (0, false) => "not tried yet".to_owned(),
        (attempts, true) => format!("yes (login attempts: {attempts})"),
        (attempts, false) => format!("no (login attempts: {attempts})"),
    }
}

fn print_field(context: &Context, revealed: &Revealed, name: &str) -> Result<(), Failure> {
    let value = find(revealed, name).ok_or_else(|| {
        let names = revealed.summary().field_names.join(", ");
        let fields = if names.is_empty() { "it has none".to_owned() } else { format!("it has {names}") };
        Failure::usage(
            format!("the credential has no field {name:?}"),
            format!("{fields}; besides: username, password, created_at, last_used, is_valid, validation_attempts, user_id, encryption_version, key_id"),
        )
    })?;
    if context.output.json {
        return context.output.value(&json!({ name: value }));
    }
    let text = Zeroizing::new(match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    });
    if ambient::standard_output_is_terminal() {
        let shown = output::printable(&text);
        if *shown != **text {
            tracing::warn!("control characters are shown escaped; in a pipe the value is exact");
        }
        return context.output.line(&shown);
    }
    context.output.raw(&Zeroizing::new([text.as_bytes(), b"\n"].concat()))
}

/// A part of the credential, or else one of its fields.
fn find(revealed: &Revealed, name: &str) -> Option<Value> {
    let mut parts = output::revealed(revealed);
    let mut fields = parts.remove("fields");
    parts.remove(name).or_else(|| fields.as_mut()?.get_mut(name).map(Value::take))
}
