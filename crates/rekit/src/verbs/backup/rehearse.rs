//! `rekit backup rehearse ARCHIVE`: a state is proven by using it, on an engine's container and volume that are gone afterwards.

use std::path::Path;

use rekit_core::rehearsal::Rehearsal;
use rekit_run::{rehearse::Played, world::real::NotProven};

use super::{find, read_back, volume};
use crate::{
    call::Call,
    exit::Exit,
    failure::{self, Failure},
    ui,
};

/// What `state` says when all that a rehearsal made is gone again.
const CLEARED: &str =
    "the rehearsal's own container and volume are gone again; nothing else was touched";

pub(super) async fn run(call: &Call<'_>, archive: &Path) -> Result<Exit, Failure> {
    // Said before the archive is read, which takes its time.
    call.open_run()?;
    let path = find(call, archive)?;
    let volume = volume(&path)?;
    let identity = read_back(call, &path).await?;
    let inventory = call.look().await?;
    let progress = ui::progress::Reading::new(call.output);
    let listener = |event| progress.tell(&event);
    let session = call.session(&listener);
    // What it made goes before the program ends, so that it is not cut like a look.
    let played = call
        .changing(Box::pin(
            session.rehearse(&inventory, &path, &volume, &identity),
        ))
        .await;
    progress.end();
    let played = played??.ok_or_else(|| {
        let message =
            format!("no engine here is known to be the one that volume `{volume}` was on");
        Failure::new(Exit::Refused, "no-engine", message).then(
            "`rekit inventory` lists the engines; name the right one with DOCKER_HOST or a builder",
        )
    })?;
    let rehearsal = sound(played, &path)?;
    call.output.give(&rehearsal, |style| {
        ui::archives::rehearsed(&rehearsal, style)
    });
    Ok(Exit::Done)
}

/// Returns what was proven, or the failure, what is still on the engine included.
fn sound(played: Played, path: &Path) -> Result<Rehearsal, Failure> {
    let failure = match played.outcome {
        Ok(rehearsal) if played.left_behind.is_empty() => return Ok(rehearsal),
        Ok(_) => {
            let message = "the archive is sound, but what the rehearsal made cannot be removed";
            Failure::new(Exit::Care, "left-behind", message)
        }
        Err(why) => failure(&why, path),
    };
    if played.left_behind.is_empty() {
        // What was refused before anything was made says so itself.
        let refused = failure.exit == Exit::Refused || failure.exit == Exit::Misuse;
        return Err(if refused {
            failure
        } else {
            failure.standing(CLEARED)
        });
    }
    let state = format!(
        "a container or volume of the rehearsal is still on engine `{}`; nothing else was touched",
        played.engine
    );
    let next = "the next rehearsal removes it; to do it by hand:".to_owned();
    let next = std::iter::once(next).chain(played.left_behind);
    Err(next.fold(failure.standing(state), Failure::then))
}

fn failure(why: &NotProven, path: &Path) -> Failure {
    let shown = path.display();
    match why {
        NotProven::Unsound(unsound) => {
            let message = format!("archive `{shown}` does not bring its cache back");
            Failure::new(Exit::Failed, "archive-unusable-cache", message)
                .because(unsound.to_string())
                .then("do not rely on this archive; make a new one with `rekit backup create`, and rehearse it")
        }
        NotProven::NoDescription(_) => Failure::of(Exit::Misuse, "archive-unusable", why)
            .then("`rekit backup restore` brings it back into a builder all the same"),
        NotProven::NoImage { image, .. } => Failure::of(Exit::Refused, "no-image", why).then(
            format!("`docker pull {image}` on that engine, or `docker load`, then rehearse again"),
        ),
        NotProven::NoRoom { .. } => Failure::of(Exit::Refused, "no-room", why)
            .then("make room on the engine's disk: `docker system df` says what takes it"),
        NotProven::World(error) => failure::world(error),
    }
}
