//! `rekit finalize`: ends the probation. What is parked goes, each after its archive was read back once more.

use crate::{call::Call, change, exit::Exit, failure::Failure, ui};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let inventory = call.look().await?;
    let plan = call.silent().plan_finalize(&inventory)?;
    let room = ui::plan::room(&plan, &inventory, &call.silent().past_archives(&plan));
    Ok(change::carry_out(call, plan, &room).await?.exit)
}
