//! The names of a credential's additional values.

/// Names that a field can't have, because a part of the credential has it already.
pub const RESERVED_FIELD_NAMES: [&str; 11] = [
    "user_id",
    "username",
    "password",
    "created_at",
    "last_used",
    "is_valid",
    "validation_attempts",
    "expires",
    "fields",
    "encryption_version",
    "key_id",
];
