//! Progress of work on many records, and how it ends.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moat::maintenance::Selection;
use moat::{Error, Vault};

use super::context::Context;
use super::failure::Failure;
use super::interrupt::{self, Watch};
use crate::ambient;

/// How often the line is drawn, and how often a new one is printed where none can be redrawn.
const REDRAWN_EVERY: Duration = Duration::from_millis(100);
const PRINTED_EVERY: Duration = Duration::from_secs(30);

/// Goes to the start of the line and erases it.
const ERASE: &str = "\r\x1b[K";

/// Whether a line of progress is on the terminal, with the cursor at its end.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// What to print before anything else goes to the terminal: erases the line of progress, if there is one.
pub(super) fn make_room() -> &'static str {
    if SHOWN.swap(false, Ordering::Relaxed) { ERASE } else { "" }
}

/// Progress on standard error, if it is a terminal and progress is wanted. A signal that would end the program ends the
/// work first.
pub(super) struct Progress {
    look: Look,
    /// What is being done: a word that ends in "ing".
    doing: &'static str,
    done: usize,
    /// How many records there are, if that is known.
    total: Option<usize>,
    begun: Instant,
    shown: Option<Instant>,
    _watch: Watch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Hidden,
    /// One line, which is redrawn, and erased at the end.
    Redrawn,
    /// A new line now and then, for terminals that can't erase one, and for screen readers.
    Lines,
}

impl Progress {
    /// Over the records of a selection.
    pub(super) fn over(
        context: &Context,
        vault: &Vault,
        selection: Selection<'_>,
        doing: &'static str,
    ) -> Self {
        // Which records are old enough, only reading them shows.
        let is_known = context.output.shows_progress() && selection.older_than.is_none();
        let total = is_known.then(|| selection.users(vault).count());
        Self::begin(context, total, doing)
    }

    /// Over this many records, if that is known.
    pub(super) fn begin(context: &Context, total: Option<usize>, doing: &'static str) -> Self {
        let watch = Watch::begin();
        let look = if !context.output.shows_progress() {
            Look::Hidden
        } else if ambient::terminal_is_dumb() {
            Look::Lines
        } else {
            Look::Redrawn
        };
        let shown = (look == Look::Lines).then(Instant::now);
        let begun = Instant::now();
        let progress = Self { look, doing, done: 0, total, begun, shown, _watch: watch };
        progress.draw();
        progress
    }

