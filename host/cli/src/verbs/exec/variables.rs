//! The names and values of the variables that the program gets.

use zeroize::Zeroizing;

use crate::args::{EnvVariable, Exec};
use crate::failure::Failure;
use crate::revealing::Credentials;

type Variable = (String, Zeroizing<String>);

/// Variables with which whoever sets them has a program load or run something else, `*` standing for any end of a name.
/// They are those that sudo removes (`initial_badenv_table` in its `env.c`) and that glibc ignores in setuid programs
/// (`unsecvars.h`); those of the shells, interpreters, runtimes and tools that follow, by their manuals; and `PATH`.
#[rustfmt::skip]
const SPECIAL: &[&str] = &[
    // Loaders and the C library.
    "LD_*", "DYLD_*", "_RLD*", "SHLIB_PATH", "LIBPATH", "AUTHSTATE", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES",
    "HOSTALIASES", "LOCALDOMAIN", "LOCPATH", "MALLOC_TRACE", "NIS_PATH", "NLSPATH", "PATH_LOCALE",
    "RESOLV_HOST_CONF", "RES_OPTIONS", "TERMCAP", "TERMINFO*", "TERMPATH", "TMPDIR", "TZDIR",
    // Shells.
    "PATH", "HOME", "IFS", "CDPATH", "ENV", "BASH_ENV", "BASHOPTS", "SHELL", "SHELLOPTS", "GLOBIGNORE", "PS0", "PS1",
    "PS2", "PS4", "PROMPT_COMMAND", "FPATH", "NULLCMD", "READNULLCMD", "TMPPREFIX", "ZDOTDIR",
    // Interpreters and runtimes.
    "PYTHON*", "PERL*", "RUBYLIB", "RUBYOPT", "RUBYSHELL", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", "NODE_OPTIONS",
    "NODE_PATH", "NPM_CONFIG_*", "PHPRC", "PHP_INI_SCAN_DIR", "LUA_CPATH*", "LUA_INIT*", "LUA_PATH*", "CLASSPATH",
    "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "DOTNET_STARTUP_HOOKS", "CORECLR_*", "COR_PROFILER*",
    "ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS", "JULIA_LOAD_PATH", "R_ENVIRON*", "R_PROFILE*",
    // Tools that run what a variable names.
    "GIT_ASKPASS", "GIT_CONFIG*", "GIT_DIR", "GIT_EDITOR", "GIT_EXEC_PATH", "GIT_EXTERNAL_DIFF", "GIT_PAGER",
    "GIT_PROXY_COMMAND", "GIT_SEQUENCE_EDITOR", "GIT_SSH*", "GIT_TEMPLATE_DIR", "BROWSER", "EDITOR", "VISUAL",
    "PAGER", "MANPAGER", "LESSOPEN", "LESSCLOSE", "SSH_ASKPASS", "SUDO_ASKPASS", "RSYNC_RSH", "MAKEFILES",
    "MAKEFLAGS", "RUSTC_WRAPPER", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
];

/// The variables that the arguments ask for: all values of the named users, in upper case, with `_` for characters not
/// allowed in names; and single values under names of their own.
pub(super) fn of(credentials: &Credentials<'_>, exec: &Exec) -> Result<Vec<Variable>, Failure> {
    let mut variables = Variables { all: Vec::new(), allows_special: exec.allow_special_variables };
    for user in &exec.users {
        for (name, value) in credentials.of(user).into_iter().flat_map(|found| &found.values) {
            // With several, names would collide.
            let of_user =
                if exec.users.len() > 1 { upper(user.as_str()) + "_" } else { String::new() };
            let variable = format!("{}{of_user}{}", exec.prefix, upper(name));
            variables.add(name, variable, value)?;
        }
    }
    for EnvVariable { variable, user, field } in &exec.env {
        let value = credentials.of(user).and_then(|found| found.find(field)).ok_or_else(|| {
            Failure::usage(
                format!("the credential of {user} has no field {field:?}"),
                format!("run `moat get {user}` to see its fields"),
            )
        })?;
        variables.add(field, variable.clone(), value)?;
    }
    Ok(variables.all)
}

/// A name in the manner of variables.
fn upper(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(allowed).collect()
}

struct Variables {
    all: Vec<Variable>,
    allows_special: bool,
}

impl Variables {
    fn add(&mut self, name: &str, variable: String, value: &str) -> Result<(), Failure> {
        if variable.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Failure::usage(
                format!("{name:?} is not a valid variable name without a prefix"),
                "set --prefix",
            ));
        }
        if is_special(&variable) && !self.allows_special {
            return Err(Failure::usage(
                format!(
                    "{name:?} would become {variable}, which can make programs load or run something else"
                ),
                "set another --prefix or --env; if this is meant, pass --allow-special-variables",
            ));
        }
        if value.contains('\0') {
            return Err(Failure::other(
                format!("the value of {name:?} contains a NUL byte, which a variable can't hold"),
                "read it with `moat get USER --field NAME`",
            ));
        }
        if self.all.iter().any(|(other, _)| *other == variable) {
            return Err(Failure::other(
                format!("two values would both become {variable}"),
                "name the variables with --env VARIABLE=USER:FIELD",
            ));
        }
        self.all.push((variable, Zeroizing::new(value.to_owned())));
        Ok(())
    }
}

/// Whether it is a special variable, in upper or lower case: npm, for one, takes both.
fn is_special(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    SPECIAL.iter().any(|special| match special.strip_suffix('*') {
        Some(start) => variable.starts_with(start),
        None => variable == *special,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_loaders_shells_and_interpreters_obey_are_special() {
        for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "PYTHONPATH", "npm_config_script_shell"] {
            assert!(is_special(name), "{name}");
        }
        for name in ["MOAT_LD_PRELOAD", "PATHS", "USERNAME", "PASSWORD", "GIT_PASSWORD", "DB_PATH"]
        {
            assert!(!is_special(name), "{name}");
        }
    }
}
