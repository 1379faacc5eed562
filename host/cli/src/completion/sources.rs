//! Where values come from that the definition of the command line doesn't have: the names in the credentials directory, and
//! the file of the key ring.

use clap::FromArgMatches;
use moat::{KeyState, UserId};

use crate::ambient;
use crate::args::Arguments;
use crate::command;
use crate::context::Context;

/// The options that lead there.
const OPTIONS: [&str; 3] = ["--dir", "--keyring", "--env-file"];

/// The context of the command that is being typed, if it has a sensible one so far.
pub(super) struct Sources(Option<Context>);

impl Sources {
    pub(super) fn of(words: &[String]) -> Self {
        let named =
            words.iter().take_while(|word| *word != "--").enumerate().flat_map(|(at, word)| {
                let after = words.get(at + 1).filter(|_| OPTIONS.contains(&word.as_str()));
                let within = word.split_once('=').filter(|(name, _)| OPTIONS.contains(name));
                let separate = after.map(|value| (word.as_str(), value.as_str()));
                separate
                    .or(within)
                    .map(|(name, value)| format!("{name}={}", ambient::without_tilde(value)))
            });
        let line: Vec<String> =
            ["moat".to_owned()].into_iter().chain(named).chain(["list".to_owned()]).collect();
        let matches = command::command().try_get_matches_from(line);
        let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches)).ok();
        Self(arguments.and_then(|arguments| Context::new(arguments.options).ok()))
    }

    /// The users, sorted. Only names of files are read.
    pub(super) fn users(&self) -> Vec<String> {
        let directory = self.0.as_ref().and_then(|context| context.path().ok());
        let names = directory.map(|path| ambient::names(&path)).unwrap_or_default();
        let users = names.iter().filter_map(|name| UserId::from_file_name(name.to_str()?));
        let mut users: Vec<String> = users.map(|user| user.to_string()).collect();
        users.sort_unstable();
        users
    }

    /// The ids of those keys of the ring's file that are wanted, by whether they are retired. A command for keys is never run.
    pub(super) fn keys(&self, is_wanted: fn(bool) -> bool) -> Vec<String> {
        let source = self.0.as_ref().and_then(|context| context.master_key().ok());
        let ring = source.filter(|source| source.ring_file().is_some());
        let ring = ring.and_then(|source| source.document().ok().flatten());
        let keys = ring.iter().flat_map(|ring| ring.keys());
        let wanted = keys.filter(|key| is_wanted(key.state() == KeyState::Retired));
        wanted.map(|key| key.id().to_owned()).filter(|id| !id.contains(char::is_control)).collect()
    }
}
