//! The 59 sample files of FossaWork directories, each with the outcome that it must have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moat_format::message::Message;
use moat_guest_records::contract::{Credential, Error, ErrorCode, MigrateOptions};
use moat_guest_records::{migration, vault};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Memory, credential, options, primary};

const SAMPLES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/fossawork-samples.json"
));

#[derive(Deserialize)]
struct Samples {
    cases: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    id: String,
    store: String,
    file: String,
    user_id: String,
    master_key: String,
    expect_get: String,
    expect_migrate: String,
    plaintext_json: Option<String>,
    content_b64: String,
}

impl Sample {
    fn all() -> Vec<Self> {
        let cases = serde_json::from_str::<Samples>(SAMPLES).unwrap().cases;
        assert_eq!(cases.len(), 59);
        cases
    }

    fn contents(&self) -> Vec<u8> {
        STANDARD.decode(&self.content_b64).unwrap()
    }

    /// A directory with this one file.
    fn memory(&self) -> Memory {
        let memory = Memory::new([primary(None, &self.master_key)]);
        memory.set_file(&self.file, self.contents());
        memory
    }

    fn plaintext(&self) -> Option<Value> {
        self.plaintext_json.as_deref().map(|text| serde_json::from_str(text).unwrap())
    }

    /// What `ok` means: exactly the plaintext, and the defaults of what it leaves out.
    fn expect_credential(&self, credential: &Credential) {
        let mut expected = self.plaintext().unwrap();
        for (name, default) in [
            ("last_used", Value::Null),
            ("is_valid", json!(false)),
            ("validation_attempts", json!(0)),
        ] {
            expected.as_object_mut().unwrap().entry(name).or_insert(default);
        }
        let found = json!({
            "username": credential.username,
            "password": credential.password,
            "created_at": credential.created_at,
            "last_used": credential.last_used,
            "is_valid": credential.is_valid,
            "validation_attempts": credential.validation_attempts,
        });
        assert_eq!(found, expected, "{}", self.id);
        assert!(credential.fields.is_empty(), "{}", self.id);
    }

