//! A list that is printed incrementally: as lines of text, or as one JSON object with an array and a summary. It
//! contains no secrets, so it is buffered, except at a terminal.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anstyle::Style;
use serde_json::Value;

use super::failure::{self, Failure};
use super::output::Output;
use super::style;
use crate::{ambient, progress};

/// A list that is being printed.
pub(super) struct Report<'o> {
    output: &'o Output,
    /// The JSON name of the array.
    name: &'static str,
    stdout: BufWriter<File>,
    watched: bool,
    begun: bool,
}

impl<'o> Report<'o> {
    pub(super) fn new(output: &'o Output, name: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            output,
            name,
            stdout: BufWriter::new(ambient::standard_output().map_err(failure::unprintable)?),
            watched: ambient::standard_output_is_terminal(),
            begun: false,
        })
    }

    /// Prints an entry, as text or JSON.
    pub(super) fn add(&mut self, text: &str, value: &Value) -> Result<(), Failure> {
        self.line(text)?;
        self.entry(value)
    }

    /// Prints a line of text, unless the output is JSON.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.output.json {
            return Ok(());
        }
        self.print(&format!("{}\n", style::one_line(text)))
    }

    /// As [`Self::line`], after a label in this style.
    pub(super) fn labeled(&mut self, style: Style, label: &str, text: &str) -> Result<(), Failure> {
        if self.output.json {
            return Ok(());
        }
        let style = style::on(&io::stdout(), style);
        self.print(&format!("{style}{label}{style:#}{}\n", style::one_line(text)))
    }

    /// Prints an element of the array, if the output is JSON.
    pub(super) fn entry(&mut self, value: &Value) -> Result<(), Failure> {
        if !self.output.json {
            return Ok(());
        }
        let before = self.before_entry();
        self.print(&format!("{before}{}", style::json_text(value, self.watched)))
    }

    /// Prints the summary, even if the list was interrupted.
    pub(super) fn finish(mut self, text: &str, summary: &Value) -> Result<(), Failure> {
        if self.output.json {
            let before = if self.begun { String::new() } else { self.before_entry() };
            let summary = style::json_text(summary, self.watched);
            self.print(&format!("{before}],\"summary\":{summary}}}\n"))?;
        }
        failure::printed(self.stdout.flush())?;
        if self.output.json || text.is_empty() { Ok(()) } else { self.output.done(text, summary) }
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        if self.watched {
            let _ = io::stderr().write_all(progress::make_room().as_bytes());
        }
        let written = self.stdout.write_all(text.as_bytes());
        let flushed = |()| if self.watched { self.stdout.flush() } else { Ok::<_, io::Error>(()) };
        failure::printed(written.and_then(flushed))
    }

    fn before_entry(&mut self) -> String {
        if std::mem::replace(&mut self.begun, true) {
            ",".to_owned()
        } else {
            format!("{{\"{}\":[", self.name)
        }
    }
}
