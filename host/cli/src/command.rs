//! The definition of the command line, with what its help has beside the arguments: where keys come from, exit codes, and
//! examples.

use clap::{Command, CommandFactory};

use crate::args::{Arguments, KEY_SOURCES};
use crate::failure::EXIT_CODES;

/// Each command with its examples.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    ("init", &["moat init", "moat init --ring --keyring ~/moat/ring.json"]),
    ("keygen", &["moat keygen --out master-key"]),
    (
        "generate",
        &[
            "moat generate --length 32 --classes lower,upper,digits,symbols",
            "moat generate --words 6",
        ],
    ),
    (
        "put",
        &[
            "moat put anna --username anna@example.com --expires 90d",
            "pass show db | moat put db --username app --password-stdin",
        ],
    ),
    (
        "set",
        &[
            "moat set anna --password",
            "moat set db --username app2 --field-file ca=ca.pem --unset port",
        ],
    ),
    ("edit", &["moat edit anna", "EDITOR='code --wait' moat edit anna"]),
    (
        "get",
        &[
            "moat get anna",
            "moat get anna --field password",
            "moat get anna --field username --field totp --json",
        ],
    ),
    (
        "list",
        &[
            "moat list --long",
            "moat list example.com --older-than 90d",
            "moat list --expires-within 14d",
        ],
    ),
    ("copy", &["moat copy anna anna-staging"]),
    ("rename", &["moat rename anna anna.b"]),
    ("history", &["moat history anna", "moat history --keep 5"]),
    ("restore", &["moat restore anna", "moat restore anna 3"]),
    ("delete", &["moat delete anna"]),
    ("touch", &["moat touch anna"]),
    ("mark", &["moat mark anna --valid"]),
    ("inspect", &["moat inspect anna --json"]),
    ("verify", &["moat verify", "moat verify --against-log --audit-log /var/log/moat/audit.log"]),
    ("migrate", &["moat migrate --dry-run", "moat migrate --to 2.0"]),
    ("rotate", &["moat rotate --status", "moat rotate --if-older-than 90d --new-key"]),
    ("check", &["moat check", "moat check --fix"]),
    ("component", &["moat component --out moat.component.wasm"]),
    (
        "exec",
        &[
            "moat exec db -- ./server",
            "moat exec --env PGPASSWORD=db:password -- psql -h db.example.com",
        ],
    ),
    (
        "inject",
        &[
            "moat inject --in-file app.toml.template --out-file app.toml",
            "echo '{{ moat://db/password }}' | moat inject",
        ],
    ),
    (
        "import",
        &[
            "moat import pass --dry-run",
            "moat import bitwarden export.json --prefix web. --existing skip",
            "moat import moat credentials.age --identity identity",
        ],
    ),
    (
        "export",
        &[
            "moat export --recipients-file recipients --output credentials.age",
            "moat export anna --recipients-file recipients --armor",
        ],
    ),
    ("completions", &["moat completions bash > ~/.local/share/bash-completion/completions/moat"]),
    ("man", &["moat man | man -l -", "moat man --out ~/.local/share/man/man1"]),
];

/// The definition of the arguments.
pub(super) fn command() -> Command {
    let codes: Vec<String> =
        EXIT_CODES.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    let program = Arguments::command()
        .after_help(format!("{KEY_SOURCES}\n\nExit codes: {}.", codes.join(", ")));
    EXAMPLES.iter().fold(program, |program, (name, examples)| {
        let lines: String = examples.iter().map(|example| format!("\n  {example}")).collect();
        program.mut_subcommand(name, |command| command.after_help(format!("Examples:{lines}")))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_an_example_that_is_accepted() {
        for name in command()
            .get_subcommands()
            .filter(|command| !command.has_subcommands() && !command.is_hide_set())
            .map(Command::get_name)
        {
            let (_, examples) = EXAMPLES.iter().find(|(of, _)| *of == name).unwrap();
            for example in *examples {
                let (_, ours) = example.split_once("moat ").unwrap();
                let ours = ours.split(['|', '>']).next().unwrap();
                let words = ["moat"].into_iter().chain(ours.split_whitespace());
                let matches = command().try_get_matches_from(words).unwrap();
                assert_eq!(matches.subcommand_name(), Some(name), "{example}");
            }
        }
    }
}
