//! The documents of archives that leave in one file and come back.

use serde::Serialize;

/// A file that archives were exported to.
#[derive(Debug, Serialize)]
pub(crate) struct ExportedFile {
    pub(crate) path: String,
    /// Whether only the recipients can open it.
    pub(crate) encrypted: bool,
    pub(crate) archives: Vec<ExportedArchive>,
}

/// An archive in an exported file.
#[derive(Debug, Serialize)]
pub(crate) struct ExportedArchive {
    pub(crate) id: String,
    /// The SHA-256 of its SHA256SUMS.
    pub(crate) identity: String,
}

/// The archives of a file that was imported.
#[derive(Debug, Serialize)]
pub(crate) struct ImportedArchives {
    /// Whether one of them was not there before.
    pub(crate) changed: bool,
    pub(crate) archives: Vec<ImportedArchive>,
}

/// An archive that is in rekit's own directory now.
#[derive(Debug, Serialize)]
pub(crate) struct ImportedArchive {
    pub(crate) id: String,
    pub(crate) path: String,
    /// The SHA-256 of its SHA256SUMS.
    pub(crate) identity: String,
    /// Whether it was there before; then it was not read back.
    pub(crate) was_there: bool,
}
