//! `rekit explain front-ends`: which builder each front end takes, by rule, and with `--trial` as a real build shows it.

use std::time::Duration;

use rekit_core::front_ends::front_ends;

use crate::{call::Call, exit::Exit, failure::Failure, ui};

/// The word that asks for it.
pub(super) const TOPIC: &str = "front-ends";

#[derive(Debug, clap::Args)]
pub(super) struct Trial {
    /// With `front-ends`: build a file of a few bytes with each of them and compare. A builder that stands still is started by that, as by
    /// any build; your store is not written to, and images and cache of the trial are removed
    #[arg(long)]
    trial: bool,
    /// With `--trial`: how long each build may take; then it is ended with its children
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600), requires = "trial")]
    deadline: u64,
}

impl Trial {
    /// Refuses a trial of anything but the front ends.
    pub(super) fn refuse_without(&self, what: Option<&str>) -> Result<(), Failure> {
        if !self.trial || what == Some(TOPIC) {
            return Ok(());
        }
        let message = "`--trial` builds with the front ends and goes with nothing else";
        Err(Failure::new(Exit::Misuse, "usage", message).then("`rekit explain front-ends --trial`"))
    }
}

pub(super) async fn run(call: &Call<'_>, asked: &Trial) -> Result<Exit, Failure> {
    let inventory = call.look().await?;
    let mut found = front_ends(&inventory);
    if asked.trial {
        call.output.note("Building with every front end …\n");
        let limit = Duration::from_secs(asked.deadline);
        let session = call.silent();
        // A trial that is cut would leave its trace, so that this is not cut like other looks.
        let tried = call
            .changing(Box::pin(session.try_front_ends(&inventory, &found, limit)))
            .await??;
        for left in &tried.left {
            call.output.note(&format!("not removed: {left}\n"));
        }
        found = found.tried(tried.trials);
    }
    call.output
        .give(&found, |style| ui::front_ends::front_ends(&found, style));
    Ok(if found.differs() {
        Exit::Care
    } else {
        Exit::Done
    })
}
