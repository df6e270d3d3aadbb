//! `rekit backup import FILE|-`: archives come back from one file.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use rekit_run::{
    exchange::{ImportError, Imported, NoImport},
    world::host,
};

use super::{export::is_pipe, sealing};
use crate::{
    call::Call,
    document::{ImportedArchive, ImportedArchives, document},
    exit::Exit,
    failure::Failure,
    output::Output,
    ui,
};

/// What is imported.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The exported file, or `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Open an encrypted file with the private keys of this file, as `age-keygen` writes it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let identities = arguments.identity.as_deref();
    let identities = identities.map(|file| sealing::identities(call, file));
    let identities = identities.transpose()?;
    let input = open(call, &arguments.file)?;
    let progress = ui::progress::Reading::new(call.output);
    let listener = |event| progress.tell(&event);
    let session = call.session(&listener);
    let imported = call.changing(session.import(input, identities)).await;
    progress.end();
    let archives: Vec<ImportedArchive> = imported??
        .map_err(|error| failed(&error))?
        .into_iter()
        .map(Into::into)
        .collect();
    let imported = ImportedArchives {
        changed: archives.iter().any(|archive| !archive.was_there),
        archives,
    };
    call.output
        .give(&document("rekit/imported", &imported), |style| {
            ui::exchange::imported(&imported, style)
        });
    Ok(Exit::Done)
}

fn open(call: &Call<'_>, file: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if is_pipe(file) {
        let stdin = Output::source().ok_or_else(|| {
            Failure::new(
                Exit::Misuse,
                "terminal",
                "stdin is a terminal, and no exported file",
            )
            .then("lead the file in: `rekit backup import - < FILE`")
        })?;
        return Ok(Box::new(stdin));
    }
    let path = call.surroundings.working_folder().join(file);
    host::source(&path).map_err(|error| {
        let message = format!("`{}` cannot be read", path.display());
        Failure::new(Exit::Misuse, "no-file", message).because(error.to_string())
    })
}

fn failed(error: &NoImport) -> Failure {
    let file = match error {
        NoImport::Sealed(error) => return sealing::failed(error),
        NoImport::File(error) => error,
    };
    let failure =
        |exit, code| Failure::of(exit, code, file).standing("nothing of the file was kept");
    match file {
        ImportError::Other(_) => failure(Exit::Refused, "archive-exists")
            .then("`rekit backup show` says what the one here holds; import the file into another home with REKIT_HOME"),
        ImportError::Broken { .. } => failure(Exit::Refused, "archive-exists")
            .then("look at what is there; import the file again when it is moved away"),
        ImportError::NoRoom { .. } => failure(Exit::Refused, "no-room")
            .then("let rekit keep its archives on a disk with more room: `REKIT_HOME=/DISK/rekit rekit …`")
            .then("or remove archives that nothing needs: `rekit backup prune --keep 1`"),
        ImportError::Write { .. } => failure(Exit::Failed, "home"),
        _ => failure(Exit::Refused, "archive-faulty")
            .then("export the archive again where it came from, and compare the `sha256sum` of both files"),
    }
}

impl From<Imported> for ImportedArchive {
    fn from(imported: Imported) -> Self {
        Self {
            id: imported.id,
            path: imported.path.display().to_string(),
            identity: imported.identity.to_string(),
            was_there: imported.was_there,
        }
    }
}
