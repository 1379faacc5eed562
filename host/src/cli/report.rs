//! A list that is printed while it comes about: lines for people, or one JSON object with an array and a summary.

use serde_json::Value;

use super::failure::Failure;
use super::output::{self, Output};

/// A list under way.
pub(super) struct Report<'o> {
    output: &'o Output,
    /// What the array is called.
    name: &'static str,
    begun: bool,
}

impl<'o> Report<'o> {
    pub(super) fn new(output: &'o Output, name: &'static str) -> Self {
        Self { output, name, begun: false }
    }

    /// Prints an entry.
    pub(super) fn add(&mut self, text: &str, value: &Value) -> Result<(), Failure> {
        if !self.output.json {
            return self.output.line(&output::printable(text));
        }
        let before = self.before_entry();
        self.output.raw(format!("{before}{value}").as_bytes())
    }

    /// Prints the summary, also of a list that was broken off.
    pub(super) fn finish(mut self, text: &str, summary: &Value) -> Result<(), Failure> {
        if !self.output.json {
            return self.output.done(text, summary);
        }
        let before = if self.begun { String::new() } else { self.before_entry() };
        self.output.raw(format!("{before}],\"summary\":{summary}}}\n").as_bytes())
    }

    fn before_entry(&mut self) -> String {
        if std::mem::replace(&mut self.begun, true) {
            ",".to_owned()
        } else {
            format!("{{\"{}\":[", self.name)
        }
    }
}
