//! `moat get`: shows a credential, or prints one of its values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moat::{Credential, Operation, Revealed, Summary};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::args::Get;
use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::history;
use crate::{output, style};

pub(crate) fn run(context: &Context, get: &Get) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Reveal.access())?;
    if get.field.is_empty() && !get.reveal {
        let summary =
            vault.describe(&get.user).map_err(|error| context.explain_for(&get.user, &error))?;
        output::warn_of_weak_key(&summary);
        if context.output.json {
            context.output.value(&output::summary(&summary))?;
        } else {
            context.output.table(&rows(&summary, None))?;
        }
        return Ok(ExitCode::SUCCESS);
    }

    let revealed = match get.earlier {
        Some(number) => vault.reveal_version(&get.user, number),
        None => vault.reveal(&get.user),
    };
    let revealed = revealed.map_err(|error| history::explain(context, &get.user, &error))?;
    output::warn_of_weak_key(revealed.summary());
    if !get.field.is_empty() {
        print_fields(context, &revealed, get)?;
    } else if context.output.json {
        context.output.value(&output::Exposed(&revealed))?;
    } else {
        context.output.table(&rows(revealed.summary(), Some(revealed.credential())))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(summary: &Summary, secrets: Option<&Credential>) -> Vec<(&'static str, Zeroizing<String>)> {
    let row = |label, text: &str| (label, Zeroizing::new(text.to_owned()));
    let hidden = "(hidden; --field password prints it)";
    let mut rows = vec![
        row("user id", &summary.user_id),
        row("username", &summary.username),
        row("password", secrets.map_or(hidden, Credential::expose_password)),
        row("created at", summary.created_at.as_deref().unwrap_or_default()),
        row("last used", summary.last_used.as_deref().unwrap_or("never")),
        row("valid", &validity(summary)),
    ];
    if let Some(expires) = &summary.expires {
        rows.push(row("expires", summary.expires_at.as_ref().unwrap_or(expires)));
    }
    match secrets {
        Some(credential) => rows.extend(credential.fields().iter().map(|field| {
            let text = [field.name(), " = ", field.expose_value()].concat();
            ("field", Zeroizing::new(text))
        })),
        None => rows.extend(
            summary.field_names.iter().map(|name| row("field", &format!("{name} (hidden)"))),
        ),
    }
    rows.push(row("version", summary.envelope.version.as_deref().unwrap_or("before 1.0")));
    rows.extend(summary.key.id.as_deref().map(|id| row("key", id)));
    if summary.earlier_versions > 0 {
        rows.push(row("earlier", &format!("{} (moat history)", summary.earlier_versions)));
    }
    rows
}

fn validity(summary: &Summary) -> String {
    match (summary.validation_attempts, summary.is_valid) {
        (0, false) => "not tried yet".to_owned(),
        (attempts, true) => format!("yes (login attempts: {attempts})"),
        (attempts, false) => format!("no (login attempts: {attempts})"),
    }
}

fn print_fields(context: &Context, revealed: &Revealed, get: &Get) -> Result<(), Failure> {
    // All of them are looked up before one is printed.
    let mut values = Vec::with_capacity(get.field.len());
    for name in &get.field {
        values.push((name, find(revealed, name).ok_or_else(|| missing(revealed, name))?));
    }
    if context.output.json {
        return context.output.value(&values.into_iter().collect::<BTreeMap<_, _>>());
    }
    for (name, value) in &values {
        let text = match value {
            Found::Secret(text) => Cow::Borrowed(*text),
            Found::Public(Value::String(text)) => Cow::Borrowed(text.as_str()),
            Found::Public(Value::Null) => Cow::Borrowed(""),
            Found::Public(other) => Cow::Owned(other.to_string()),
        };
        if get.base64 {
            context.output.raw(&decoded(name, &text)?)?;
        } else {
            let end = if get.no_newline { "" } else { "\n" };
            context.output.secret(&text, end, style::printable)?;
        }
    }
    Ok(())
}

/// The bytes of a value that was stored with --base64.
fn decoded(name: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let decoded = STANDARD.decode(text).map(Zeroizing::new);
    decoded.map_err(|_| {
        Failure::usage(
            format!("the value of {name:?} is not in base64"),
            "omit --base64 to print it as it is",
        )
    })
}

fn missing(revealed: &Revealed, name: &str) -> Failure {
    let names = revealed.summary().field_names.join(", ");
    let fields =
        if names.is_empty() { "it has none".to_owned() } else { format!("it has {names}") };
    Failure::usage(
        format!("the credential has no field {name:?}"),
        format!("{fields}; also available: {}", output::MEMBERS.join(", ")),
    )
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found<'r> {
    Secret(&'r str),
    Public(Value),
}

/// A standard member of the credential, or else one of its fields.
fn find<'r>(revealed: &'r Revealed, name: &str) -> Option<Found<'r>> {
    let credential = revealed.credential();
    let field = || credential.fields().iter().find(|field| field.name() == name);
    match name {
        "password" => Some(Found::Secret(credential.expose_password())),
        "fields" => None,
        _ => output::summary(revealed.summary())
            .remove(name)
            .map(Found::Public)
            .or_else(|| Some(Found::Secret(field()?.expose_value()))),
    }
}
