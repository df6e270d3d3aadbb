//! The verbs: one word, one file.

pub(crate) mod apply;
pub(crate) mod backup;
pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod finalize;
pub(crate) mod generations;
pub(crate) mod install;
pub(crate) mod inventory;
pub(crate) mod plan;
pub(crate) mod reinstall;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod validate;
