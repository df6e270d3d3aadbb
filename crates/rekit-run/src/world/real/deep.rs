//! What a deep look tries and reads. It leaves nothing behind.

use std::{path::PathBuf, time::Duration};

use rekit_archive::Contradiction;
use rekit_core::{
    collection::Reach,
    criteria::Found,
    deep::StateOnDisk,
    fact::{Fact, chain},
    mask,
    name::{ContainerName, HostId, Platform},
};

use super::{Answer, RealWorld, WorldError, helper, proof, records, stand_in};
use crate::world::path_of;

/// How long one build of a trial may take. One that hangs takes as long, and no longer.
const TRIAL: Duration = Duration::from_mins(1);

impl RealWorld<'_> {
    /// Builds on a daemon, cold, warm, and with one input changed.
    pub(crate) async fn try_build_on(&self, daemon: &Reach, platform: &Platform) -> Found {
        let tried = async {
            let control = records::connect(self, daemon).await?;
            proof::try_cache(&control, platform, TRIAL).await
        };
        verdict(tried.await)
    }

    /// Builds on a stand-in for a daemon that stands still.
    pub(crate) async fn try_stand_in(&self, host: &HostId, container: &ContainerName) -> Found {
        let tried = async {
            let engine = self.engine(host).await?;
            stand_in::try_build(&engine, container, TRIAL).await
        };
        verdict(tried.await)
    }

    /// Reads where a state contradicts itself: directly where that is possible, else through a helper container.
    pub(crate) async fn contradictions_of(&self, state: &StateOnDisk) -> Fact<Vec<String>> {
        match self.read_contradictions(state).await {
            Ok(found) => Fact::Known(found.iter().map(ToString::to_string).collect()),
            Err(error) => Fact::Unreadable {
                reason: mask::text(&chain(&error)),
            },
        }
    }

    async fn read_contradictions(&self, state: &StateOnDisk) -> Answer<Vec<Contradiction>> {
        match state {
            StateOnDisk::Folder(root) => directly(path_of(root)).await,
            StateOnDisk::Volume { host, volume } => {
                let engine = self.engine(host).await?;
                match helper::direct_path(&engine, volume).await? {
                    Some(path) => directly(path).await,
                    None => helper::check(&engine, volume).await,
                }
            }
        }
    }
}

fn verdict(tried: Answer<(u64, u64)>) -> Found {
    match tried {
        Ok((cold_ms, warm_ms)) => Found::Builds { cold_ms, warm_ms },
        Err(error) => Found::Fails {
            why: mask::text(&chain(&error)),
        },
    }
}

async fn directly(root: PathBuf) -> Answer<Vec<Contradiction>> {
    let what = format!("the state in `{}` cannot be read", root.display());
    let read = tokio::task::spawn_blocking(move || {
        rekit_archive::contradictions(&root, &std::env::temp_dir())
    });
    let read = read.await.map_err(std::io::Error::from).flatten();
    read.map_err(|error| WorldError::failed(what, error))
}
