//! What the benchmarks measured: kept as a file, and shown in a manual as tables and plots.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::callers::below_host;

mod plot;
mod table;

/// What was measured in one run.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// The machine, and the versions of what was compared.
    pub machine: Vec<(String, String)>,
    pub groups: Vec<Group>,
}

/// What was measured of the same work, done in different ways.
#[derive(Serialize, Deserialize)]
pub struct Group {
    /// Its place in the manual.
    pub name: String,
    pub title: String,
    pub unit: String,
    /// What was measured of each; numbers of records, where one thing was measured of several of them.
    pub columns: Vec<String>,
    /// The first is what the others are compared with.
    pub rows: Vec<Row>,
}

/// One way to do the work.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// One for each column, unless it was not measured.
    pub values: Vec<Option<f64>>,
}

impl Row {
    pub fn new(name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self { name: name.to_owned(), values: values.into_iter().collect() }
    }

    /// Keeps what was measured in the last column, if it is less than before.
    pub fn keep_fastest(&mut self, taken: Option<f64>) {
        let last = self.values.last_mut().unwrap();
        *last = (*last).into_iter().chain(taken).reduce(f64::min);
    }
}

/// The value in the middle; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Group {
    /// How many times what the first row takes this one takes, by the last column that both have.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let first = self.rows.first()?;
        let both = first.values.iter().zip(&row.values).rev();
        both.filter_map(|(first, value)| Some((*value)? / (*first)?)).next()
    }

    /// The columns as numbers of records.
    fn numbers(&self) -> Option<Vec<f64>> {
        self.columns.iter().map(|column| column.replace(',', "").parse().ok()).collect()
    }
}

impl Results {
    /// What was kept of an earlier run.
    pub fn kept() -> Self {
        serde_json::from_slice(&fs::read(manuals().join(KEPT)).unwrap()).unwrap()
    }

    /// Keeps these results, and shows them in the manual.
    pub fn keep(&self) {
        fs::create_dir_all(manuals().join("benchmarks")).unwrap();
        fs::write(manuals().join(KEPT), serde_json::to_string_pretty(self).unwrap() + "\n")
            .unwrap();
        for (file, contents) in Self::kept().shown() {
            fs::write(file, contents).unwrap();
        }
    }

    /// The manual and its plots, as they show these results.
    pub fn shown(&self) -> Vec<(PathBuf, String)> {
        let manual = manuals().join("benchmarks.md");
        let text = table::filled(&fs::read_to_string(&manual).unwrap(), self);
        let plots = self.groups.iter().map(|group| {
            let file = format!("benchmarks/{}.svg", group.name);
            (manuals().join(file), plot::plot(group))
        });
        plots.chain([(manual, text)]).collect()
    }

    /// As tables on a terminal.
    pub fn print(&self) -> String {
        let groups = self
            .groups
            .iter()
            .map(|group| format!("{} ({})\n\n{}\n", group.title, group.unit, table::table(group)));
        groups.collect::<String>() + &table::machine(self)
    }
}

const KEPT: &str = "benchmarks/results.json";

fn manuals() -> PathBuf {
    below_host("docs")
}

/// With three significant digits, as far as they are of interest.
fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
