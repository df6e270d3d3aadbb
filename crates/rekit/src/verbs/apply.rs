//! `rekit apply FILE`: a plan that was written before, if the world has not moved where it matters.

use std::path::{Path, PathBuf};

use rekit_core::plan::Plan;
use rekit_run::world::host;

use crate::{
    call::Call,
    change,
    exit::Exit,
    failure::Failure,
    ui::{place::underlined, plan::Room},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The plan, as `rekit plan --out FILE` writes it
    file: PathBuf,
    /// Where a criterion fails, stand still and let a person decide, instead of going back
    #[arg(long)]
    no_auto_rollback: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let mut plan = read(call, &arguments.file)?;
    plan.decided_by_hand |= arguments.no_auto_rollback;
    call.refuse_open_run()?;
    let told = change::carry_out(call, plan, &Room::default()).await?;
    Ok(told.exit)
}

fn read(call: &Call<'_>, file: &Path) -> Result<Plan, Failure> {
    let path = call.surroundings.working_folder().join(file);
    let shown = file.display();
    let text = host::read_text(&path).map_err(|error| {
        Failure::new(
            Exit::Misuse,
            "plan-unreadable",
            format!("`{shown}` cannot be read"),
        )
        .because(error.to_string())
        .then("`rekit plan --out FILE` writes a plan")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let excerpt = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let message = format!("{shown}:{line}:{column}: this is no plan that this rekit knows");
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        Failure::new(Exit::Misuse, "plan-invalid", message)
            .because(why)
            .at(underlined(line, column, 1, excerpt))
            .then("do not edit a plan by hand: `rekit plan --out FILE` makes a new one")
    })
}
