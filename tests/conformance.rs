//! Every caller of the component answers the same: `conformance/cases.json` and all samples of the format, through the
//! Rust library and every other caller that there is. `conformance/README.md` says what a caller's runner does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::callers;
use support::{expect, fixture, run, skipped, tests};

mod rust_caller;

/// The times of a run are later than this, and all times that the cases name are earlier.
const EARLIEST: &str = "2026-11";

/// All cases, with their files in base64, as the runners take them.
fn cases() -> Vec<Value> {
    let text = fs::read_to_string(tests().join("conformance/cases.json")).unwrap();
    let mut cases = serde_json::from_str::<Value>(&text).unwrap()["cases"].take();
    for case in cases.as_array_mut().unwrap() {
        for (_, contents) in
            case.get_mut("files").and_then(Value::as_object_mut).into_iter().flatten()
        {
            *contents = STANDARD.encode(contents.as_str().unwrap()).into();
        }
    }
    let Value::Array(mut cases) = cases else { panic!("the cases are no array") };
    cases.extend(samples());
    cases
}

/// The samples of the FossaWork format, a case each; what must come out of them is in `samples.rs`.
fn samples() -> impl Iterator<Item = Value> {
    let Value::Array(samples) = fixture("fossawork-samples.json")["cases"].take() else {
        panic!("the samples are no array")
    };
    samples.into_iter().map(|sample| {
        let user = &sample["user_id"];
        json!({
            "name": format!("sample {}", sample["id"].as_str().unwrap().replace('/', " ")),
            "ring": [{ "id": null, "key": sample["master_key"] }],
            "files": { sample["file"].as_str().unwrap(): sample["content_b64"] },
            "steps": [
                { "call": "inspect", "user_id": user },
                { "call": "reveal", "user_id": user },
                { "call": "migrate", "user_ids": [user], "options": { "dry_run": true } },
                {
                    "call": "migrate",
                    "user_ids": [user],
                    "options": { "accept_default_key": true, "accept_plaintext": true },
                },
                { "call": "reveal", "user_id": user },
                { "call": "mark_validated", "user_id": user, "valid": true },
                { "call": "users" },
                { "call": "leftovers" },
            ],
        })
    })
}

/// Whether this is a time as records have it: UTC without a zone, to the second.
fn is_time(text: &str) -> bool {
    let pattern = "0000-00-00T00:00:00";
    let fits = |(c, p): (char, char)| if p == '0' { c.is_ascii_digit() } else { c == p };
    text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(fits)
}

/// Whether an answer has all that is expected of it.
fn contains(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| answer.get(name).is_some_and(|part| contains(part, expected))),
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len()
                && answer.iter().zip(expected).all(|(part, expected)| contains(part, expected))
        }
        (Value::String(answer), Value::String(expected)) if expected == "<time>" => is_time(answer),
        _ => answer == expected,
    }
}

/// An answer without what may differ between callers: revisions, and the times of this run.
fn comparable(answer: &Value) -> Value {
    match answer {
        Value::Object(members) => members
            .iter()
            .map(|(name, part)| {
                let part = if name == "revision" { "<revision>".into() } else { comparable(part) };
                (name.clone(), part)
            })
            .collect(),
        Value::Array(parts) => parts.iter().map(comparable).collect(),
        Value::String(text) if is_time(text) && text.as_str() >= EARLIEST => "<time>".into(),
        other => other.clone(),
    }
}

/// A caller, and what starts its runner; the Rust library's is here.
struct Caller {
    name: &'static str,
    runner: Option<fn() -> Option<Command>>,
}

impl Caller {
    /// Goes through the cases of a file, in a directory of its own.
    fn go_through(&self, cases: &Path, root: &Path) -> Value {
        let Some(runner) = self.runner else { return rust_caller::go_through(cases, root) };
        let output = run(runner().unwrap().arg(cases).arg(callers::component()).arg(root));
        let (stdout, _) = expect(0, &output);
        serde_json::from_str::<Value>(&stdout).unwrap()["cases"].take()
    }
}

