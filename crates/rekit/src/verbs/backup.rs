//! `rekit backup`: archives are made, read back, and listed.

use std::path::PathBuf;

use rekit_run::{archives::archives, session::verify_archive, world::host};

use crate::{
    call::Call,
    change,
    document::{Archives, VerifiedArchive, document},
    exit::Exit,
    failure::{self, Failure},
    ui,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Archive builders: their configuration, and each node's stopped state
    ///
    /// A node stops while its state is archived, once no build runs on it, and starts again afterwards. The last line on stdout is the
    /// path of the last builder's archive.
    Create {
        /// The builders; none named: all
        #[arg(value_name = "BUILDER")]
        builders: Vec<String>,
    },
    /// Read every byte of an archive back
    Verify {
        /// The archive: its folder, or its name in rekit's own directory
        archive: PathBuf,
    },
    /// List the archives in rekit's own directory
    List,
}

pub(crate) async fn run(call: &Call<'_>, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Create { builders } => create(call, &builders).await,
        Verb::Verify { archive } => verify(call, archive).await,
        Verb::List => list(call),
    }
}

async fn create(call: &Call<'_>, builders: &[String]) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let inventory = call.look().await?;
    let plan = call.silent().plan_backup(&inventory, builders)?;
    let room = ui::plan::room(&plan, &inventory);
    let told = change::carry_out(call, plan, &room).await?;
    let archives = &told.outcomes.archives;
    let last = archives
        .iter()
        .rfind(|archive| archive.state)
        .or(archives.last());
    if let Some(last) = last.filter(|_| told.exit == Exit::Done && !call.output.is_json()) {
        call.output.data(&format!("{}\n", last.path));
    }
    Ok(told.exit)
}

async fn verify(call: &Call<'_>, archive: PathBuf) -> Result<Exit, Failure> {
    let kept = call.silent().home_path().join("archives").join(&archive);
    let given = call.surroundings.working_folder().join(&archive);
    let path = [given, kept]
        .into_iter()
        .find(|path| host::status(path).is_ok());
    let path = path.ok_or_else(|| {
        let message = format!("there is no archive `{}`", archive.display());
        Failure::new(Exit::Misuse, "no-archive", message)
            .then("`rekit backup list` lists the archives")
    })?;
    let progress = ui::progress::Reading::new(call.output);
    let listener = |event| progress.tell(&event);
    let verified = call.looking(verify_archive(&path, &listener)).await;
    progress.end();
    let identity = verified?.map_err(|error| {
        let failure = failure::world(&error);
        Failure {
            code: "archive-faulty",
            ..failure
        }
        .then("do not rely on this archive; make a new one with `rekit backup create`")
    })?;
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
