//! A scope: what is in it, that it only becomes narrower, and what the audit log says of it.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use hmac::{Hmac, Mac};
use moat::audit::{self, AuditKey, AuditLog, Phase, Rotation};
use moat::{
    Changes, Credential, Error, ErrorCode, Field, KeyRing, MasterKey, MigrateOptions, Operation,
    PutOptions, Scope, UserId, Vault,
};
use proptest::prelude::*;
use sha2::Sha256;
use support::{KEY, Store};

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A vault with the credentials of anna and bob.
fn filled(store: &Store) -> Vault {
    let vault = store.vault(KEY);
    vault.keep_versions(1).unwrap();
    for name in ["anna", "bob"] {
        let earlier = Credential::new(name, format!("{name}'s earlier password"));
        vault.put(&user(name), &earlier, &PutOptions::default()).unwrap();
        let credential = Credential::new(name, format!("{name}'s password"))
            .with_field(Field::new("pin", "1234"))
            .with_field(Field::new("token", "abc"));
        vault.put(&user(name), &credential, &PutOptions::default()).unwrap();
    }
    vault
}

/// Every operation that a scope has, tried for a user.
type Attempt = (Operation, fn(&Scope, &UserId) -> Result<(), Error>);

const ATTEMPTS: [Attempt; 18] = [
    (Operation::Inspect, |scope, user| scope.inspect(user).map(drop)),
    (Operation::Describe, |scope, user| scope.describe(user).map(drop)),
    (Operation::Reveal, |scope, user| scope.reveal(user).map(drop)),
    (Operation::Apply, |scope, user| scope.hmac_sha256(user, "pin", b"").map(drop)),
    (Operation::MarkUsed, |scope, user| scope.mark_used(user).map(drop)),
    (Operation::MarkValidated, |scope, user| scope.mark_validated(user, true).map(drop)),
    (Operation::Users, |scope, _| scope.users().collect::<Result<Vec<_>, _>>().map(drop)),
    (Operation::Verify, |scope, user| scope.verify(std::slice::from_ref(user)).map(drop)),
    (Operation::Migrate, |scope, user| {
        scope.migrate(std::slice::from_ref(user), &MigrateOptions::default()).map(drop)
    }),
    (Operation::Rewrap, |scope, user| scope.rewrap(std::slice::from_ref(user), false).map(drop)),
    (Operation::RemoveBackup, |scope, user| {
        scope.remove_backup(&format!("{user}.cred.backup_20250616_130236")).map(drop)
    }),
    (Operation::Put, |scope, user| {
        scope.put(user, &Credential::new("x", "y"), &PutOptions::default()).map(drop)
    }),
    (Operation::Change, |scope, user| {
        scope.change(user, &Changes::default().username("x"), None).map(drop)
    }),
    (Operation::Copy, |scope, source| scope.copy(&user("copy"), source).map(drop)),
    (Operation::History, |scope, user| scope.history(user).map(drop)),
    (Operation::Restore, |scope, user| scope.restore(user, 1, None).map(drop)),
    (Operation::RevealVersion, |scope, user| scope.reveal_version(user, 1).map(drop)),
    (Operation::Remove, |scope, user| scope.remove(user, None).map(drop)),
];

fn is_denied(outcome: &Result<(), Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::Denied)
}

#[test]
fn each_operation_is_for_the_scopes_users_and_in_no_other_scope() {
    for (operation, attempt) in ATTEMPTS {
        let store = Store::new();
        let vault = filled(&store);
        let before = std::fs::read(store.file("bob")).unwrap();
        let others = Operation::ALL.into_iter().filter(|other| *other != operation);
        let users = [user("anna"), user("copy")];
        let denied = attempt(&vault.scope("x", users.clone(), others), &user("anna"));
        assert!(is_denied(&denied), "{operation}: {denied:?}");
        let scope = vault.scope("x", users, [operation]);
        // The list of users shows those of the scope alone, for whomever it is asked.
        if operation != Operation::Users {
            let denied = attempt(&scope, &user("bob"));
            assert!(is_denied(&denied), "{operation} for another: {denied:?}");
        }
        attempt(&scope, &user("anna")).unwrap();
        assert_eq!(std::fs::read(store.file("bob")).unwrap(), before);
    }
    // Those that are about no user.
    assert_eq!(ATTEMPTS.len() + 2, Operation::ALL.len());
}

