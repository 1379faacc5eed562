//! A user id is what the rule says: one plain file name of at most 250 bytes, without a leading dot, a slash or a
//! control character; and its file name leads back to it.

#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use moat_format::user_id::UserId;

fn is_user_id(text: &str) -> bool {
    let control = |c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}');
    (1..=250).contains(&text.len())
        && !text.starts_with('.')
        && !text.contains('/')
        && !text.contains(control)
}

fuzz_target!(|text: &str| {
    let parsed = UserId::parse(text).ok();
    assert_eq!(parsed.is_some(), is_user_id(text));

    let of_file = UserId::from_file_name(text);
    let stem = text.strip_suffix(".cred").filter(|stem| is_user_id(stem));
    assert_eq!(of_file.as_ref().map(UserId::as_str), stem);

    if let Some(user) = parsed {
        assert_eq!(user.as_str(), text);
        let name = user.file_name();
        assert!(name.len() <= 255);
        let parts: Vec<_> = Path::new(&name).components().collect();
        assert_eq!(parts, [Component::Normal(name.as_ref())]);
        assert_eq!(UserId::from_file_name(&name), Some(user));
    }
});
