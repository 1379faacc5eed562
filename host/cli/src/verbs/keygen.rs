//! `moat keygen`: creates a new master key.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use crate::ambient;
use crate::args::{KeyFormat, Keygen};
use crate::context::Context;
use crate::failure::Failure;

pub(crate) fn run(context: &Context, keygen: &Keygen) -> Result<ExitCode, Failure> {
    let key = match keygen.format {
        KeyFormat::Moat => moat::generate_key(),
        KeyFormat::Token => moat::generate_token(),
    }
    .map_err(|error| context.explain(&error))?;
    if let Some(path) = &keygen.out {
        // Without a line break, so that programs that read the file byte for byte get the same key.
        ambient::write_new_secret_file(path, key.as_bytes())
            .map_err(|error| Failure::unwritable(path, &error))?;
        let text = format!("wrote a new master key to {}", path.display());
        context.output.done(&text, &json!({ "file": path.display().to_string() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(mode) = ambient::standard_output_file_mode().filter(|mode| mode & 0o077 != 0) {
        tracing::warn!(
            "others can read the file that the key is written to (mode {mode:04o}): run chmod 600 on it, or use `moat keygen --out PATH`"
        );
    }
    if context.output.json {
        context.output.value(&BTreeMap::from([("master_key", key.as_str())]))?;
    } else {
        context.output.line(&key)?;
    }
    Ok(ExitCode::SUCCESS)
}
