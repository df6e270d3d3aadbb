//! Cache mounts brought into a builder.
//!
//! Invariant: an import only adds. What it takes back is what was not there before it.

use rekit_core::{
    mounts::ArchivedMount,
    step::{BuildPlace, StateSource},
    undo::{Outcome, Undo},
};

use crate::world::{ChangeWorld, ReadWorld, WorldError};

pub(super) async fn prepare_import<W: ReadWorld>(
    place: &BuildPlace,
    mounts: &[ArchivedMount],
    world: &W,
) -> Result<Undo, WorldError> {
    let mut ids: Vec<_> = mounts.iter().map(|it| it.mount.id.clone()).collect();
    ids.sort();
    ids.dedup();
    Ok(Undo::ForgetMounts {
        place: place.clone(),
        ids,
        known: world.mount_records(place).await?,
    })
}

pub(super) async fn import<W: ChangeWorld>(
    source: &StateSource,
    place: &BuildPlace,
    mounts: &[ArchivedMount],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.verify_source(source).await?;
    world.import_mounts(source, place, mounts).await?;
    Ok(Outcome::Done {})
}
