//! `moat inject`: fills in the credentials that a template refers to.

use std::process::ExitCode;

use moat::UserId;
use zeroize::Zeroizing;

use crate::ambient;
use crate::args::Inject;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::revealing::{self, Credentials};
use crate::secret_file::{describe, file_remedy};
use crate::style;

const BEGIN: &str = "{{";
const END: &str = "}}";
const SCHEME: &str = "moat://";

pub(crate) fn run(context: &Context, inject: &Inject) -> Result<ExitCode, Failure> {
    let text = match &inject.in_file {
        Some(path) => ambient::read_value_file(path).map_err(|error| {
            Failure::usage(describe(&path.display().to_string(), &error), file_remedy(path, &error))
        })?,
        None => input::read_bytes("template")?,
    };
    let text = input::text("the template", &text)?;
    let parts = parse(&text)?;
    let users = parts.iter().filter_map(|part| match part {
        Part::Reference { user, .. } => Some(user),
        Part::Text(_) => None,
    });
    let message = match revealing::reveal(context, users)? {
        Ok(message) => message,
        Err(code) => return Ok(code),
    };
    let filled = fill(&parts, &message.credentials(context)?)?;
    match &inject.out_file {
        None => context.output.secret(&filled, "", style::printable_lines)?,
        Some(path) => {
            let written = if inject.force {
                ambient::replace_secret_file(path, filled.as_bytes())
            } else {
                ambient::write_new_secret_file(path, filled.as_bytes())
            };
            written.map_err(|error| Failure::unwritable(path, &error))?;
            let value = serde_json::json!({ "path": path.display().to_string() });
            context.output.done(&format!("wrote {}", path.display()), &value)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A part of a template.
enum Part<'t> {
    Text(&'t str),
    /// `{{ moat://USER/FIELD }}`
    Reference {
        user: UserId,
        field: &'t str,
        line: usize,
    },
}

/// Takes a template apart. What other programs have between braces is text.
fn parse(template: &str) -> Result<Vec<Part<'_>>, Failure> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        parts.push(Part::Text(before));
        rest = after;
        let Some(reference) = after.trim_start().strip_prefix(SCHEME) else {
            parts.push(Part::Text(BEGIN));
            continue;
        };
        let before = template.strip_suffix(after).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let wrong = |what: &str| {
            Failure::usage(
                format!("line {line} of the template: {what}"),
                "nothing was changed; write a reference as {{ moat://USER/FIELD }}",
            )
        };
        let (reference, after) =
            reference.split_once(END).ok_or_else(|| wrong("the reference doesn't end"))?;
        let names = reference.trim_end().split_once('/');
        let (user, field) = names.ok_or_else(|| wrong("the reference names no field"))?;
        let user = UserId::parse(user).map_err(|error| wrong(&error.to_string()))?;
        parts.push(Part::Reference { user, field, line });
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// The template with the values that it refers to.
fn fill(parts: &[Part<'_>], credentials: &Credentials<'_>) -> Result<Zeroizing<String>, Failure> {
    let mut pieces: Vec<&str> = Vec::with_capacity(parts.len());
    for part in parts {
        pieces.push(match part {
            Part::Text(text) => text,
            Part::Reference { user, field, line } => {
                credentials.of(user).and_then(|found| found.find(field)).ok_or_else(|| {
                    Failure::usage(
                        format!(
                            "line {line} of the template: the credential of {user} has no field {field:?}"
                        ),
                        format!("nothing was changed; run `moat get {user}` to see its fields"),
                    )
                })?
            }
        });
    }
    Ok(Zeroizing::new(pieces.concat()))
}
