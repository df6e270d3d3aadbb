//! `rekit doctor`: what is wrong, why, and how to mend it; with `--fix` it is mended, as far as no new node is needed.

mod bundle;

use std::path::PathBuf;

use rekit_core::{doctor::examine, finding::Diagnosis};

use super::plan;
use crate::{call::Call, exit::Exit, failure::Failure, goal_file, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Mend what needs no new node, by a plan that is shown and asked about first
    #[arg(long)]
    fix: bool,
    /// Put all that a helper needs into one new tar, secrets hidden; `-` writes it to stdout. Changes nothing
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    bundle: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(file) = &arguments.bundle {
        return bundle::run(call, file).await;
    }
    if arguments.fix {
        return fix(call).await;
    }
    let diagnosis = examine(&call.look().await?);
    call.output
        .give(&diagnosis, |style| ui::doctor::doctor(&diagnosis, style));
    call.remind();
    Ok(exit(&diagnosis))
}

/// Mends, then looks again: what is left needs care.
async fn fix(call: &Call<'_>) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let goal = goal_file::read(call, None)?;
    let inventory = call.look().await?;
    let session = call.silent();
    let planned = session.plan_fix(&inventory, &goal);
    let told = plan::carry_out(call, &inventory, planned).await?;
    if told.exit != Exit::Done {
        return Ok(told.exit);
    }
    let diagnosis = examine(&call.look().await?);
    call.output
        .note(&ui::doctor::doctor(&diagnosis, &call.output.note_style));
    Ok(exit(&diagnosis))
}

fn exit(diagnosis: &Diagnosis) -> Exit {
    if diagnosis.healthy {
        Exit::Done
    } else {
        Exit::Care
    }
}
