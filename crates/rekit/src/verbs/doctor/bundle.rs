//! `rekit doctor --bundle FILE`: all that a helper needs in one file. Looks only.

use std::path::Path;

use rekit_core::{bundle::Contents, doctor::examine};
use rekit_run::{
    bundle,
    world::host::{self, Outlet, Pipe},
};

use crate::{
    call::Call,
    exit::Exit,
    failure::Failure,
    ui::{self, style::clean},
};

pub(super) async fn run(call: &Call<'_>, file: &Path, deep: bool) -> Result<Exit, Failure> {
    let is_pipe = file == Path::new("-");
    let path = call.surroundings.working_folder().join(file);
    let out = if is_pipe {
        stdout(call)?
    } else {
        begin(&path)?
    };
    let inventory = super::look(call, deep).await?;
    let diagnosis = examine(&inventory);
    let session = call.silent();
    let program = env!("CARGO_PKG_VERSION");
    let work = session.bundle(program, &inventory, &diagnosis);
    let bundle = call.looking(Box::pin(work)).await?;
    bundle::write(&bundle, out).map_err(|error| {
        Failure::of(Exit::Failed, "no-bundle", &error)
            .standing("nothing was changed; there is no whole bundle")
            .then("name a file on a disk that has room")
    })?;
    let name = if is_pipe { file } else { &path };
    tell(call, &bundle.contents(&name.display().to_string()));
    Ok(Exit::Done)
}

/// Says on stderr what was put in; stdout has the document, if one is asked for.
fn tell(call: &Call<'_>, contents: &Contents) {
    if call.output.is_json() {
        call.output.give(contents, |_| String::new());
    }
    call.output.note(&clean(&ui::bundle::contents(contents)));
}

/// Begins the file, before anybody waits for the look.
fn begin(path: &Path) -> Result<Box<dyn Outlet>, Failure> {
    host::new_file(path).map_err(|error| {
        let message = format!("`{}` cannot be made", path.display());
        let failure = Failure::new(Exit::Misuse, "no-file", message).because(error.to_string());
        failure.then("name a file that is not there yet, in a folder that you may write to")
    })
}

fn stdout(call: &Call<'_>) -> Result<Box<dyn Outlet>, Failure> {
    let refused = |code, message: &str| {
        Failure::new(Exit::Misuse, code, message).then("name a file instead of `-`")
    };
    if call.output.is_json() {
        return Err(refused(
            "usage",
            "stdout takes the bundle or a document, not both",
        ));
    }
    let stdout = call.output.stream();
    let stdout =
        stdout.ok_or_else(|| refused("terminal", "the bundle would be written to a terminal"))?;
    Ok(Box::new(Pipe(stdout)))
}
