//! `moat export`: writes credentials into one document, encrypted with age unless the clear is insisted on.
//!
//! A child opens the credentials and encrypts them, confined; this process writes what comes out of it.

use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use age::x25519::Recipient;
use moat::maintenance::Selection;
use moat::{Operation, UserId};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::ambient::{self, MAX_MANY_BYTES};
use crate::args::Export;
use crate::context::Context;
use crate::export_document::Writer;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{age_file, revealing};

pub(crate) fn run(context: &Context, export: &Export) -> Result<ExitCode, Failure> {
    let mut recipients = export.recipient.clone();
    for path in &export.recipients_file {
        recipients.extend(age_file::recipients(path)?);
    }
    // Before anything is decrypted in vain.
    match &export.output {
        Some(path) if !export.force && ambient::exists(path) => {
            return Err(Failure::in_use(
                format!("{} already exists", path.display()),
                "nothing was changed; choose another name, or replace it with --force",
            ));
        }
        Some(_) => {}
        None => check_standard_output(export)?,
    }
    let send = |pipe| send(context, export, &recipients, pipe);
    let message = match revealing::in_child(context, MAX_MANY_BYTES, send)? {
        Ok(message) => message,
        Err(code) => return Ok(code),
    };
    let count = message.first_chunk().map_or(0, |count| u32::from_le_bytes(*count));
    let document = message.get(size_of::<u32>()..).unwrap_or_default();
    match &export.output {
        None => context.output.raw(document)?,
        Some(path) => write(context, path, document, export.force, count)?,
    }
    if export.plaintext {
        tracing::warn!(
            "the export has all passwords in the clear: encrypt it, or delete it as soon as it isn't needed any more"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn check_standard_output(export: &Export) -> Result<(), Failure> {
    let terminal = ambient::standard_output_is_terminal();
    if terminal && export.plaintext {
        return Err(Failure::usage(
            "the export would show all passwords at the terminal",
            "write it into a file with --output FILE, or pipe it; `moat get USER --reveal` shows one credential",
        ));
    }
    if terminal && !export.armor {
        return Err(Failure::usage(
            "the export is binary, which a terminal can't show",
            "write it into a file with --output FILE, pipe it, or use --armor",
        ));
    }
    if export.plaintext
        && let Some(mode) = ambient::standard_output_file_mode().filter(|mode| mode & 0o077 != 0)
    {
        tracing::warn!(
            "others can read the file that the export is written to (mode {mode:04o}): run chmod 600 on it, or use --output FILE"
        );
    }
    Ok(())
}

fn write(
    context: &Context,
    path: &Path,
    document: &[u8],
    force: bool,
    count: u32,
) -> Result<(), Failure> {
    let written = if force {
        ambient::replace_secret_file(path, document)
    } else {
        ambient::write_new_secret_file(path, document)
    };
    written.map_err(|error| Failure::unwritable(path, &error))?;
    let credentials = if count == 1 { "1 credential" } else { &format!("{count} credentials") };
    let text = format!("exported {credentials} to {}", path.display());
    context.output.done(&text, &json!({ "path": path.display().to_string(), "credentials": count }))
}

/// What the child does: sends how many credentials there are, and then the document.
fn send(
    context: &Context,
    export: &Export,
    recipients: &[Recipient],
    mut pipe: PipeWriter,
) -> Result<(), Failure> {
    let vault = context.vault(Operation::Reveal.access().or(Operation::Users.access()))?;
    let mut users: Vec<UserId> = Vec::new();
    for user in Selection::of(&export.users).users(&vault) {
        let user = user.map_err(|error| context.explain(&error))?;
        if export.users.is_empty() || !users.contains(&user) {
            users.push(user);
        }
    }
    let broken = revealing::not_passed_on;
    let count = u32::try_from(users.len()).unwrap_or(u32::MAX);
    pipe.write_all(&count.to_le_bytes()).map_err(|error| broken(&error))?;

    let mut progress = Progress::begin(context, Some(users.len()), "exporting");
    let mut write = |stream: &mut dyn Write| {
        let mut document = Writer::begin(stream, &now()).map_err(|error| broken(&error))?;
        for user in &users {
            let revealed = vault.reveal(user).map_err(|error| context.explain_for(user, &error))?;
            document.add(&revealed).map_err(|error| broken(&error))?;
            progress.report(|| Ok(())).map_err(|interruption| interruption.explain(context))?;
        }
        document.end().map_err(|error| broken(&error))
    };
    if export.plaintext {
        write(&mut pipe)
    } else {
        age_file::encrypt(recipients, export.armor, pipe, write, broken)
    }
}

/// The time as RFC 3339 has it.
fn now() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}
