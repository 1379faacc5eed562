//! The runner of the Rust library.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::{
    Changes, Credential, Directory, EarlierVersion, Envelope, Error, ErrorCode, Field, KeyInfo,
    KeyRing, KeySource, KeyWeakness, MasterKey, MigrateOptions, PutOptions, Rewritten, Summary,
    TokenEncoding, UserId, Vault,
};
use serde_json::{Value, json};

use support::write_private;

/// Goes through the cases of a file.
pub(crate) fn go_through(cases: &Path, root: &Path) -> Value {
    let text = fs::read_to_string(cases).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    cases["cases"].as_array().unwrap().iter().map(|case| go_through_one(case, root)).collect()
}

fn go_through_one(case: &Value, root: &Path) -> Value {
    let name = case["directory"].as_str().or(case["name"].as_str()).unwrap();
    let path = root.join(name);
    if !path.exists() {
        DirBuilder::new().mode(0o700).create(&path).unwrap();
    }
    for (name, contents) in case["files"].as_object().into_iter().flatten() {
        let contents = STANDARD.decode(contents.as_str().unwrap()).unwrap();
        write_private(&path.join(name), &contents);
    }
    let dir = Dir::open_ambient_dir(&path, ambient_authority()).unwrap();
    let directory = Directory::new(dir).unwrap();
    let keys = case["ring"].as_array().unwrap().iter().map(|key| {
        let master = MasterKey::new(key["key"].as_str().unwrap().as_bytes());
        key["id"].as_str().map_or(master.clone(), |id| master.with_id(id))
    });
    let vault = Vault::builder(directory, Ring(keys.collect())).build().unwrap();

    let mut revision = String::new();
    let steps = case["steps"].as_array().unwrap().iter();
    let answers: Vec<_> = steps
        .map(|step| {
            let mut step = step.clone();
            let asked =
                ["/expected_revision", "/options/expected_revision"].map(|at| step.pointer(at));
            if asked.contains(&Some(&"$revision".into())) {
                step = serde_json::from_str(&step.to_string().replace("$revision", &revision))
                    .unwrap();
            }
            let answer = answer(take(&vault, &step));
            if let Some(last) = last_revision(&answer) {
                revision = last.to_owned();
            }
            answer
        })
        .collect();
    let entries = fs::read_dir(&path).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter(|name| name.ends_with(".cred")).collect();
    files.sort();
    json!({ "name": case["name"], "answers": answers, "files": files })
}

/// The last revision in an answer.
fn last_revision(answer: &Value) -> Option<&str> {
    match answer {
        Value::Object(members) => members.iter().rev().find_map(|(name, part)| {
            if name == "revision" { part.as_str() } else { last_revision(part) }
        }),
        Value::Array(parts) => parts.iter().rev().find_map(last_revision),
        _ => None,
    }
}

/// A ring that may have no key at all.
struct Ring(Vec<MasterKey>);

impl KeySource for Ring {
    fn ring(&self) -> Result<KeyRing, Error> {
        let mut keys = self.0.iter().cloned();
        let missing = || Error::new(ErrorCode::MasterKeyMissing, "there is no key");
        let primary = KeyRing::new(keys.next().ok_or_else(missing)?);
        Ok(keys.fold(primary, KeyRing::with_other))
    }
}

