//! `moat check`: whether this installation is safe. Each area has its own module.

mod audit;
mod directory;
mod key;
mod records;
mod system;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use moat::maintenance::Names;
use serde_json::json;

use crate::ambient::{self, OpenDirectory};
use crate::args::Check;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;
use crate::style;

/// Checks everything, first what needs access to paths: after that, the process is confined and can only check what it
/// still has access to.
pub(crate) fn run(context: &Context, arguments: &Check) -> Result<ExitCode, Failure> {
    let mut checks = Checks::new(context, arguments.fix)?;
    directory::check_owner(context, &mut checks)?;
    let keys = key::check(context, arguments, &mut checks)?;
    let directory = directory::check(context, &mut checks)?;
    audit::check(context, keys.as_ref(), &mut checks)?;
    system::check_memory(context, &mut checks)?;
    let sandbox = context.sandbox();
    let confinement = records::check(context, arguments, keys, directory, &mut checks)?;
    system::check(context, sandbox, &confinement, &mut checks)?;
    checks.finish()
}

/// A terminal of fewer columns shows each finding below its name.
const NARROW: usize = 60;

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    /// It should be fixed soon.
    Warn,
    /// Someone could read or forge a secret, or something can't be read any more.
    Fail,
}

/// The findings so far.
struct Checks<'c> {
    report: Report<'c>,
    fix: bool,
    /// The number of findings per level.
    ok: usize,
    warn: usize,
    fail: usize,
    fixed: usize,
}

impl<'c> Checks<'c> {
    fn new(context: &'c Context, fix: bool) -> Result<Self, Failure> {
        let report = Report::new(&context.output, "checks")?;
        Ok(Self { report, fix, ok: 0, warn: 0, fail: 0, fixed: 0 })
    }

    fn ok(&mut self, name: &str, finding: impl Display) -> Result<(), Failure> {
        self.add(name, Level::Ok, &finding, None)
    }

    fn warn(
        &mut self,
        name: &str,
        finding: impl Display,
        remedy: impl Display,
    ) -> Result<(), Failure> {
        self.add(name, Level::Warn, &finding, Some(&remedy))
    }

    fn fail(
        &mut self,
        name: &str,
        finding: impl Display,
        remedy: impl Display,
    ) -> Result<(), Failure> {
        self.add(name, Level::Fail, &finding, Some(&remedy))
    }

    /// Fixes the problem if `--fix` was given; otherwise reports it with this level.
    fn fixable<E: Display>(
        &mut self,
        name: &str,
        level: Level,
        finding: impl Display,
        remedy: impl Display,
        fix: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), Failure> {
        if !self.fix {
            let remedy = format!("{remedy}    (or `moat check --fix`)");
            return self.add(name, level, &finding, Some(&remedy));
        }
        match fix() {
            Ok(()) => {
                self.fixed += 1;
                self.ok(name, format!("fixed: {finding}"))
            }
            Err(error) => {
                self.add(name, level, &format!("{finding}; --fix failed: {error}"), Some(&remedy))
            }
        }
    }

    /// Fails if others can put something else in the place of this file or directory, whatever its own mode.
    fn not_replaceable(&mut self, name: &str, path: &Path) -> Result<(), Failure> {
        let Some(OpenDirectory { path: above, mode, stranger }) =
            ambient::open_directory_above(path)
        else {
            return Ok(());
        };
        let (path, above) = (path.display(), above.display());
        match stranger {
            Some(owner) => self.fail(
                name,
                format!("uid {owner} can replace {path}, as the owner of {above}"),
                "move it to a directory of your own",
            ),
            None => self.fail(
                name,
                format!("others can replace {path}: they can write to {above} (mode {mode:04o})"),
                format!("chmod go-w {above}    or move it to a directory of your own"),
            ),
        }
    }

    fn add(
        &mut self,
        name: &str,
        level: Level,
        finding: &dyn Display,
        remedy: Option<&dyn Display>,
    ) -> Result<(), Failure> {
        let (word, style, count) = match level {
            Level::Ok => ("ok", style::GREEN, &mut self.ok),
            Level::Warn => ("warn", style::YELLOW, &mut self.warn),
            Level::Fail => ("fail", style::RED, &mut self.fail),
        };
        *count += 1;
        let (finding, remedy) = (finding.to_string(), remedy.map(ToString::to_string));
        // A narrow terminal has no room beside the name. A remedy is never broken, so that it can be copied.
        let columns = ambient::output_columns().unwrap_or(usize::MAX);
        let indent = if columns < NARROW { 4 } else { 20 };
        let mut lines = style::wrapped(&finding, columns.saturating_sub(indent + 1));
        let beside = if columns < NARROW {
            name.to_owned()
        } else {
            format!("{name:12}  {}", lines.remove(0))
        };
        self.report.labeled(style, word, &format!("{:1$}{beside}", "", 6 - word.len()))?;
        for line in lines {
            self.report.line(&format!("{:indent$}{line}", ""))?;
        }
        if let Some(remedy) = &remedy {
            self.report.line(&format!("{:indent$}{remedy}", ""))?;
        }
        self.report
            .entry(&json!({ "name": name, "level": word, "finding": finding, "fix": remedy }))
    }

    fn finish(self) -> Result<ExitCode, Failure> {
        let Self { report, ok, warn, fail, fixed, .. } = self;
        let text = format!("{ok} ok, {warn} warnings, {fail} failed, {fixed} fixed");
        let summary = json!({ "ok": ok, "warn": warn, "fail": fail, "fixed": fixed });
        report.finish(&text, &summary)?;
        Ok(if fail == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The first few names, and the number of the others.
fn shown(names: &Names) -> String {
    let first: Vec<_> = names.first().iter().map(|name| style::file_name(name)).collect();
    match names.count() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