    /// Counts a record, and reports it where progress would otherwise be shown. Fails if the work is to end.
    pub(super) fn report(
        &mut self,
        report: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Interruption> {
        if self.total == Some(self.done) {
            // The records are gone through until nothing is left to do.
            (self.done, self.doing, self.begun) = (0, "checking", Instant::now());
        }
        self.done += 1;
        report().map_err(Interruption::Report)?;
        self.show();
        match interrupt::arrived() {
            Some(_) => Err(Interruption::Signal { doing: self.doing, done: self.done }),
            None => Ok(()),
        }
    }

    fn show(&mut self) {
        let every = if self.look == Look::Lines { PRINTED_EVERY } else { REDRAWN_EVERY };
        let is_missing = self.look == Look::Redrawn && !SHOWN.load(Ordering::Relaxed);
        if is_missing || self.shown.is_none_or(|shown| shown.elapsed() >= every) {
            self.shown = Some(Instant::now());
            self.draw();
        }
    }

    fn draw(&self) {
        let text = match self.look {
            Look::Hidden => return,
            Look::Lines => self.text(usize::MAX) + "\n",
            Look::Redrawn if !ambient::has_the_terminal() => return,
            Look::Redrawn => {
                SHOWN.store(true, Ordering::Relaxed);
                // A character in the last column would make some terminals begin a new line.
                let width = ambient::terminal_columns().unwrap_or(80).saturating_sub(1);
                format!("{ERASE}{}", self.text(width))
            }
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// What is being done, and as much of the rest as fits.
    fn text(&self, width: usize) -> String {
        let records = count(self.done);
        let records = self
            .total
            .map_or_else(|| records.clone(), |total| format!("{records} of {}", count(total)));
        let doing = format!("{} {records}", self.doing);
        let rate = rate(self.done, self.begun.elapsed());
        let left = self.left();
        let with = |parts: &[&Option<String>]| {
            let parts = parts.iter().filter_map(|part| part.as_deref());
            std::iter::once(doing.as_str()).chain(parts).collect::<Vec<_>>().join(", ")
        };
        let texts = [with(&[&rate, &left]), with(&[&left]), doing.clone(), records];
        texts.into_iter().find(|text| text.len() <= width).unwrap_or_default()
    }

    /// How long the rest takes at this rate.
    fn left(&self) -> Option<String> {
        let rest = self.total?.saturating_sub(self.done);
        let elapsed = self.begun.elapsed();
        if elapsed < Duration::from_secs(1) || self.done == 0 || rest == 0 {
            return None;
        }
        let seconds = elapsed.as_secs_f64() * rest as f64 / self.done as f64;
        let (number, unit) = match seconds.ceil() as usize {
            seconds @ ..60 => (seconds, "second"),
            seconds @ ..3600 => (seconds.div_ceil(60), "minute"),
            seconds => (seconds.div_ceil(3600), "hour"),
        };
        Some(format!("{} left", number_of(number, unit)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let _ = io::stderr().write_all(make_room().as_bytes());
    }
}

/// How many records were done in a second, or in a minute or an hour if that is less than one.
fn rate(done: usize, elapsed: Duration) -> Option<String> {
    if elapsed < Duration::from_secs(1) || done == 0 {
        return None;
    }
    let per_second = done as f64 / elapsed.as_secs_f64();
    let per = |unit, seconds: f64| {
        let records = (per_second * seconds).round() as usize;
        (records > 0).then(|| format!("{} {unit}", number_of(records, "record")))
    };
    per("a second", 1.0).or_else(|| per("a minute", 60.0)).or_else(|| per("an hour", 3600.0))
}

fn number_of(number: usize, unit: &str) -> String {
    format!("{} {unit}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart.
fn count(number: usize) -> String {
    let digits = number.to_string();
    let places = digits.len();
    let apart = |(place, digit): (usize, char)| {
        let comma = (place > 0 && (places - place).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(apart).collect()
}

/// Why work on many records ended early.
pub(super) enum Interruption {
    Vault(Error),
    Report(Failure),
    /// A signal, after so many records.
    Signal {
        doing: &'static str,
        done: usize,
    },
}

impl Interruption {
    pub(super) fn explain(self, context: &Context) -> Failure {
        match self {
            Self::Vault(error) => context.explain(&error),
            Self::Report(failure) => failure,
            Self::Signal { doing, done } => {
                let records = number_of(done, "record");
                let message = format!("interrupted while {doing}, after {records}");
                Failure::interrupted(
                    message,
                    "run this again to go on; records that are done stay so",
                )
            }
        }
    }
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Vault(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_rates_are_in_whole_words() {
        let counts = [0, 12, 999, 1_000, 20_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "12", "999", "1,000", "20,000", "1,234,567"]);
        let rate = |done, seconds| rate(done, Duration::from_secs(seconds)).unwrap_or_default();
        assert_eq!(rate(5, 0), "");
        assert_eq!(rate(120, 3), "40 records a second");
        assert_eq!(rate(1, 1), "1 record a second");
        assert_eq!(rate(20, 60), "20 records a minute");
        assert_eq!(rate(1, 3600), "1 record an hour");
    }

    #[test]
    fn the_text_says_as_much_as_fits() {
        let begun = Instant::now() - Duration::from_secs(3);
        let look = Look::Redrawn;
        let doing = "rotating";
        let (total, _watch) = (Some(3_000), Watch::begin());
        let progress = Progress { look, doing, done: 120, total, begun, shown: None, _watch };
        for (width, text) in [
            (80, "rotating 120 of 3,000, 40 records a second, 2 minutes left"),
            (40, "rotating 120 of 3,000, 2 minutes left"),
            (25, "rotating 120 of 3,000"),
            (20, "120 of 3,000"),
            (5, ""),
        ] {
            assert_eq!(progress.text(width), text);
        }
    }
}
