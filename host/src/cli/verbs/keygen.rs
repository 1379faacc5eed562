use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

pub(crate) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let key = moat::generate_key().map_err(|error| context.explain(&error))?;
    if context.output.json {
        context.output.value(&BTreeMap::from([("master_key", key.as_str())]))?;
    } else {
        context.output.line(&key)?;
    }
    Ok(ExitCode::SUCCESS)
}
