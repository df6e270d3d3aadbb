//! `rekit doctor`: what is wrong, why, and how to mend it.

use rekit_core::doctor::examine;

use crate::{call::Call, exit::Exit, failure::Failure, ui};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let diagnosis = examine(&call.look().await?);
    call.output
        .give(&diagnosis, |style| ui::doctor::doctor(&diagnosis, style));
    Ok(if diagnosis.healthy {
        Exit::Done
    } else {
        Exit::Care
    })
}
