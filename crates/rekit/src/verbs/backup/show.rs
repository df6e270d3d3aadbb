//! `rekit backup show ARCHIVE`: what an archive holds, from its manifest.

use std::path::Path;

use rekit_run::archives::detail;

use super::find;
use crate::{
    call::Call,
    document::{ArchiveContent, document},
    exit::Exit,
    failure::Failure,
    ui,
};

pub(super) fn run(call: &Call<'_>, archive: &Path) -> Result<Exit, Failure> {
    let path = find(call, archive)?;
    let detail = detail(&path).map_err(|why| super::no_archive(&path, why))?;
    let content = ArchiveContent {
        path: path.display().to_string(),
        detail,
    };
    call.output
        .give(&document("rekit/archive-content", &content), |style| {
            ui::archives::content(&content, style)
        });
    Ok(Exit::Done)
}
