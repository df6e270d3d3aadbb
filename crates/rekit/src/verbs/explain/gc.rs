//! `rekit explain gc`: what each daemon's garbage collection deletes next, when, and what never.

use crate::{call::Call, exit::Exit, failure::Failure, ui};

/// The word that asks for it. A file of this name is `./gc`.
pub(super) const TOPIC: &str = "gc";

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// With `gc`: the builder, node, context or address to tell of, instead of all
    #[arg(value_name = "BUILDER")]
    of: Option<String>,
}

impl Named {
    /// Refuses a builder behind anything else.
    pub(super) fn refuse_without(&self, what: Option<&str>) -> Result<(), Failure> {
        match &self.of {
            Some(of) if what != Some(TOPIC) => {
                let message = format!("`{of}` is one word too many");
                Err(Failure::new(Exit::Misuse, "usage", message)
                    .then("only `rekit explain gc` takes a builder behind it"))
            }
            _ => Ok(()),
        }
    }
}

pub(super) async fn run(call: &Call<'_>, named: &Named) -> Result<Exit, Failure> {
    let inventory = call.look().await?;
    let session = call.silent();
    let of = named.of.as_deref();
    let told = call
        .looking(Box::pin(session.collections(&inventory, of)))
        .await?;
    let told = told.ok_or_else(|| {
        let name = of.unwrap_or_default();
        let message = format!("there is no builder, node, context or address `{name}`");
        Failure::new(Exit::Misuse, "unknown-builder", message)
            .then("`rekit explain gc` tells of all that there are")
    })?;
    call.output
        .give(&told, |style| ui::collection::collection(&told, style));
    Ok(Exit::Done)
}