/// Takes one step.
fn take(vault: &Vault, step: &Value) -> Result<Value, Error> {
    let text = |name: &str| step[name].as_str();
    let user = || UserId::parse(text("user_id").unwrap()).map_err(invalid);
    let number = step["number"].as_u64().map(|number| u32::try_from(number).unwrap());
    let options = &step["options"];
    let is_set = |name: &str| options[name] == true;
    let encoding = |of: &Value| match of["encoding"].as_str() {
        None => None,
        Some("app") => Some(TokenEncoding::App),
        Some(_) => Some(TokenEncoding::Documented),
    };
    Ok(match text("call").unwrap() {
        "put" => {
            let mut put = PutOptions::default();
            put.create_only = is_set("create_only");
            put.expected_revision = options["expected_revision"].as_str().map(str::to_owned);
            put.version = options["version"].as_str().map(str::to_owned);
            put.token_encoding = encoding(options);
            put.keep_fields = is_set("keep_fields");
            let stored = vault.put(&user()?, &credential(&step["credential"]), &put)?;
            json!({
                "summary": summary(&stored.summary),
                "replaced": stored.replaced,
                "dropped_fields": stored.dropped_fields,
            })
        }
        "reveal" | "reveal_version" => {
            let revealed = match number {
                Some(number) => vault.reveal_version(&user()?, number)?,
                None => vault.reveal(&user()?)?,
            };
            let (secret, open) = (revealed.credential(), revealed.summary());
            let fields: Vec<_> = secret
                .fields()
                .iter()
                .map(|field| json!({ "name": field.name(), "value": field.expose_value() }))
                .collect();
            json!({
                "credential": {
                    "username": secret.username(),
                    "password": secret.expose_password(),
                    "fields": fields,
                    "created_at": open.created_at,
                    "last_used": open.last_used,
                    "is_valid": open.is_valid,
                    "validation_attempts": open.validation_attempts,
                    "expires": secret.expires(),
                },
                "summary": summary(open),
            })
        }
        "change" => {
            let mut changes = Changes::default();
            let given = &step["changes"];
            if let Some(username) = given["username"].as_str() {
                changes = changes.username(username);
            }
            if let Some(password) = given["password"].as_str() {
                changes = changes.password(password);
            }
            for field in given["fields"].as_array().into_iter().flatten() {
                let [name, value] = ["name", "value"].map(|part| field[part].as_str().unwrap());
                changes = changes.field(Field::new(name, value));
            }
            for name in given["removed_fields"].as_array().into_iter().flatten() {
                changes = changes.without_field(name.as_str().unwrap());
            }
            if let Some(expires) = given["expires"].as_str() {
                changes = changes.expires(expires);
            }
            if given["forget_history"] == true {
                changes = changes.forget_history();
            }
            summary(&vault.change(&user()?, &changes, text("expected_revision"))?)
        }
        "copy" => {
            let source = UserId::parse(text("source").unwrap()).map_err(invalid)?;
            summary(&vault.copy(&user()?, &source)?)
        }
        "history" => {
            let history = vault.history(&user()?)?;
            let versions: Vec<_> = history.versions.iter().map(version).collect();
            json!({ "summary": summary(&history.summary), "versions": versions })
        }
        "restore" => {
            summary(&vault.restore(&user()?, number.unwrap(), text("expected_revision"))?)
        }
        "describe" => summary(&vault.describe(&user()?)?),
        "inspect" => envelope(&vault.inspect(&user()?)?),
        "mark_used" => summary(&vault.mark_used(&user()?)?),
        "mark_validated" => summary(&vault.mark_validated(&user()?, step["valid"] == true)?),
        "remove" => json!({ "existed": vault.remove(&user()?, text("expected_revision"))? }),
        "users" => {
            let users = vault.users().map(|user| user.map(|user| user.to_string()));
            json!({ "user_ids": users.collect::<Result<Vec<_>, _>>()? })
        }
        "verify" => each(step, |users| vault.verify(users), |found| summary(&found)),
        "migrate" => {
            let mut migrate = MigrateOptions::default();
            migrate.dry_run = is_set("dry_run");
            migrate.accept_default_key = is_set("accept_default_key");
            migrate.accept_plaintext = is_set("accept_plaintext");
            migrate.version = options["version"].as_str().map(str::to_owned);
            migrate.token_encoding = encoding(options);
            each(step, |users| vault.migrate(users, &migrate), |found| rewritten(&found))
        }
        "rewrap" => {
            let dry_run = step["dry_run"] == true;
            each(step, |users| vault.rewrap(users, dry_run), |found| rewritten(&found))
        }
        "configure" => {
            let changed = match step["history"].as_u64() {
                Some(number) => vault.keep_versions(number.try_into().unwrap())?,
                None => vault.configure(text("version"), encoding(step))?,
            };
            json!({ "changed": changed })
        }
        "leftovers" => {
            let leftovers = vault.leftovers().map(|leftover| {
                let leftover = leftover?;
                let backup_of = leftover.backup_of.map(|user| user.to_string());
                Ok(json!({ "name": leftover.name.to_str(), "backup_of": backup_of }))
            });
            json!({ "leftovers": leftovers.collect::<Result<Vec<_>, Error>>()? })
        }
        "remove_backup" => json!({ "existed": vault.remove_backup(text("name").unwrap())? }),
        other => panic!("{other}"),
    })
}

