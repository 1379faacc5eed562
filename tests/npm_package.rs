//! The npm package: what it does with wrong values, what its failures tell, and what is in its tarball.

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::callers::{Node, node};
use support::{Store, done, expect, run, tests};

/// Runs a module over a new directory, with the library as `moat`, and returns what it prints.
fn printed(node: &Node, code: &str) -> String {
    let store = Store::new();
    let library = node.path("dist/lib/node/index.js");
    let mut command = node.eval(&format!("import * as moat from {library:?};\n{code}"));
    store.surround(&mut command).current_dir(store.beside(""));
    expect(0, &run(&mut command)).0
}

/// Whatever stands where another type belongs, never anything else than a `TypeError` comes of it.
#[test]
fn a_value_of_a_wrong_type_is_a_type_error() {
    let Some(node) = node() else { return };
    let code = r#"
const vault = moat.Vault.open('credentials');
const anna = { username: 'anna', password: 'horse' };
await vault.put('anna', anna);

async function refused(what, call) {
  try {
    await call();
    console.log('accepted:', ...what);
  } catch (error) {
    if (!(error instanceof TypeError)) console.log(...what, error);
  }
}

// Calls that would do, of which each argument in turn is replaced.
const calls = {
  put: ['anna', anna],
  change: ['anna', { username: 'x' }, 'revision'],
  copy: ['anna', 'bob'],
  history: ['anna'],
  restore: ['anna', 1, 'revision'],
  reveal: ['anna'],
  revealVersion: ['anna', 1],
  describe: ['anna'],
  inspect: ['anna'],
  markUsed: ['anna'],
  markValidated: ['anna', true],
  remove: ['anna', 'revision'],
  verify: [['anna']],
  migrate: [['anna']],
  rewrap: [['anna']],
  configure: ['1.0', 'app'],
  removeBackup: ['anna.cred.backup_20250616_130236'],
};
class Other {}
for (const [name, sound] of Object.entries(calls)) {
  for (const place of sound.keys()) {
    for (const wrong of [new Other(), 5.5, [new Other()], Symbol('x')]) {
      await refused([name, place, wrong], () => vault[name](...sound.with(place, wrong)));
    }
  }
}
for (const name of ['verify', 'migrate', 'rewrap']) {
  for (const wrong of ['anna', new Set(['anna']), { 0: 'anna', length: 1 }]) {
    await refused([name, wrong], () => vault[name](wrong));
  }
}
const parts = {
  username: [5], password: [5, null], fields: [5, [5], [{ name: 'x' }]], createdAt: [5],
  lastUsed: [5], isValid: ['false', 0], validationAttempts: ['5', -1, 2 ** 32, 1.5], expires: [90],
};
for (const [part, wrongs] of Object.entries(parts)) {
  for (const wrong of wrongs) {
    await refused(['put', part, wrong], () => vault.put('bob', { ...anna, [part]: wrong }));
  }
}
for (const [part, wrongs] of Object.entries({
  username: [5], password: [5], fields: [5, [5]], removedFields: [5, [5], 'x'], expires: [90],
  forgetHistory: [1], pasword: ['x'],
})) {
  for (const wrong of wrongs) {
    await refused(['change', part, wrong], () => vault.change('anna', { [part]: wrong }));
  }
}
for (const [name, options] of Object.entries({
  put: ['createOnly', 'expectedRevision', 'version', 'encoding', 'keepFields', 'allowNewKey'],
  migrate: ['dryRun', 'acceptDefaultKey', 'acceptPlaintext', 'version', 'encoding'],
  rewrap: ['dryRun'],
})) {
  for (const option of options) {
    const [user, rest] = name === 'put' ? ['bob', [anna]] : [['anna'], []];
    for (const wrong of [5, new Other()]) {
      await refused([name, option, wrong], () => vault[name](user, ...rest, { [option]: wrong }));
    }
  }
}
for (const history of ['5', -1, 1.5]) {
  await refused(['configure', history], () => vault.configure(undefined, undefined, { history }));
}
for (const [option, wrong] of [
  ['lockTimeout', '5'], ['cacheLifetime', NaN], ['keys', 'text'], ['keys', 5],
  ['keys', [{ material: 'x', id: 5 }]],
]) {
  await refused([option, wrong], () => moat.Vault.open('credentials', { [option]: wrong }));
}
for (const wrong of [undefined, null, 5, new Other()]) {
  await refused(['open', wrong], () => moat.Vault.open(wrong));
  await refused(['readMasterKey', wrong], () => moat.readMasterKey(wrong));
  await refused(['readKeyRing', wrong], () => moat.readKeyRing(wrong));
}
for await (const user of vault.users()) console.log(user);
"#;
    assert_eq!(printed(&node, code), "anna\n");
}