/// All that there are on this machine.
fn all_callers() -> Vec<Caller> {
    let mut all = vec![Caller { name: "rust", runner: None }];
    for (name, runner) in callers::ALL {
        if runner().is_some() {
            all.push(Caller { name, runner: Some(runner) });
        } else {
            skipped(&format!("so the caller {name} is left out"));
        }
    }
    all
}

#[test]
fn every_caller_answers_the_same() {
    let temporary = tempfile::tempdir().unwrap();
    let cases = cases();
    let file = temporary.path().join("cases.json");
    fs::write(&file, json!({ "cases": cases }).to_string()).unwrap();
    let mut wrong = Vec::new();
    let mut answers: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let callers = all_callers();
    for caller in &callers {
        let name = caller.name;
        let root = temporary.path().join(name);
        fs::create_dir(&root).unwrap();
        let results = caller.go_through(&file, &root);
        let results = results.as_array().unwrap();
        assert_eq!(results.len(), cases.len(), "{name}");
        for (case, result) in cases.iter().zip(results) {
            assert_eq!(result["name"], case["name"], "{name}");
            let steps = case["steps"].as_array().unwrap();
            let found = result["answers"].as_array().unwrap();
            assert_eq!(found.len(), steps.len(), "{name}: {}", case["name"]);
            for (step, answer) in steps.iter().zip(found) {
                let expected = step.get("expect").unwrap_or(answer);
                if !contains(answer, expected) {
                    wrong.push(format!("{name}: {}: {step} answered {answer}", case["name"]));
                }
            }
        }
        answers.insert(name, results.iter().map(comparable).collect());
    }
    let reference = &answers[callers[0].name];
    let mut table = format!("{:60}", "case");
    callers.iter().for_each(|caller| table += &format!(" {:8}", caller.name));
    for (number, case) in cases.iter().enumerate() {
        let name = case["name"].as_str().unwrap();
        table += &format!("\n{name:60}");
        for caller in &callers {
            let same = answers[caller.name][number] == reference[number];
            table += &format!(" {:8}", if same { "same" } else { "DIFFERS" });
            if !same {
                let (found, expected) = (&answers[caller.name][number], &reference[number]);
                wrong.push(format!("{}: {name}\n{found}\nrust:\n{expected}", caller.name));
            }
        }
    }
    println!("{table}");
    println!("{} cases, {} callers", cases.len(), callers.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_written_by_each_is_read_by_each_other() {
    let temporary = tempfile::tempdir().unwrap();
    let callers = all_callers();
    let ring = json!([{ "id": "ring", "key": support::KEY }]);
    let go = |caller: &Caller, steps: Vec<Value>| {
        let case = json!({ "name": "exchange", "ring": ring, "steps": steps });
        let file: PathBuf = temporary.path().join("cases.json");
        fs::write(&file, json!({ "cases": [case] }).to_string()).unwrap();
        caller.go_through(&file, temporary.path())[0]["answers"].take()
    };
    let password = |name: &str, version: &str| format!("pässwörd of {name} {version} \u{1f511}");
    for caller in &callers {
        let put = |version: &str| {
            json!({
                "call": "put",
                "user_id": format!("{} {version}", caller.name),
                "credential": { "username": caller.name, "password": password(caller.name, version) },
                "options": { "version": version },
            })
        };
        let answers = go(caller, vec![put("1.0"), put("2.0")]);
        assert!(answers.as_array().unwrap().iter().all(|a| a["ok"].is_object()), "{answers}");
    }
    let written: Vec<_> = callers
        .iter()
        .flat_map(|writer| ["1.0", "2.0"].map(|version| (writer.name, version)))
        .collect();
    for reader in &callers {
        let reveal = |(name, version): &(&str, &str)| json!({ "call": "reveal", "user_id": format!("{name} {version}") });
        let answers = go(reader, written.iter().map(reveal).collect());
        for ((name, version), answer) in written.iter().zip(answers.as_array().unwrap()) {
            let read = &answer["ok"]["credential"]["password"];
            let expected = password(name, version);
            assert_eq!(read, expected.as_str(), "{} of {name} {version}: {answer}", reader.name);
        }
    }
    println!("{0} callers read the files of {0}, in both versions", callers.len());
}
