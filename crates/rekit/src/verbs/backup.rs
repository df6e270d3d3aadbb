//! `rekit backup`: archives are made, read back, tried, listed, brought back, and removed.

mod create;
mod export;
mod import;
mod prune;
mod rehearse;
mod sealing;
mod show;

use std::path::{Path, PathBuf};

use rekit_core::{
    mounts::{ArchivedMount, MountRestore},
    name::{BuilderName, Digest, NameError, VolumeName},
    reinstall::{Restore, Wishes},
    step::StateSource,
};
use rekit_run::{
    archives::{archives, content, mounts},
    session::verify_archive,
    world::host,
};

use super::plan;
use crate::{
    call::Call,
    change,
    document::{Archives, VerifiedArchive, document},
    exit::Exit,
    failure::{self, Failure},
    goal_file,
    ui::{self, plan::Room},
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Archive builders: their configuration, and each node's state
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
    /// Bring an archived state back into a builder
    ///
    /// A new node on a copy of the archived state takes the place of the builder's present one, which is parked with an archive of its
    /// own: `rekit rollback` goes back to it. Archived cache mounts go into the builder as it is, each only where it is empty.
    Restore {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
        /// The builder that gets the state; made where it is not there. Without it: the builder that the archive was made of
        #[arg(long, value_name = "NAME")]
        builder: Option<String>,
        /// Cut builds that still run when the wait for them is over
        #[arg(long)]
        cut_running_builds: bool,
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
            cut_running_builds,
        } => {
            let wishes = Wishes {
                cut_running_builds,
                ..Wishes::default()
            };
            restore(call, &archive, builder, &wishes).await
        }
    }
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

async fn restore(
    call: &Call<'_>,
    archive: &Path,
    builder: Option<String>,
    wishes: &Wishes,
) -> Result<Exit, Failure> {
    let builder: Option<BuilderName> = builder
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: NameError| Failure::of(Exit::Misuse, "usage", &error))?;
    call.refuse_open_run()?;
    let path = find(call, archive)?;
    let held = mounts(&path).map_err(|why| no_archive(&path, why))?;
    if let Some((made_of, mounts)) = held {
        let builder = builder.map_or(made_of, |name| name.to_string());
        return restore_mounts(call, &path, builder, mounts).await;
    }
    let volume = volume(&path)?;
    let identity = read_back(call, &path).await?;
    let goal = goal_file::read(call, None)?;
    let inventory = call.look().await?;
    let archive = host::host_path(&path);
    let restore = Restore {
        source: StateSource { archive, identity },
        volume,
        builder,
    };
    let session = call.silent();
    let planned = session.plan_restore(&inventory, &goal, &restore, wishes);
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}

async fn restore_mounts(
    call: &Call<'_>,
    path: &Path,
    builder: String,
    mounts: Vec<ArchivedMount>,
) -> Result<Exit, Failure> {
    let identity = read_back(call, path).await?;
    let inventory = call.look().await?;
    let restore = MountRestore {
        source: StateSource {
            archive: host::host_path(path),
            identity,
        },
        mounts,
        builder,
    };
    let plan = call.silent().plan_mounts(&inventory, &restore)?;
    Ok(change::carry_out(call, plan, &Room::default()).await?.exit)
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
    let content = content(path).map_err(|why| no_archive(path, why))?;
    let volume = content.volume.and_then(|volume| volume.parse().ok());
    volume.ok_or_else(|| {
        let (shown, kind) = (path.display(), content.kind);
        let message = format!("archive `{shown}` holds {kind}, and no state of a builder");
        Failure::new(Exit::Misuse, "archive-unusable", message)
            .then("`RESTORE.md` in the archive says how to bring its files back; `rekit rollback` brings back what a run changed")
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
