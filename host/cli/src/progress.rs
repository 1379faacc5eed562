//! Progress of work on many records, and how it ends.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use moat::maintenance::Selection;
use moat::{Error, Vault};

use super::context::Context;
use super::failure::Failure;

/// A progress bar on standard error, if it is a terminal and progress is wanted. It disappears when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn over(context: &Context, vault: &Vault, selection: Selection<'_>) -> Self {
        const LOOK: &str = "{wide_bar} {pos}/{len} {per_sec} {eta} left";
        if !context.output.shows_progress() {
            return Self(ProgressBar::hidden());
        }
        let total = selection.users(vault).count();
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        match ProgressStyle::with_template(LOOK) {
            Ok(style) => Self(bar.with_style(style)),
            Err(_) => Self(bar),
        }
    }

    /// Counts a record, and reports it where the bar would otherwise be.
    pub(super) fn report(
        &self,
        report: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Interruption> {
        self.0.inc(1);
        self.0.suspend(report).map_err(Interruption::Report)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Why work on many records ended early.
pub(super) enum Interruption {
    Vault(Error),
    Report(Failure),
}

impl Interruption {
    pub(super) fn explain(self, context: &Context) -> Failure {
        match self {
            Self::Vault(error) => context.explain(&error),
            Self::Report(failure) => failure,
        }
    }
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Vault(error)
    }
}
