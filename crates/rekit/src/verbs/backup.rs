//! `rekit backup`: archives are made, read back, tried, listed, brought back, and removed.

mod create;
mod engine;
mod export;
mod import;
mod prune;
mod rehearse;
mod restore;
mod sealing;
mod show;

use std::path::{Component, Path, PathBuf};

use rekit_core::name::{Digest, VolumeName};
use rekit_run::{
    archives::{archives, content},
    session::verify_archive,
    world::host,
};

use crate::{
    call::Call,
    document::{Archives, VerifiedArchive, document},
    exit::Exit,
    failure::{self, Failure},
    ui,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Archive builders and folders of cache: configuration, each node's state, exported caches
    ///
    /// Scripts, units, keys and certificates that builders use belong to the configuration; with it goes what was found of every cache, its
    /// size and use and the rules of collection, as `inventory.json`. A folder is the state of a standalone daemon, rootless ones too, or what
    /// `--cache-to type=local` exported.
    ///
    /// Of a builder whose files nobody reaches (inside an engine, or remote) the cache mounts are archived, through builds; the plan names
    /// what of it cannot be kept. Builds go on meanwhile: a running node is copied while it works, and its daemon stands still only for a moment (usually less
    /// than a tenth of a second). What is known from earlier archives is not read again. The last line on stdout is the path of the
    /// last builder's archive.
    ///
    /// With `--to -` the archives go to stdout as one file of all of them, as `export` writes it and `import` takes it, and are not kept. They are
    /// made in rekit's own directory first: its disk needs room for what no earlier archive there holds. What was streamed is unproven until
    /// it was imported, or its sums were checked, at the other end.
    Create(create::Arguments),
    /// Write an archive into one file that `tar` reads
    ///
    /// The file holds the archive's folder with everything in it: after `tar -x` the commands of its RESTORE.md work, without rekit. Every byte
    /// is compared with the archive's sums on its way, and the file gets its name only when it is whole. On stdout, what breaks off
    /// before its end is no archive: no import takes it.
    Export(export::Arguments),
    /// Bring an exported file's archives into rekit's own directory
    ///
    /// Every byte is read back from the disk before an archive gets its name. What earlier archives hold is shared with them. An archive that is
    /// there already stays as it is; another one of the same name is refused.
    Import(import::Arguments),
    /// Read every byte of an archive back
    Verify {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
    },
    /// Prove an archived state by using it: a daemon on a copy of it must find its cache
    ///
    /// The archive is read back and unpacked into a volume of its own; a daemon of the image that the state was used with starts on it,
    /// without garbage collection and without a network, and builds. Container and volume are removed again, however it ends. The
    /// engine's disk needs room for the whole state.
    Rehearse {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
    },
    /// Say what an archive holds
    Show {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
    },
    /// List the archives in rekit's own directory
    List,
    /// Remove archives that nothing needs any more from rekit's own directory
    ///
    /// An archive goes only if no option keeps it. What a run that is open, a parked node or the way back to a generation needs always stays.
    Prune(prune::Arguments),
    /// Bring an archive back: a state into a builder, a folder to its place, files of configuration
    ///
    /// A new node on a copy of the archived state takes the place of the builder's present one, which is parked with an archive of its
    /// own: `rekit rollback` goes back to it. Archived cache mounts go into the builder as it is, each only where it is empty. A folder of
    /// cache comes back only where nothing lies. Of configuration comes back what is gone, and what is named.
    Restore {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
        /// The builder that gets the state; made where it is not there. Without it: the builder that the archive was made of
        #[arg(long, value_name = "NAME")]
        builder: Option<String>,
        /// The folder that gets an archived folder of cache, instead of the one that it was in
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Files and folders of an archive of configuration that come back even if other ones lie there now
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        engine: engine::EngineOptions,
    },
}