#[test]
fn only_what_is_in_scope_is_told() {
    let store = Store::new();
    let vault = filled(&store);
    let scope = vault.scope("x", [user("anna"), user("nobody")], Operation::ALL);
    assert_eq!(scope.users().collect::<Result<Vec<_>, _>>().unwrap(), [user("anna")]);
    assert_eq!(scope.reveal(&user("anna")).unwrap().credential().fields().len(), 2);

    let narrower = scope.only_secrets(["password", "pin"]);
    let revealed = narrower.reveal(&user("anna")).unwrap();
    assert_eq!(revealed.credential().expose_password(), "anna's password");
    assert_eq!(revealed.credential().fields().len(), 1);
    assert_eq!(revealed.summary().field_names, ["pin"]);
    let applied = narrower.hmac_sha256(&user("anna"), "token", b"");
    assert!(is_denied(&applied.map(drop)));
    let put = narrower.put(&user("anna"), &Credential::new("x", "y"), &PutOptions::default());
    assert!(is_denied(&put.map(drop)));
    let change = narrower.change(&user("anna"), &Changes::default().password("y"), None);
    assert!(is_denied(&change.map(drop)));
    assert!(is_denied(&narrower.copy(&user("nobody"), &user("anna")).map(drop)));
    assert!(is_denied(&narrower.restore(&user("anna"), 1, None).map(drop)));
    let (anna, changes) = (user("anna"), Changes::default().password("new"));
    vault.change(&anna, &changes, None).unwrap();
    assert_eq!(narrower.history(&anna).unwrap().versions[0].field_names, ["pin"]);
    assert_eq!(narrower.history(&anna).unwrap().summary.field_names, ["pin"]);
    let earlier = narrower.reveal_version(&anna, 2).unwrap();
    assert_eq!(earlier.credential().expose_password(), "anna's password");
    assert_eq!(earlier.credential().fields().len(), 1);

    let narrowest = narrower.only_secrets(["pin", "token"]);
    assert!(is_denied(&narrowest.reveal(&user("anna")).map(drop)));
    assert!(is_denied(&narrowest.reveal_version(&anna, 2).map(drop)));
    narrowest.hmac_sha256(&user("anna"), "pin", b"").unwrap();
    assert!(is_denied(&narrowest.hmac_sha256(&user("anna"), "token", b"").map(drop)));
}

#[test]
fn a_secret_is_used_without_being_told() {
    let store = Store::new();
    let scope = filled(&store).scope("x", [user("anna")], [Operation::Apply]);
    for (secret, value) in [("password", "anna's password"), ("pin", "1234")] {
        let mac = Hmac::<Sha256>::new_from_slice(value.as_bytes()).unwrap();
        let expected = mac.chain_update(b"a message").finalize().into_bytes();
        let found = scope.hmac_sha256(&user("anna"), secret, b"a message").unwrap();
        assert_eq!(found[..], expected[..]);
    }
    let missing = scope.hmac_sha256(&user("anna"), "nothing", b"").unwrap_err();
    assert_eq!(missing.code(), ErrorCode::NotFound);
    assert!(is_denied(&scope.reveal(&user("anna")).map(drop)));
}

/// Nobody but the vault's owner takes for genuine what anyone could have written.
#[test]
fn what_anyone_could_have_written_is_in_no_scope_to_accept() {
    let store = Store::new();
    let vault = filled(&store);
    // {"username":"bob","password":"chosen","created_at":"2025-02-03T08:09:10"}
    let planted = r#"{"user_id":"bob","encrypted_data":"eyJ1c2VybmFtZSI6ImJvYiIsInBhc3N3b3JkIjoiY2hvc2VuIiwiY3JlYXRlZF9hdCI6IjIwMjUtMDItMDNUMDg6MDk6MTAifQ==","created_at":"2025-02-03T08:09:10","crypto_available":false}"#;
    std::fs::write(store.file("bob"), planted).unwrap();
    let users = [user("bob")];
    let scope = vault.scope("plugin", users.clone(), Operation::ALL).uses(1);
    let mut accept = [MigrateOptions::default(), MigrateOptions::default()];
    accept[0].accept_default_key = true;
    accept[1].accept_plaintext = true;
    for options in &mut accept {
        for dry_run in [true, false] {
            options.dry_run = dry_run;
            let error = scope.migrate(&users, options).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Denied);
            assert_eq!(
                error.to_string(),
                "\"plugin\" may not migrate: no scope may accept what anyone could have written"
            );
        }
    }
    // A refusal is no use.
    let refused = scope.migrate(&users, &MigrateOptions::default()).unwrap().remove(0);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::NeedsMigration);
    assert_eq!(std::fs::read_to_string(store.file("bob")).unwrap(), planted);

    assert!(vault.migrate(&users, &accept[1]).unwrap().remove(0).unwrap().changed);
    assert_eq!(vault.reveal(&users[0]).unwrap().credential().expose_password(), "chosen");
}

