//! `moat audit report`: finds suspicious activity in the audit log. The findings are hints, not proof, and each says
//! what was counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::ExitCode;

use moat::Operation;
use moat::audit::{AuditedOperation, Entry};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::audit_integrity::Integrity;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;

/// The operations on a user's record that must have failed for a finding; also at least a fifth of them.
const MANY_FAILURES: u64 = 5;
/// A credential that was not used for this many days is dormant.
const DORMANT_DAYS: i64 = 60;
/// The operations that return the secrets of a credential, or use them.
const USES: [Operation; 2] = [Operation::Reveal, Operation::Apply];
/// The uses in one hour that count as a peak outside working hours; also at least three times the hourly average.
const PEAK: u64 = 10;

/// Prints the findings since a time, compared with the log's earlier entries.
pub(super) fn run(
    context: &Context,
    operations: impl Iterator<Item = Result<AuditedOperation, Failure>>,
    integrity: Integrity,
    since: &str,
    working_hours: (u8, u8),
) -> Result<ExitCode, Failure> {
    let mut report = Report::new(&context.output, "findings")?;
    let mut pattern = Pattern::new(since);
    for operation in operations {
        if let Some(entry) = operation?.entry() {
            pattern.add(entry);
        }
    }
    let findings = pattern.findings(working_hours);
    for finding in &findings {
        let value =
            json!({ "kind": finding.kind, "user": finding.user, "message": finding.message });
        report.add(&format!("{:14}  {}", finding.kind, finding.message), &value)?;
    }
    for line in pattern.chart() {
        report.line(&line)?;
    }
    let Pattern { operations, failed, by_hour, .. } = &pattern;
    let noun = if findings.len() == 1 { "finding" } else { "findings" };
    let text = format!("{} {noun} in {operations} operations since {since}", findings.len());
    let mut summary = json!({
        "since": since, "findings": findings.len(), "operations": operations, "failed": failed,
        "uses_by_hour": by_hour,
    });
    integrity.add_to(&mut summary);
    report.finish(&text, &summary)?;
    integrity.into_exit_code(context)
}

struct Finding {
    kind: &'static str,
    user: Option<String>,
    message: String,
}

/// What is counted.
struct Pattern<'s> {
    since: &'s str,
    /// Operations since then.
    operations: u64,
    failed: u64,
    /// Operations since then that have no outcome, by their names.
    unfinished: BTreeMap<String, u64>,
    /// For each user: the number of operations since then, and of failures by their codes.
    by_user: BTreeMap<String, (u64, BTreeMap<String, u64>)>,
    /// Uses since then, by hour of the day.
    by_hour: [u64; 24],
    /// Uses since then in each individual hour, by the first 13 characters of the time.
    hours: BTreeMap<String, u64>,
    /// Whether the log contains any earlier use.
    has_history: bool,
    /// Who has used whose credential so far.
    actors: HashSet<(String, String)>,
    last_use: HashMap<String, OffsetDateTime>,
    findings: Vec<Finding>,
}

