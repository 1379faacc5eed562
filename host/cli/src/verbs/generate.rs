//! `moat completions` and `moat man`: generated from the definition of the arguments.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::context::Context;
use crate::failure::Failure;

pub(crate) fn completions(context: &Context, shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "moat", &mut script);
    context.output.raw(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(context: &Context, verb: Option<&str>) -> Result<ExitCode, Failure> {
    let mut program = Arguments::command();
    program.build();
    let command = match verb {
        None => program,
        Some(verb) => program.find_subcommand(verb).cloned().ok_or_else(|| {
            Failure::usage(format!("unknown command {verb:?}"), "`moat help` lists the commands")
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| {
        Failure::other(format!("rendering the manual page: {error}"), "report this as a bug")
    })?;
    context.output.raw(&page)?;
    Ok(ExitCode::SUCCESS)
}