#[test]
fn a_failure_tells_whose_credential_and_which_directory_it_is_about() {
    let Some(node) = node() else { return };
    let code = r#"
import { chmodSync } from 'node:fs';

const vault = moat.Vault.open('credentials');
const anna = { username: 'anna', password: 'horse' };
await vault.put('anna', anna);
const other = moat.Vault.open('credentials', { keys: [{ material: 'another key of this service' }] });
const tell = ({ code, userId, directory }) => console.log(code, userId, directory);
const told = async (call) => {
  try { await call(); } catch (error) { tell(error); }
};
for (const name of ['reveal', 'describe', 'inspect', 'markUsed']) {
  await told(() => vault[name]('bob'));
}
await told(() => vault.markValidated('bob', true));
tell((await vault.verify(['anna', 'bob']))[1].error);
await told(() => vault.reveal('../x'));
await told(() => vault.put('anna', { username: 'anna', password: 'x'.repeat(70000) }));
await told(() => other.reveal('anna'));
await told(() => other.put('bob', anna));
await told(() => other.configure('2.0'));
await told(() => moat.Vault.open('missing'));
chmodSync('credentials', 0o770);
await told(() => moat.Vault.open('credentials'));
"#;
    assert_eq!(
        printed(&node, code),
        "not-found bob credentials\n".repeat(6)
            + "invalid-user-id ../x credentials\n\
               too-large anna credentials\n\
               wrong-key-or-tampered anna credentials\n\
               wrong-key-or-tampered bob credentials\n\
               wrong-key-or-tampered undefined credentials\n\
               directory undefined missing\n\
               directory undefined credentials\n"
    );
}

/// As an application installs it, without the packages that it is built with.
#[test]
fn the_tarball_is_all_that_an_application_needs() {
    let Some(node) = node() else { return };
    let application = tempfile::tempdir().unwrap();
    let npm = || {
        let mut npm = Command::new("npm");
        npm.args(["--offline", "--no-audit", "--no-fund"]).current_dir(application.path());
        npm
    };
    let mut pack = npm();
    pack.args(["pack", "--json", "--pack-destination"]).arg(application.path());
    let (stdout, _) = expect(0, &run(pack.current_dir(node.path(""))));
    let packed: Value = serde_json::from_str(&stdout).unwrap();
    let files = packed[0]["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["path"] == "LICENSE"), "{files:?}");
    // npm leaves out links.
    let license = |folder: &str| fs::read(tests().join("..").join(folder).join("LICENSE")).unwrap();
    assert_eq!(license("host/bindings/javascript"), license(""));

    fs::write(application.path().join("package.json"), "{}").unwrap();
    done(npm().args(["install", packed[0]["filename"].as_str().unwrap()]));
    let store = Store::new();
    let code = "import { Vault } from 'moat-credentials';\n\
                const vault = Vault.open(process.env.FOSSAWORK_CREDENTIALS_DIR);\n\
                await vault.put('anna', { username: 'anna', password: 'horse' });\n\
                console.log((await vault.reveal('anna')).credential.field('none'))";
    let mut run_it = node.eval(code);
    store.surround(&mut run_it).current_dir(application.path());
    assert_eq!(expect(0, &run(&mut run_it)).0, "undefined\n");
}
