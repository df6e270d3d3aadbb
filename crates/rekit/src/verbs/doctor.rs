//! `rekit doctor`: what is wrong, why, and how to mend it; with `--fix` it is mended, as far as a person agrees.

mod bundle;

use std::path::PathBuf;

use rekit_core::{
    doctor::{examine, explain},
    finding::Diagnosis,
    inventory::Inventory,
    reinstall::Consent,
};

use super::plan;
use crate::{call::Call, exit::Exit, failure::Failure, goal_file, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Try a build on every daemon that answers too, and read the databases of every state on copies: seconds to minutes
    #[arg(long)]
    deep: bool,
    /// Mend what needs nobody's consent, by a plan that is shown and asked about first
    #[arg(long)]
    fix: bool,
    /// Mend these findings too, which cost a container, a record or a file of yours; `all`: every warning and error
    #[arg(long, value_name = "CODE", value_delimiter = ',', requires = "fix")]
    consent: Vec<String>,
    /// Put all that a helper needs into one new tar, secrets hidden; `-` writes it to stdout. Changes nothing
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    bundle: Option<PathBuf>,
}

impl Arguments {
    /// Returns what a person agreed to; a code that no check has is wrong use.
    fn agreed(&self) -> Result<Consent, Failure> {
        if self.consent.iter().any(|code| code == "all") {
            return Ok(Consent::Alarms);
        }
        if let Some(unknown) = self.consent.iter().find(|code| explain(code).is_none()) {
            let message = format!("no finding has the code `{unknown}`");
            return Err(Failure::new(Exit::Misuse, "unknown-code", message)
                .then("`rekit doctor` prints the code in front of each finding"));
        }
        Ok(match self.consent.as_slice() {
            [] => Consent::None,
            codes => Consent::Codes(codes.to_vec()),
        })
    }
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(file) = &arguments.bundle {
        return bundle::run(call, file, arguments.deep).await;
    }
    if arguments.fix {
        return fix(call, &arguments.agreed()?, arguments.deep).await;
    }
    let inventory = if arguments.deep {
        look(call, true).await?
    } else {
        call.look_quickly().await?
    };
    let diagnosis = examine(&inventory);
    call.output
        .give(&diagnosis, |style| ui::doctor::doctor(&diagnosis, style));
    call.remind();
    Ok(exit(&diagnosis))
}

/// Returns everything found, with builds and databases if it shall be a deep look.
async fn look(call: &Call<'_>, deep: bool) -> Result<Inventory, Failure> {
    let mut inventory = call.look().await?;
    if deep {
        let session = call.silent();
        call.looking(Box::pin(session.look_deeper(&mut inventory)))
            .await?;
    }
    Ok(inventory)
}

/// Mends, then looks again: what is left needs care.
async fn fix(call: &Call<'_>, consent: &Consent, deep: bool) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let goal = goal_file::read(call, None)?;
    let inventory = look(call, deep).await?;
    let session = call.silent();
    let planned = session.plan_fix(&inventory, &goal, consent);
    let told = plan::carry_out(call, &inventory, planned).await?;
    if told.exit != Exit::Done {
        return Ok(told.exit);
    }
    let diagnosis = examine(&look(call, deep).await?);
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
