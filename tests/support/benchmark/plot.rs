//! Results as plots in SVG: lines over the number of records, bars for anything else. The scales are logarithmic.

use std::fmt::Write;

use super::{Group, Row, figure};

const WIDTH: f64 = 760.0;
/// Of what is written beside the plot.
const MARGIN: f64 = 300.0;
const LINE: f64 = 24.0;
const COLOURS: [&str; 8] =
    ["#0b5394", "#3d85c6", "#b45f06", "#e69138", "#38761d", "#6aa84f", "#741b47", "#666666"];

/// A plot of all rows.
pub(super) fn plot(group: &Group) -> String {
    match group.numbers() {
        Some(numbers) => lines(group, &numbers),
        None => bars(group),
    }
}

/// A logarithmic scale over these values, from one power of ten to another.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Self { low, high, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        #[allow(clippy::cast_possible_truncation, reason = "whole and small")]
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power))
    }
}

fn values(group: &Group) -> impl Iterator<Item = f64> + Clone {
    group.rows.iter().flat_map(|row| row.values.iter().copied().flatten())
}

fn bars(group: &Group) -> String {
    let bottom = (group.rows.len() as f64).mul_add(LINE, 40.0);
    let last = |row: &Row| row.values.iter().copied().flatten().last();
    let scale = Scale::over(group.rows.iter().filter_map(last), MARGIN, WIDTH - 60.0);
    let shown = group.columns.last().map(String::as_str).unwrap_or_default();
    let mut svg = begin(&format!("{} ({shown}), in {}", group.title, group.unit), bottom + 30.0);
    for power in scale.powers() {
        let x = scale.at(power);
        rule(&mut svg, (x, 36.0), (x, bottom));
        text(&mut svg, (x, bottom + 16.0), "middle", &power.to_string());
    }
    let mut y = 40.0;
    for (row, colour) in group.rows.iter().zip(colours()) {
        let Some(value) = last(row) else { continue };
        let (x, width) = (MARGIN, scale.at(value) - MARGIN);
        let _ = writeln!(
            svg,
            r#"<rect x="{x}" y="{y}" width="{width:.1}" height="16" fill="{colour}"/>"#
        );
        text(&mut svg, (MARGIN - 8.0, y + 13.0), "end", &row.name);
        text(&mut svg, (x + width + 6.0, y + 13.0), "start", &figure(value));
        y += LINE;
    }
    svg + "</svg>\n"
}

fn lines(group: &Group, numbers: &[f64]) -> String {
    let bottom = 300.0;
    let across = Scale::over(numbers.iter().copied(), 60.0, WIDTH - MARGIN);
    let up = Scale::over(values(group), bottom, 40.0);
    let mut svg = begin(&format!("{}, in {}", group.title, group.unit), bottom + 40.0);
    for power in up.powers() {
        let y = up.at(power);
        rule(&mut svg, (60.0, y), (WIDTH - MARGIN, y));
        text(&mut svg, (54.0, y + 4.0), "end", &power.to_string());
    }
    for (number, column) in numbers.iter().zip(&group.columns) {
        text(&mut svg, (across.at(*number), bottom + 18.0), "middle", column);
    }
    let middle = f64::midpoint(60.0, WIDTH - MARGIN);
    text(&mut svg, (middle, bottom + 34.0), "middle", "records");
    let mut y = 50.0;
    for (row, colour) in group.rows.iter().zip(colours()) {
        let measured =
            numbers.iter().zip(&row.values).filter_map(|(n, value)| Some((n, (*value)?)));
        let points: Vec<_> = measured
            .map(|(n, value)| format!("{:.1},{:.1}", across.at(*n), up.at(value)))
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            points.join(" ")
        );
        let _ = writeln!(
            svg,
            r#"<rect x="{:.1}" y="{:.1}" width="12" height="12" fill="{colour}"/>"#,
            WIDTH - MARGIN + 24.0,
            y - 10.0
        );
        text(&mut svg, (WIDTH - MARGIN + 42.0, y), "start", &row.name);
        y += LINE;
    }
    svg + "</svg>\n"
}

fn colours() -> impl Iterator<Item = &'static str> {
    COLOURS.into_iter().cycle()
}

fn begin(title: &str, height: f64) -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{height}" fill="white"/>
"#
    );
    text(&mut svg, (12.0, 22.0), "start", title);
    svg
}

fn rule(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        r##"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="#dddddd"/>"##
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
}
