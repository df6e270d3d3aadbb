//! `rekit backup export ARCHIVE [FILE|-]`: an archive leaves in one file.

use std::path::{Path, PathBuf};

use rekit_run::{
    exchange::Exported,
    world::{
        WorldError,
        host::{self, Outlet, Pipe},
    },
};

use super::{
    find,
    sealing::{self, Sealing},
};
use crate::{
    call::Call,
    document::{ExportedArchive, ExportedFile, document},
    exit::Exit,
    failure::{self, Failure},
    ui,
};

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The archive: its folder, or its name in rekit's own directory
    archive: PathBuf,
    /// The new file, or `-` for stdout; without it: the archive's name and `.tar` (`.tar.age` if encrypted), in the working folder
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    sealing: Sealing,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    let archive = find(call, &arguments.archive)?;
    let recipients = arguments.sealing.recipients(call)?;
    let ending = if recipients.is_some() {
        "tar.age"
    } else {
        "tar"
    };
    let target = target(call, &archive, (arguments.file.as_deref(), ending));
    let out = match &target {
        Some(path) => begin(path)?,
        None => stream(call)?,
    };
    let exported = send(call, &[archive], sealing::sealed(recipients.as_ref(), out)?).await?;
    let Some(path) = target else {
        call.output.note(ui::exchange::UNPROVEN);
        return Ok(Exit::Done);
    };
    let file = ExportedFile {
        path: path.display().to_string(),
        encrypted: recipients.is_some(),
        archives: exported.into_iter().map(Into::into).collect(),
    };
    call.output
        .give(&document("rekit/exported", &file), |style| {
            ui::exchange::exported(&file, style)
        });
    Ok(Exit::Done)
}

/// Returns the file to make; `None`: stdout.
fn target(
    call: &Call<'_>,
    archive: &Path,
    (file, ending): (Option<&Path>, &str),
) -> Option<PathBuf> {
    if file.is_some_and(is_pipe) {
        return None;
    }
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let own = PathBuf::from(format!("{name}.{ending}"));
    let folder = call.surroundings.working_folder();
    Some(folder.join(file.unwrap_or(&own)))
}

/// Returns whether a file is given as `-`.
pub(super) fn is_pipe(file: &Path) -> bool {
    file == Path::new("-")
}

/// Begins the file.
fn begin(path: &Path) -> Result<Box<dyn Outlet>, Failure> {
    host::new_file(path).map_err(|error| {
        let message = format!("`{}` cannot be made", path.display());
        let failure = Failure::new(Exit::Misuse, "no-file", message).because(error.to_string());
        failure.then("name a file that is not there yet, in a folder that you may write to")
    })
}

/// Returns stdout, if it can take the stream and nothing else has to go there.
pub(super) fn stream(call: &Call<'_>) -> Result<Box<dyn Outlet>, Failure> {
    if call.output.is_json() {
        let message = "stdout takes the archive or a document, not both";
        return Err(Failure::new(Exit::Misuse, "usage", message)
            .then("leave out `--format json`, or name a file instead of `-`"));
    }
    let stdout = call.output.stream().ok_or_else(|| {
        let message = "the archive would be written to a terminal";
        Failure::new(Exit::Misuse, "terminal", message)
            .then("name a file, or lead stdout somewhere: `… - | ssh HOST rekit backup import -`")
    })?;
    Ok(Box::new(Pipe(stdout)))
}

/// Sends archives on their way, and shows how far they are.
pub(super) async fn send(
    call: &Call<'_>,
    archives: &[PathBuf],
    out: Box<dyn Outlet>,
) -> Result<Vec<Exported>, Failure> {
    let progress = ui::progress::Reading::new(call.output);
    let listener = |event| progress.tell(&event);
    let session = call.session(&listener);
    let exported = call.changing(session.export(archives, out)).await;
    progress.end();
    exported?.map_err(|error| failed(&error))
}

fn failed(error: &WorldError) -> Failure {
    let failure = failure::world(error);
    if !matches!(error, WorldError::Refused { .. }) {
        return failure.standing(
            "there is no exported file; what a pipe took is cut off, and no import takes it",
        );
    }
    Failure {
        code: "archive-faulty",
        ..failure
    }
    .standing("there is no exported file; what a pipe took is cut off, and no import takes it")
    .then("do not rely on this archive; make a new one with `rekit backup create`")
}

impl From<Exported> for ExportedArchive {
    fn from(exported: Exported) -> Self {
        Self {
            id: exported.id,
            identity: exported.identity,
        }
    }
}
