//! The commands, one per file.

pub(super) mod audit;
mod audit_integrity;
mod audit_report;
pub(super) mod check;
pub(super) mod component;
pub(super) mod copy;
pub(super) mod delete;
pub(super) mod edit;
pub(super) mod exec;
pub(super) mod generate;
pub(super) mod get;
pub(super) mod history;
pub(super) mod init;
pub(super) mod inject;
pub(super) mod inspect;
pub(super) mod keygen;
pub(super) mod keys;
pub(super) mod list;
pub(super) mod manual;
pub(super) mod mark;
pub(super) mod migrate;
pub(super) mod put;
pub(super) mod rotate;
pub(super) mod set;
pub(super) mod touch;
pub(super) mod verify;
