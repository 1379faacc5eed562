//! The program `moat`: parses the arguments, validates the options, runs one command; output and exit codes are handled
//! in one place.
//!
//! It is a library so that its parts can be tested and fuzzed, not a stable interface.

mod age_file;
mod ambient;
mod args;
mod audit;
mod command;
mod completion;
mod confinement;
mod context;
mod document;
mod dotenv;
mod duration;
mod env_file;
mod events;
mod export_document;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod input;
mod interrupt;
mod key_text;
mod master_key;
mod output;
mod password;
mod progress;
mod report;
mod revealing;
mod ring_file;
mod secret_file;
mod style;
mod terminal;
mod usage;
mod values;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;

use args::{Arguments, Verb};
use context::Context;
use failure::Failure;
use verbs::copy::After;

/// Runs the program.
pub fn main() -> ExitCode {
    // Before any secret is read. If the system doesn't support it, `moat component` and `moat check` say so.
    let _ = confinement::forbid_dumps();
    let _ = confinement::lock_memory();
    let raw = ambient::arguments();
    let json = raw.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    let outcome = match parse(&raw) {
        Ok(arguments) => run(arguments),
        Err(error) => usage::report(&error, &raw, json),
    };
    let code = match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    };
    interrupt::take_effect();
    code
}

fn parse(raw: &[OsString]) -> Result<Arguments, clap::Error> {
    command::command()
        .try_get_matches_from(raw)
        .and_then(|matches| Arguments::from_arg_matches(&matches))
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { options, verb } = arguments;
    events::show(options.verbose, options.quiet, options.json);
    let context = Context::new(options)?;
    match verb {
        Verb::Init(init) => verbs::init::run(&context, &init),
        Verb::Keygen(keygen) => verbs::keygen::run(&context, &keygen),
        Verb::Generate(generate) => verbs::generate::run(&context, &generate),
        Verb::Put(put) => verbs::put::run(&context, &put),
        Verb::Set(set) => verbs::set::run(&context, &set),
        Verb::Edit(user) => verbs::edit::run(&context, &user),
        Verb::Get(get) => verbs::get::run(&context, &get),
        Verb::List(list) => verbs::list::run(&context, &list),
        Verb::Copy(copy) => verbs::copy::run(&context, &copy, After::Keep),
        Verb::Rename(copy) => verbs::copy::run(&context, &copy, After::Remove),
        Verb::History(history) => verbs::history::run(&context, &history),
        Verb::Restore(restore) => verbs::history::restore(&context, &restore),
        Verb::Delete(delete) => verbs::delete::run(&context, &delete),
        Verb::Touch(touch) => verbs::touch::run(&context, &touch),
        Verb::Mark(mark) => verbs::mark::run(&context, &mark),
        Verb::Inspect(inspect) => verbs::inspect::run(&context, &inspect),
        Verb::Verify(verify) => verbs::verify::run(&context, &verify),
        Verb::Migrate(migrate) => verbs::migrate::run(&context, &migrate),
        Verb::Rotate(rotate) => verbs::rotate::run(&context, &rotate),
        Verb::Check(check) => verbs::check::run(&context, &check),
        Verb::Audit(verb) => verbs::audit::run(&context, &verb),
        Verb::Keys(keys) => verbs::keys::run(&context, &keys),
        Verb::Component(component) => verbs::component::run(&context, &component),
        Verb::Exec(exec) => verbs::exec::run(&context, &exec),
        Verb::Inject(inject) => verbs::inject::run(&context, &inject),
        Verb::Import(import) => verbs::import::run(&context, &import),
        Verb::Export(export) => verbs::export::run(&context, &export),
        Verb::Completions { shell } => verbs::manual::completions(&context, shell),
        Verb::Complete { shell, words } => verbs::manual::complete(&context, shell, &words),
        Verb::Man(man) => verbs::manual::man(&context, &man),
    }
}
