//! Results as tables of Markdown.

use std::fmt::Write;

use super::{Group, Results, figure};

/// The manual with the results in their places, each between a comment that names it and one that ends it.
pub(super) fn filled(manual: &str, results: &Results) -> String {
    let groups = results.groups.iter().map(|group| {
        let Group { name, title, unit, .. } = group;
        let plot = format!("![{title}, in {unit}](benchmarks/{name}.svg)");
        (name.as_str(), format!("{title}, in {unit}:\n\n{}\n{plot}\n", table(group)))
    });
    let places = groups.chain([("machine", machine(results))]);
    places.fold(manual.to_owned(), |text, (name, shown)| {
        let begin = format!("<!-- results: {name} -->\n");
        let end = "<!-- end -->";
        let (before, rest) = text.split_once(&begin).expect(name);
        let (_, after) = rest.split_once(end).expect(name);
        format!("{before}{begin}\n{shown}\n{end}{after}")
    })
}

/// A row each, with the ratio to the first.
pub(super) fn table(group: &Group) -> String {
    let cells = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let width = group.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let line =
        |name: &str, rest: Vec<String>| cells([vec![format!("{name:width$}")], rest].concat());

    let mut table = line("", [group.columns.clone(), vec!["ratio".to_owned()]].concat());
    let rules = group.columns.iter().map(|_| "---:".to_owned()).chain(["---:".to_owned()]);
    table += &line("---", rules.collect());
    for row in &group.rows {
        let values = row.values.iter().map(|value| value.map(figure).unwrap_or_default());
        let ratio = group.ratio(row).map(figure).unwrap_or_default();
        table += &line(&row.name, values.chain([ratio]).collect());
    }
    table
}

/// Where it was measured, and what.
pub(super) fn machine(results: &Results) -> String {
    let mut text = String::new();
    for (what, is) in &results.machine {
        let _ = writeln!(text, "- {what}: {is}");
    }
    text
}
