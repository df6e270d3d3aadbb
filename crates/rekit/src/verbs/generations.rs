//! `rekit generations`: the installed sets of builders, oldest first; `rekit generations diff`: what differs between two of them.

use clap::Subcommand;
use rekit_core::{difference::difference, rollback::NoWayBack};
use rekit_run::session::SessionError;

use crate::{
    call::Call,
    document::{Generations, document},
    exit::Exit,
    failure::Failure,
    ui,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say what differs between two generations
    Diff {
        /// The one; without it, the one before the last change
        #[arg(value_name = "FROM")]
        from: Option<u32>,
        /// The other; without it, the one in force
        #[arg(value_name = "TO")]
        to: Option<u32>,
    },
}

pub(crate) fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    match arguments.verb {
        None => list(call),
        Some(Verb::Diff { from, to }) => diff(call, from, to),
    }
}

fn list(call: &Call<'_>) -> Result<Exit, Failure> {
    let generations = call.silent().history()?.generations();
    let generations = document("rekit/generations", Generations { generations });
    call.output.give(&generations, |style| {
        ui::generations::generations(&generations.body.generations, style)
    });
    call.remind();
    Ok(Exit::Done)
}

fn diff(call: &Call<'_>, from: Option<u32>, to: Option<u32>) -> Result<Exit, Failure> {
    let history = call.silent().history()?;
    let from = from.or_else(|| history.previous());
    let from = from.ok_or(SessionError::NoWayBack(NoWayBack::NothingBefore))?;
    let to = to.unwrap_or_else(|| history.current());
    let unknown = || {
        let never = [from, to].map(|number| history.position(number).is_none().then_some(number));
        let never = never.into_iter().flatten().next().unwrap_or(to);
        SessionError::NoWayBack(NoWayBack::Unknown(never))
    };
    let found = difference(&history, from, to).ok_or_else(unknown)?;
    let found = document("rekit/difference", found);
    call.output.give(&found, |style| {
        ui::generations::difference(&found.body, style)
    });
    Ok(Exit::Done)
}