#[test]
fn uses_are_counted_over_all_that_share_them() {
    let store = Store::new();
    let vault = filled(&store);
    let scope = vault.scope("x", [user("anna")], Operation::ALL).uses(20);
    let narrower = scope.uses(5);
    let done = AtomicUsize::new(0);
    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..3 {
                    done.fetch_add(
                        narrower.inspect(&user("anna")).is_ok().into(),
                        Ordering::Relaxed,
                    );
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 5);
    // What was refused counts for nobody: of twenty, fifteen are left.
    let left = (0..30).filter(|_| scope.inspect(&user("anna")).is_ok()).count();
    assert_eq!(left, 15);
    // A call for two users takes two.
    let both = vault.scope("x", [user("anna"), user("bob")], Operation::ALL).uses(3);
    let users = [user("anna"), user("bob")];
    both.verify(&users).unwrap();
    assert!(is_denied(&both.verify(&users).map(drop)));
    both.inspect(&user("bob")).unwrap();
}

#[test]
fn its_time_ends() {
    let store = Store::new();
    let scope = filled(&store).scope("x", [user("anna")], Operation::ALL);
    scope.lasting(Duration::MAX).inspect(&user("anna")).unwrap();
    let brief = scope.lasting(Duration::from_millis(300));
    brief.inspect(&user("anna")).unwrap();
    thread::sleep(Duration::from_millis(300));
    let error = brief.inspect(&user("anna")).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" may not inspect: its time is up");
    assert!(is_denied(&brief.lasting(Duration::from_secs(60)).inspect(&user("anna")).map(drop)));
}

#[test]
fn what_is_done_and_what_is_refused_is_written_down() {
    let store = Store::new();
    std::fs::create_dir(store.beside("log")).unwrap();
    let logs = Dir::open_ambient_dir(store.beside("log"), ambient_authority()).unwrap();
    let key = AuditKey::new(KEY.as_bytes()).unwrap();
    let log = AuditLog::new(logs.try_clone().unwrap(), "log", key, Rotation::default());
    filled(&store);
    let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(store.directory(), keys).audit(log).build().unwrap();
    let scope = vault.scope("plugin", [user("anna")], [Operation::Reveal, Operation::Apply]);
    scope.reveal(&user("anna")).unwrap();
    scope.reveal(&user("bob")).unwrap_err();
    scope.hmac_sha256(&user("anna"), "pin", b"").unwrap();
    let entries: Vec<_> = audit::operations(&logs, "log")
        .unwrap()
        .map(|operation| {
            let operation = operation.unwrap();
            let (intent, outcome) = (operation.intent, operation.outcome.unwrap());
            assert_eq!(outcome.actor, "plugin");
            // A refusal is all in one entry.
            assert_eq!(intent.is_none(), outcome.phase == Phase::Refusal);
            let purpose = intent.and_then(|intent| intent.purpose).unwrap_or_default();
            let result = outcome.outcome.unwrap();
            format!("{} {} {result} {purpose}", outcome.operation, outcome.user.unwrap())
        })
        .collect();
    let expected = ["reveal anna done ", "reveal bob denied ", "apply anna done hmac-sha256"];
    assert_eq!(entries, expected);
}

/// A plugin that asks for what it may not have, for as many users as it can name, a million times, doesn't fill the disk.
#[test]
fn refusals_take_no_room() {
    let store = Store::new();
    std::fs::create_dir(store.beside("log")).unwrap();
    let logs = Dir::open_ambient_dir(store.beside("log"), ambient_authority()).unwrap();
    let key = AuditKey::new(KEY.as_bytes()).unwrap();
    let log = AuditLog::new(logs.try_clone().unwrap(), "log", key, Rotation::default());
    let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(store.directory(), keys).audit(log).build().unwrap();
    let scope = vault.scope("plugin", [user("anna")], [Operation::Inspect]);
    let many: Vec<_> = (0..256).map(|number| user(&format!("{number:0250}"))).collect();
    for _ in 0..1_000 {
        assert!(is_denied(&scope.verify(&many).map(drop)));
    }
    let entries: Vec<_> = audit::operations(&logs, "log").unwrap().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 8);
    let first = entries[0].outcome.as_ref().unwrap();
    assert_eq!((first.operation.as_str(), first.users), ("verify", Some(256)));
    let room = std::fs::metadata(store.beside("log").join("log")).unwrap();
    assert!(room.len() < 8 * 1024 && room.blocks() * 512 < 1024 * 1024, "{room:?}");
}

