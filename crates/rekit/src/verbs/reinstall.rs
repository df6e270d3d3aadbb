//! `rekit reinstall`: every builder on a fresh, proven node, with a way back.

use super::plan;
use crate::{call::Call, change, exit::Exit, failure::Failure};

pub(crate) async fn run(call: &Call<'_>, aims: plan::Aims) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let (plan, room) = plan::reinstall(call, &aims).await?;
    Ok(change::carry_out(call, plan, &room).await?.exit)
}