pub(crate) async fn run(call: &Call<'_>, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Create(arguments) => create::run(call, &arguments).await,
        Verb::Export(arguments) => export::run(call, &arguments).await,
        Verb::Import(arguments) => import::run(call, &arguments).await,
        Verb::Verify { archive } => verify(call, &archive).await,
        Verb::Rehearse { archive } => rehearse::run(call, &archive).await,
        Verb::Show { archive } => show::run(call, &archive),
        Verb::List => list(call),
        Verb::Prune(arguments) => prune::run(call, &arguments).await,
        Verb::Restore {
            archive,
            builder,
            to,
            files,
            engine,
        } => {
            let target = restore::Target { builder, to, files };
            restore::run(call, &archive, target, &engine).await
        }
    }
}

/// Returns a path without `.`, `..` and a slash at its end.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

async fn verify(call: &Call<'_>, archive: &Path) -> Result<Exit, Failure> {
    let path = find(call, archive)?;
    let identity = read_back(call, &path).await?;
    let verified = VerifiedArchive {
        path: path.display().to_string(),
        sound: true,
        identity: identity.to_string(),
    };
    call.output
        .give(&document("rekit/archive", &verified), |style| {
            ui::archives::verified(&verified, style)
        });
    Ok(Exit::Done)
}

/// Returns the folder of an archive that is given as one, or by its name in rekit's own directory.
fn find(call: &Call<'_>, archive: &Path) -> Result<PathBuf, Failure> {
    let kept = call.silent().home_path().join("archives").join(archive);
    let given = call.surroundings.working_folder().join(archive);
    let path = [given, kept]
        .into_iter()
        .find(|path| host::status(path).is_ok());
    path.ok_or_else(|| {
        let message = format!("there is no archive `{}`", archive.display());
        Failure::new(Exit::Misuse, "no-archive", message)
            .then("`rekit backup list` lists the archives")
    })
}

/// Returns the volume that an archived state was in.
fn volume(path: &Path) -> Result<VolumeName, Failure> {
    let held = content(path).map_err(|why| no_archive(path, why))?;
    let volume = held.volume.and_then(|volume| volume.parse().ok());
    volume.ok_or_else(|| {
        let shown = path.display();
        let message = match held.folder {
            Some(folder) => format!("archive `{shown}` holds the folder `{folder}`, and no state of a builder"),
            None => format!("archive `{shown}` holds {}, and no state of a builder", held.kind),
        };
        Failure::new(Exit::Misuse, "archive-unusable", message)
            .then("`rekit backup verify` reads every byte of it back; `RESTORE.md` in it says how to use it by hand")
    })
}

fn no_archive(path: &Path, why: String) -> Failure {
    let message = format!("`{}` is no whole archive", path.display());
    Failure::new(Exit::Misuse, "archive-unusable", message)
        .because(why)
        .then("`rekit backup list` lists the archives")
}

/// Reads every byte of an archive back, and shows how far it is.
async fn read_back(call: &Call<'_>, path: &Path) -> Result<Digest, Failure> {
    let progress = ui::progress::Reading::new(call.output);
    let listener = |event| progress.tell(&event);
    let verified = call.looking(verify_archive(path, &listener)).await;
    progress.end();
    verified?.map_err(|error| {
        let failure = failure::world(&error);
        Failure {
            code: "archive-faulty",
            ..failure
        }
        .then("do not rely on this archive; make a new one with `rekit backup create`")
    })
}

fn list(call: &Call<'_>) -> Result<Exit, Failure> {
    let home = call.silent().home_path();
    let archives = archives(&home).map_err(|error| {
        let message = format!("the archives in `{}` cannot be listed", home.display());
        Failure::new(Exit::Failed, "home", message).because(error.to_string())
    })?;
    let archives = Archives {
        archives: archives.into_iter().map(Into::into).collect(),
    };
    let archives = document("rekit/archives", archives);
    call.output.give(&archives, |style| {
        ui::archives::archives(&archives.body.archives, style)
    });
    Ok(Exit::Done)
}
