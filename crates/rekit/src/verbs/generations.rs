//! `rekit generations`: the installed sets of builders, oldest first.

use crate::{
    call::Call,
    document::{Generations, document},
    exit::Exit,
    failure::Failure,
    ui,
};

pub(crate) fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let generations = call.silent().history()?.generations();
    let generations = document("rekit/generations", Generations { generations });
    call.output.give(&generations, |style| {
        ui::generations::generations(&generations.body.generations, style)
    });
    Ok(Exit::Done)
}