/// Not even the names of the secrets that are not in it.
#[test]
fn a_scope_tells_no_names_of_other_fields() {
    let store = Store::new();
    let scope = filled(&store).scope("plugin", [user("anna")], Operation::ALL);
    let anna = [user("anna")];
    assert!(scope.describe(&anna[0]).unwrap().field_names.len() > 1);
    let scope = scope.only_secrets(["pin"]);
    let summaries = [
        scope.describe(&anna[0]).unwrap(),
        scope.mark_used(&anna[0]).unwrap(),
        scope.mark_validated(&anna[0], true).unwrap(),
        scope.verify(&anna).unwrap().remove(0).unwrap(),
    ];
    for summary in summaries {
        assert_eq!(summary.field_names, ["pin"]);
    }
}

/// An actor's name can't make an entry too long to be read.
#[test]
fn a_long_name_is_cut() {
    let store = Store::new();
    let name = "\u{e9}".repeat(1000);
    let scope = filled(&store).scope(&name, [user("anna")], [Operation::Inspect]);
    assert_eq!(scope.name(), &name[..128]);
}

#[derive(Clone, Debug)]
enum Narrowing {
    Users(Vec<usize>),
    Operations(Vec<usize>),
    Secrets(Vec<usize>),
    Uses(u64),
}

fn narrowing() -> impl Strategy<Value = Narrowing> {
    let some = |of: usize| proptest::collection::vec(0..of, 0..of);
    prop_oneof![
        some(2).prop_map(Narrowing::Users),
        some(Operation::ALL.len()).prop_map(Narrowing::Operations),
        some(3).prop_map(Narrowing::Secrets),
        (0..3_u64).prop_map(Narrowing::Uses),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever a scope is narrowed by, it never lets pass what it has refused before.
    #[test]
    fn narrowing_never_widens(steps in proptest::collection::vec(narrowing(), 1..6)) {
        let store = Store::new();
        let vault = filled(&store);
        let users = [user("anna"), user("bob")];
        let secrets = ["password", "pin", "token"];
        let mut scope = vault.scope("x", users.clone(), Operation::ALL);
        let tried = |scope: &Scope| {
            let each = |user: &UserId| [
                scope.inspect(user).is_ok(),
                scope.reveal(user).is_ok(),
                scope.hmac_sha256(user, "pin", b"").is_ok(),
            ];
            users.each_ref().map(each)
        };
        let mut before = tried(&scope);
        for step in steps {
            scope = match step {
                Narrowing::Users(some) => scope.only_users(some.iter().map(|n| users[*n].clone())),
                Narrowing::Operations(some) => {
                    scope.only_operations(some.iter().map(|n| Operation::ALL[*n]))
                }
                Narrowing::Secrets(some) => scope.only_secrets(some.iter().map(|n| secrets[*n])),
                Narrowing::Uses(uses) => scope.uses(uses),
            };
            let now = tried(&scope);
            for (before, now) in before.iter().flatten().zip(now.iter().flatten()) {
                prop_assert!(*before || !now);
            }
            before = now;
        }
    }
}

#[test]
fn what_is_made_of_a_scope_is_no_wider() {
    let store = Store::new();
    let scope = filled(&store).scope("plugin", [user("anna")], [Operation::Inspect]);
    let renamed = scope.on_behalf_of("root");
    renamed.inspect(&user("anna")).unwrap();
    let refused = renamed.inspect(&user("bob")).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Denied);
    assert!(refused.to_string().starts_with("\"plugin/root\" may not inspect: "), "{refused}");
    let other = scope.scope("other", [user("bob")], Operation::ALL);
    for error in [
        other.inspect(&user("bob")).map(drop).unwrap_err(),
        renamed.lock_batch().map(drop).unwrap_err(),
        renamed.configure(None, None).map(drop).unwrap_err(),
        renamed.leftovers().next().unwrap().map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::Denied, "{error}");
    }
}