impl<'s> Pattern<'s> {
    fn new(since: &'s str) -> Self {
        Self {
            since,
            operations: 0,
            failed: 0,
            unfinished: BTreeMap::new(),
            by_user: BTreeMap::new(),
            by_hour: [0; 24],
            hours: BTreeMap::new(),
            has_history: false,
            actors: HashSet::new(),
            last_use: HashMap::new(),
            findings: Vec::new(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let is_new = entry.time.as_str() >= self.since;
        let user = entry.user_or_hash();
        if is_new {
            self.operations += 1;
            if entry.outcome.is_none() {
                *self.unfinished.entry(entry.operation.clone()).or_default() += 1;
            }
            let failure = entry.outcome.as_ref().filter(|_| !entry.is_done());
            self.failed += u64::from(failure.is_some());
            if let Some(user) = user {
                let (all, failures) = self.by_user.entry(user.to_owned()).or_default();
                *all += 1;
                if let Some(code) = failure {
                    *failures.entry(code.clone()).or_default() += 1;
                }
            }
        }
        let is_use = USES.iter().any(|operation| operation.name() == entry.operation);
        if let Some(user) = user.filter(|_| is_use && entry.is_done()) {
            self.add_use(entry, user, is_new);
        }
    }

    fn add_use(&mut self, entry: &Entry, user: &str, is_new: bool) {
        let Ok(time) = OffsetDateTime::parse(&entry.time, &Rfc3339) else { return };
        let is_new_actor = self.actors.insert((entry.actor.clone(), user.to_owned()));
        let last = self.last_use.insert(user.to_owned(), time);
        if !is_new {
            self.has_history = true;
            return;
        }
        if let Some(count) = self.by_hour.get_mut(usize::from(time.hour())) {
            *count += 1;
        }
        let hour = entry.time.get(..13).unwrap_or_default();
        *self.hours.entry(hour.to_owned()).or_default() += 1;
        let day = entry.time.get(..10).unwrap_or_default();
        if is_new_actor && self.has_history {
            let message = format!("{} used {user} for the first time, on {day}", entry.actor);
            self.add_finding("new actor", Some(user), message);
        }
        let days = last.map_or(0, |last| (time - last).whole_days());
        if days >= DORMANT_DAYS {
            let message =
                format!("{} used {user} on {day}, after {days} days without any use", entry.actor);
            self.add_finding("dormant", Some(user), message);
        }
    }

    fn add_finding(&mut self, kind: &'static str, user: Option<&str>, message: String) {
        self.findings.push(Finding { kind, user: user.map(str::to_owned), message });
    }

    fn findings(&mut self, (from, to): (u8, u8)) -> Vec<Finding> {
        let mut found = std::mem::take(&mut self.findings);
        for (user, (all, failures)) in &self.by_user {
            let failed: u64 = failures.values().sum();
            if failed >= MANY_FAILURES && failed * 5 >= *all {
                let codes: Vec<_> =
                    failures.iter().map(|(code, count)| format!("{count} {code}")).collect();
                let message =
                    format!("{failed} of {all} operations on {user} failed: {}", codes.join(", "));
                found.push(Finding { kind: "failures", user: Some(user.clone()), message });
            }
        }
        if !self.unfinished.is_empty() {
            let counts: Vec<_> =
                self.unfinished.iter().map(|(name, count)| format!("{count} {name}")).collect();
            let message = format!(
                "operations without an outcome, interrupted or still in progress: {}",
                counts.join(", ")
            );
            found.push(Finding { kind: "unfinished", user: None, message });
        }
        let uses: u64 = self.hours.values().sum();
        for (hour, count) in &self.hours {
            let of_day: u8 = hour.get(11..).and_then(|hour| hour.parse().ok()).unwrap_or_default();
            let is_peak = *count >= PEAK && *count * self.hours_since() >= 3 * uses;
            if is_peak && !(from..to).contains(&of_day) {
                let message =
                    format!("credentials were used {count} times in the hour from {hour}:00 UTC");
                found.push(Finding { kind: "out of hours", user: None, message });
            }
        }
        found
    }

    /// The number of hours since then.
    fn hours_since(&self) -> u64 {
        let begin = OffsetDateTime::parse(&format!("{}Z", self.since), &Rfc3339);
        let hours = begin.map_or(1, |begin| (OffsetDateTime::now_utc() - begin).whole_hours());
        u64::try_from(hours).unwrap_or(0).max(1)
    }

    /// The uses by hour of the day, as a bar chart.
    fn chart(&self) -> Vec<String> {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.by_hour.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return Vec::new();
        }
        let bar = |count: &u64| match usize::try_from((count * 7).div_ceil(most)) {
            Ok(height) => BARS.get(height).copied().unwrap_or('█'),
            Err(_) => '█',
        };
        vec![
            format!("uses by hour of the day (UTC), at most {most} per hour:"),
            self.by_hour.iter().map(bar).collect(),
            "0     6     12    18    ".trim_end().to_owned(),
        ]
    }
}
