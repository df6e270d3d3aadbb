//! What is tried of a builder for a measure. Each trial leaves nothing behind and starts nothing.

use std::collections::BTreeSet;

use rekit_buildkit::Control;
use rekit_core::{
    event::Event,
    name::Platform,
    plan::Plan,
    step::{Action, Claim, DaemonPlace},
};

use super::{
    Answer, RealWorld,
    front_end::{self, FrontEnd},
    proof::{self, CONNECT, PROBE, connect, failed},
};

/// Asks a daemon who it is.
pub(super) async fn daemon(world: &RealWorld<'_>, daemon: &DaemonPlace) -> Answer<()> {
    let control = control(world, daemon).await?;
    let info = control.info(CONNECT).await;
    info.map(drop)
        .map_err(failed("the daemon does not tell its version".to_owned()))
}

/// Builds for a platform, cold and warm; returns the milliseconds of both.
pub(super) async fn build(
    world: &RealWorld<'_>,
    daemon: &DaemonPlace,
    platform: &Platform,
) -> Answer<(u64, u64)> {
    proof::try_cache(&control(world, daemon).await?, platform, PROBE).await
}

/// Builds with buildx or Compose, and removes what that left.
pub(super) async fn front_end(
    front: &FrontEnd<'_>,
    claim: &Claim,
    compose: bool,
    listener: &dyn Fn(Event),
) -> Answer<()> {
    let name = if compose { "compose" } else { "buildx" };
    listener(Event::Waiting {
        what: format!("{}: docker {name} build", claim.builder),
        seconds: 0,
        limit: 0,
    });
    let built = if compose {
        front.compose().await
    } else {
        front.buildx().await
    };
    let forgotten = front.forget().await;
    built?;
    forgotten
}

async fn control(world: &RealWorld<'_>, daemon: &DaemonPlace) -> Answer<Control> {
    connect(world.engine(&daemon.host).await?, daemon.container.as_ref()).await
}

impl RealWorld<'_> {
    /// Removes what trials of a plan left that were broken off, on the engines that it tries.
    pub(crate) async fn forget_broken_trials(&self, plan: &Plan) {
        let claims = plan.steps.iter().flat_map(|step| match &step.action {
            Action::TakeBaseline { builders, .. } | Action::Validate { builders, .. } => {
                builders.as_slice()
            }
            _ => &[],
        });
        let hosts: BTreeSet<_> = claims
            .flat_map(|claim| &claim.daemons)
            .map(|daemon| &daemon.host)
            .collect();
        for host in hosts {
            if let Ok(engine) = self.engine(host).await {
                front_end::sweep(&engine).await;
            }
        }
    }
}
