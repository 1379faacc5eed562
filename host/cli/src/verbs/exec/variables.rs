//! The names and values of the variables that the program gets.

use zeroize::Zeroizing;

use crate::args::Exec;
use crate::failure::Failure;

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

/// The variables for names and values: in upper case, with `_` for characters not allowed in names.
pub(super) fn of(credential: &[(&str, &str)], exec: &Exec) -> Result<Vec<Variable>, Failure> {
    let mut variables: Vec<Variable> = Vec::new();
    for (name, value) in credential {
        let upper = name.to_ascii_uppercase();
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let variable = format!("{}{}", exec.prefix, upper.chars().map(allowed).collect::<String>());
        if variable.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Failure::usage(
                format!("{name:?} is not a valid variable name without a prefix"),
                "set --prefix",
            ));
        }
        if is_special(&variable) && !exec.allow_special_variables {
            return Err(Failure::usage(
                format!(
                    "{name:?} would become {variable}, which can make programs load or run something else"
                ),
                "set another --prefix; if this is meant, pass --allow-special-variables",
            ));
        }
        if value.contains('\0') {
            return Err(Failure::other(
                format!("the value of {name:?} contains a NUL byte, which a variable can't hold"),
                "read it with `moat get USER --field NAME`",
            ));
        }
        if variables.iter().any(|(other, _)| *other == variable) {
            return Err(Failure::other(
                format!("two fields would both become {variable}"),
                "store them under names that differ in letters or digits",
            ));
        }
        variables.push((variable, Zeroizing::new((*value).to_owned())));
    }
    Ok(variables)
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