    /// The token or what stands for it, found in the text, since not every sample is JSON.
    fn encrypted_data(&self) -> String {
        let text = String::from_utf8_lossy(&self.contents()).replace('\0', "");
        let (_, rest) = text.split_once(r#""encrypted_data": ""#).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    fn expect_silent(&self, error: &Error) {
        let plaintext = self.plaintext().unwrap_or_default();
        let secrets = [
            self.encrypted_data(),
            self.master_key.clone(),
            plaintext["username"].as_str().unwrap_or_default().to_owned(),
            plaintext["password"].as_str().unwrap_or_default().to_owned(),
        ];
        assert!(Message::is_known(&error.message), "{}: {}", self.id, error.message);
        for secret in secrets {
            let secret: Vec<char> = secret.chars().collect();
            for part in secret.windows(6) {
                let part: String = part.iter().collect();
                assert!(!error.message.contains(&part), "{}: {}", self.id, error.message);
            }
        }
    }

    /// Every way to open or replace the file is refused alike, discloses nothing and leaves the file alone.
    fn expect_refused(&self, memory: &Memory, error: &Error) {
        let user_id = self.user_id.as_str();
        let others = [
            vault::describe(memory, user_id),
            vault::verify(memory, &[user_id.to_owned()]).remove(0),
            vault::mark_used(memory, user_id),
            vault::mark_validated(memory, user_id, true),
        ];
        for other in others {
            assert_eq!(other.unwrap_err().message, error.message, "{}", self.id);
        }
        if !matches!(error.code, ErrorCode::NotFound | ErrorCode::NeedsMigration) {
            let stored = vault::put(memory, user_id, &credential(), &options());
            assert_eq!(stored.unwrap_err().message, error.message, "{}", self.id);
        }
        self.expect_silent(error);
        assert_eq!(memory.file(&self.file), Some(self.contents()), "{}", self.id);
        assert!(memory.take_log_of("write").is_empty(), "{}", self.id);
    }
}

#[test]
fn every_sample_comes_out_as_it_must() {
    for sample in Sample::all() {
        let memory = sample.memory();
        let outcome = vault::reveal(&memory, &sample.user_id);
        let code = outcome.as_ref().err().map(|error| error.code);
        let expected = match sample.expect_get.as_str() {
            "ok" => code.is_none(),
            "refuse" => !matches!(code, None | Some(ErrorCode::NotFound)),
            "needs_migration" => code == Some(ErrorCode::NeedsMigration),
            "not_found" => code == Some(ErrorCode::NotFound),
            "ok_or_refuse" => code != Some(ErrorCode::NotFound),
            "ok_or_needs_migration" => matches!(code, None | Some(ErrorCode::NeedsMigration)),
            other => panic!("{}: unknown outcome {other}", sample.id),
        };
        assert!(expected, "{}: {code:?} instead of {}", sample.id, sample.expect_get);
        match outcome {
            Ok(revealed) => sample.expect_credential(&revealed.credential),
            Err(error) => sample.expect_refused(&memory, &error),
        }
    }
}

#[test]
fn every_sample_migrates_as_it_must() {
    for sample in Sample::all() {
        let memory = sample.memory();
        // What is in the clear is converted with consent alone; without it `what_is_in_the_clear_needs_consent`.
        let migrate = |dry_run, accept_default_key| {
            let user_ids = [sample.user_id.clone()];
            let options = MigrateOptions {
                dry_run,
                accept_default_key,
                accept_plaintext: true,
                version: None,
                encoding: None,
            };
            migration::migrate(&memory, &user_ids, &options).remove(0)
        };
        let code = |accept| migrate(true, accept).err().map(|error| error.code);
        // Whether it is converted, and whether it is with the consent to take the published key for genuine.
        let expected = match sample.expect_migrate.as_str() {
            "convert" => [true, true],
            "convert_only_with_optin" => [false, true],
            "noop" | "refuse" | "ignore" => [false, false],
            "convert_or_refuse" => {
                assert!(matches!(code(true), None | Some(ErrorCode::Malformed)), "{}", sample.id);
                // They say 1.0: what opens is current already.
                [false, false]
            }
            other => panic!("{}: unknown outcome {other}", sample.id),
        };
        match (sample.expect_migrate.as_str(), code(false)) {
            ("convert_only_with_optin", code) => assert_eq!(code, Some(ErrorCode::NeedsMigration)),
            ("ignore", code) => assert_eq!(code, Some(ErrorCode::NotFound)),
            ("refuse", code) => assert!(code.is_some(), "{}", sample.id),
            _ => {}
        }
        for (accept, converted) in [false, true].into_iter().zip(expected) {
            for dry_run in [true, false] {
                memory.set_file(&sample.file, sample.contents());
                let outcome = migrate(dry_run, accept);
                assert_eq!(outcome.as_ref().is_ok_and(|o| o.changed), converted, "{}", sample.id);
                if let Err(error) = outcome {
                    sample.expect_silent(&error);
                }
                if dry_run || !converted {
                    assert_eq!(memory.file(&sample.file), Some(sample.contents()), "{}", sample.id);
                } else {
                    let revealed = vault::reveal(&memory, &sample.user_id).unwrap();
                    sample.expect_credential(&revealed.credential);
                }
            }
        }
    }
}

#[test]
fn the_code_of_a_refusal_tells_what_is_wrong() {
    let expected = [
        (
            ErrorCode::NotFound,
            "l0-bak.cred.backup_20250616_130236 l0-bak.cred.lock l0-bak.cred.tmp",
        ),
        (ErrorCode::NeedsMigration, "l0-3 l0-5 l0-7 l2-3 l2-4 l2b-2"),
        (ErrorCode::WrongKeyOrTampered, "flip-ct0-0 flip-iv-7 flip-mac0-0 p-ttl p-zero tokcut16"),
        (
            ErrorCode::Malformed,
            "att-i64 b64-junk cut-last cut60 enc-utf-32 p-l0-none s-ct15 s-noct swap-a top-string valid-str \
             ver-float",
        ),
    ];
    let refused: Vec<(ErrorCode, String)> = Sample::all()
        .into_iter()
        .filter_map(|sample| {
            let error = vault::describe(&sample.memory(), &sample.user_id).err()?;
            Some((error.code, sample.file.trim_end_matches(".cred").to_owned()))
        })
        .collect();
    assert_eq!(refused.len(), 27);
    for (code, files) in expected {
        let files: BTreeSet<&str> = files.split(' ').collect();
        let found = refused.iter().filter(|(found, _)| *found == code);
        assert_eq!(
            found.map(|(_, file)| file.as_str()).collect::<BTreeSet<_>>(),
            files,
            "{code:?}"
        );
    }
}

#[test]
fn the_users_of_a_store_are_those_with_a_record_there() {
    let mut stores: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in Sample::all() {
        stores.entry(sample.store.clone()).or_default().push(sample);
    }
    assert_eq!(stores.len(), 10);
    for (store, samples) in stores {
        let memory = Memory::new([]);
        let mut users = BTreeSet::new();
        for sample in samples {
            memory.set_file(&sample.file, sample.contents());
            users.extend(sample.file.strip_suffix(".cred").map(str::to_owned));
        }
        let page = vault::users(&memory, None, vault::MAX_PAGE).unwrap();
        assert_eq!(page.user_ids, users.into_iter().collect::<Vec<_>>(), "{store}");
        assert_eq!(page.next, None, "{store}");
    }
}

#[test]
fn inspecting_reads_one_file_and_asks_for_no_key() {
    for sample in Sample::all() {
        let memory = sample.memory();
        let inspected = vault::inspect(&memory, &sample.user_id);
        assert_eq!(memory.take_log(), [format!("read {}.cred", sample.user_id)], "{}", sample.id);
        match inspected {
            Ok(envelope) => assert_eq!(envelope.size as usize, sample.contents().len()),
            Err(error) => sample.expect_silent(&error),
        }
    }
}
