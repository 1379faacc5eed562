//! User ids: any text that is one plain file name.

use std::fmt;

/// A user id, taken exactly as given: case matters and nothing is normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// The ending of a record's file name.
    pub const EXTENSION: &str = ".cred";

    /// The longest user id in bytes: 255 for a file name on Linux, less the ending.
    pub const MAX_BYTES: usize = 255 - Self::EXTENSION.len();

    /// Checks that the text is a user id.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn parse(text: &str) -> Result<Self, UserIdError> {
        if text.is_empty() {
            Err(UserIdError::Empty)
        } else if text.len() > Self::MAX_BYTES {
            Err(UserIdError::TooLong(text.len()))
        } else if text.starts_with('.') {
            Err(UserIdError::LeadingDot)
        } else if text.contains('/') {
            Err(UserIdError::Slash)
        } else if text.chars().any(char::is_control) {
            Err(UserIdError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The user whose record has this file name; `None` for a file that is no record.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(Self::EXTENSION)?).ok()
    }

    /// The user whose record the application's old migration copied to a file of this name:
    /// `<user>.cred.backup_YYYYMMDD_HHMMSS`.
    pub fn from_backup_name(name: &str) -> Option<Self> {
        let (file_name, time) = name.rsplit_once(".backup_")?;
        let (date, time) = time.split_once('_')?;
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(date, 8) || !digits(time, 6) {
            return None;
        }
        Self::from_file_name(file_name)
    }

    /// The name of this user's record in the credentials directory.
    pub fn file_name(&self) -> String {
        format!("{}{}", self.0, Self::EXTENSION)
    }

    /// The user id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The place of a name among those of a directory (`wit/directory.wit`): records are in the order of their users.
pub fn place(name: &str) -> (&str, bool) {
    match name.strip_suffix(UserId::EXTENSION) {
        Some(user) => (user, true),
        None => (name, false),
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserIdError {
    /// It has no characters.
    Empty,
    /// It has this many bytes, more than [`UserId::MAX_BYTES`].
    TooLong(usize),
    /// It begins with a dot, as hidden files and `..` do.
    LeadingDot,
    /// It contains a slash.
    Slash,
    /// It contains a control character, such as NUL or a line break.
    Control,
}

impl fmt::Display for UserIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the user id is empty"),
            Self::TooLong(bytes) => write!(
                f,
                "the user id has {bytes} bytes, more than the {} that fit a file name",
                UserId::MAX_BYTES
            ),
            Self::LeadingDot => f.write_str("the user id begins with a dot"),
            Self::Slash => f.write_str("the user id contains a slash"),
            Self::Control => f.write_str("the user id contains a control character"),
        }
    }
}

impl std::error::Error for UserIdError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_any_plain_file_name() {
        let longest = "é".repeat(UserId::MAX_BYTES / 2);
        for id in ["a", "anna@example.com", "Anna Smith", "🔑", "con", "a.", "a\\b", &longest] {
            let user = UserId::parse(id).unwrap();
            assert_eq!(user.file_name(), format!("{id}.cred"));
            assert!(user.file_name().len() <= 255);
            assert_eq!(UserId::from_file_name(&user.file_name()), Some(user));
        }
    }

    #[test]
    fn knows_the_application_s_backups() {
        let of = UserId::from_backup_name;
        assert_eq!(of("anna.cred.backup_20250616_130236").unwrap().as_str(), "anna");
        assert_eq!(of("a.backup_x.cred.backup_20250616_130236").unwrap().to_string(), "a.backup_x");
        for name in [
            "anna.cred",
            "anna.backup_20250616_130236",
            ".cred.backup_20250616_130236",
            "anna.cred.backup_2025061_130236",
            "anna.cred.backup_20250616_13023",
            "anna.cred.backup_2025061x_130236",
            "anna.cred.backup_20250616_13023x",
            "anna.cred.backup_20250616130236",
            "anna.cred.backup_20250616_130236.bak",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn records_have_the_places_of_their_users() {
        assert_eq!(place("anna.cred"), ("anna", true));
        assert_eq!(place("anna"), ("anna", false));
        let mut names = ["annab.cred", "anna.cred", "anna", "anna.x.cred"];
        names.sort_by_key(|name| place(name));
        assert_eq!(names, ["anna", "anna.cred", "anna.x.cred", "annab.cred"]);
    }

    #[test]
    fn names_the_reason_of_a_refusal() {
        let long = "x".repeat(UserId::MAX_BYTES + 1);
        for (id, error) in [
            ("", UserIdError::Empty),
            (&long, UserIdError::TooLong(251)),
            ("..", UserIdError::LeadingDot),
            (".hidden", UserIdError::LeadingDot),
            ("../bob", UserIdError::LeadingDot),
            ("a/b", UserIdError::Slash),
            ("a\0b", UserIdError::Control),
            ("a\nb", UserIdError::Control),
            ("a\u{85}b", UserIdError::Control),
        ] {
            assert!(error.to_string().starts_with("the user id "), "{error}");
            assert_eq!(UserId::parse(id), Err(error), "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn a_user_id_never_leaves_its_directory(id in ".*") {
            if let Ok(user) = UserId::parse(&id) {
                let path = std::path::PathBuf::from(user.file_name());
                let parts: Vec<_> = path.components().collect();
                prop_assert!(matches!(parts[..], [std::path::Component::Normal(_)]));
            }
        }
    }
}
