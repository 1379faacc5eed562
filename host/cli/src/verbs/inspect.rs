//! `moat inspect`: shows the envelope of a record.

use std::process::ExitCode;

use moat::{Operation, TokenEncoding};

use crate::args::User;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(context: &Context, User { user }: &User) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Inspect.access())?;
    let envelope = vault.inspect(user).map_err(|error| context.explain_for(user, &error))?;
    if context.output.json {
        context.output.value(&output::envelope(user.as_str(), &envelope))?;
        return Ok(ExitCode::SUCCESS);
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    context.output.table(&[
        ("user id", user.to_string()),
        ("kind", envelope.kind.name().to_owned()),
        ("version", or_none(envelope.version)),
        ("token encoding", or_none(envelope.encoding.map(|e: TokenEncoding| e.name().to_owned()))),
        ("key", or_none(envelope.key_id)),
        ("created at", or_none(envelope.created_at)),
        ("encrypted at", or_none(envelope.encrypted_at)),
        ("write counter", or_none(envelope.write_counter.map(|count| count.to_string()))),
        ("size", format!("{} bytes", envelope.size)),
        ("revision", envelope.revision),
    ])?;
    Ok(ExitCode::SUCCESS)
}
