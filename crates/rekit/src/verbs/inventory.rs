//! `rekit inventory`: everything found, as it is.

use crate::{call::Call, exit::Exit, failure::Failure, ui};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let inventory = call.look_quickly().await?;
    call.output.give(&inventory, |style| {
        ui::inventory::inventory(&inventory, style)
    });
    Ok(Exit::Done)
}