fn invalid(error: moat::UserIdError) -> Error {
    Error::caused(ErrorCode::InvalidUserId, error.to_string(), error)
}

fn answer(outcome: Result<Value, Error>) -> Value {
    match outcome {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.code().name() }),
    }
}

/// An answer for each user; the library's users are valid, so that the others are answered for here.
fn each<T>(
    step: &Value,
    ask: impl FnOnce(&[UserId]) -> Result<Vec<Result<T, Error>>, Error>,
    value: impl Fn(T) -> Value,
) -> Value {
    let user_ids = step["user_ids"].as_array().unwrap().iter().map(|user| user.as_str().unwrap());
    let users: Vec<_> = user_ids.map(|user| UserId::parse(user).map_err(invalid)).collect();
    let valid: Vec<_> = users.iter().flatten().cloned().collect();
    let mut answers = ask(&valid).unwrap().into_iter();
    users
        .into_iter()
        .map(|user| answer(user.and_then(|_| answers.next().unwrap()).map(&value)))
        .collect()
}

fn credential(value: &Value) -> Credential {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let credential = Credential::new(text(&value["username"]), text(&value["password"]));
    let fields = value["fields"].as_array().into_iter().flatten();
    let credential = fields.fold(credential, |credential, field| {
        credential.with_field(Field::new(text(&field["name"]), text(&field["value"])))
    });
    let credential = match value["expires"].as_str() {
        Some(expires) => credential.with_expires(expires),
        None => credential,
    };
    match value["created_at"].as_str() {
        Some(time) => credential.with_created_at(time),
        None => credential,
    }
}

fn version(version: &EarlierVersion) -> Value {
    json!({
        "number": version.number,
        "username": version.username,
        "field_names": version.field_names,
        "created_at": version.created_at,
        "replaced_at": version.replaced_at,
    })
}

fn key(key: &KeyInfo) -> Value {
    let weakness = key.weakness.map(|weakness| match weakness {
        KeyWeakness::TooShort => "too-short",
        KeyWeakness::PublishedDefault => "published-default",
        _ => panic!("{weakness:?}"),
    });
    json!({ "id": key.id, "primary": key.primary, "weakness": weakness })
}

fn envelope(envelope: &Envelope) -> Value {
    json!({
        "kind": envelope.kind.name(),
        "version": envelope.version,
        "encoding": envelope.encoding.map(TokenEncoding::name),
        "key_id": envelope.key_id,
        "created_at": envelope.created_at,
        "encrypted_at": envelope.encrypted_at,
        "write_counter": envelope.write_counter,
        "size": envelope.size,
        "revision": envelope.revision,
    })
}

fn summary(summary: &Summary) -> Value {
    json!({
        "user_id": summary.user_id,
        "username": summary.username,
        "field_names": summary.field_names,
        "created_at": summary.created_at,
        "last_used": summary.last_used,
        "is_valid": summary.is_valid,
        "validation_attempts": summary.validation_attempts,
        "expires": summary.expires,
        "expires_at": summary.expires_at,
        "earlier_versions": summary.earlier_versions,
        "key": key(&summary.key),
        "envelope": envelope(&summary.envelope),
    })
}

fn rewritten(rewritten: &Rewritten) -> Value {
    json!({
        "user_id": rewritten.user_id,
        "before": envelope(&rewritten.before),
        "key": rewritten.key.as_ref().map(key),
        "changed": rewritten.changed,
    })
}
