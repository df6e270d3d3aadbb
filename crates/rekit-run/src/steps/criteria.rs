//! Steps that measure and decide: the baseline, and the decision points that are compared with it.
//!
//! Invariants: a trial that fails is a measure, never an error of the step; what speaks against going on is tried again before it decides.

use std::error::Error;

use rekit_core::{
    criteria::{
        Criterion, Decision, FailedCriterion, Found, Judged, JudgedNode, Measure, Trial, Yardstick,
        faster, judge,
    },
    fact::chain,
    mask,
    name::{HostPath, Platform},
    step::{Action, Claim, DaemonPlace},
    undo::Outcome,
};

use super::Scene;
use crate::world::{ChangeWorld, ReadWorld, WorldError};

/// How often what speaks against going on is tried.
const TRIALS: u32 = 3;

/// Measures what the builders can do before anything changes.
pub(super) async fn take_baseline<W: ChangeWorld>(
    store: &HostPath,
    builders: &[Claim],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let measures = measure(store, builders, world).await?;
    Ok(Outcome::Baseline { measures })
}

/// Decides whether builds may go to a new node.
pub(super) async fn judge_node<W: ChangeWorld>(
    scene: &Scene<'_>,
    judged: &JudgedNode,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let Action::ProbeNode {
        host,
        container,
        platforms,
        ..
    } = scene.action
    else {
        unreachable!("BUG: not a probe")
    };
    let daemon = DaemonPlace {
        host: host.clone(),
        container: Some(container.clone()),
    };
    let claim = Claim {
        builder: judged.builder.clone(),
        daemons: vec![daemon],
        platforms: platforms.clone(),
    };
    let bench = Bench {
        store: None,
        claims: std::slice::from_ref(&claim),
        first: judged.node,
    };
    let now = bench.measure(world).await?;
    let (now, decision) = decide(scene, &bench, &judged.by, now, world).await?;
    let built = now
        .iter()
        .filter_map(|measure| match (&measure.trial, &measure.found) {
            (Trial::Build { platform, .. }, Found::Builds { cold_ms, .. }) => {
                Some((platform.clone(), *cold_ms))
            }
            _ => None,
        });
    Ok(Outcome::Probed {
        platforms: built.collect(),
        decision: Some(decision),
    })
}

/// Decides whether the run may end as it stands.
pub(super) async fn judge_builders<W: ChangeWorld>(
    scene: &Scene<'_>,
    by: &Yardstick,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let Action::Validate {
        store, builders, ..
    } = scene.action
    else {
        unreachable!("BUG: not a validation")
    };
    let bench = Bench {
        store: Some(store),
        claims: builders,
        first: 1,
    };
    let now = bench.measure(world).await?;
    let (now, decision) = decide(scene, &bench, by, now, world).await?;
    Ok(Outcome::Validated {
        proofs: now.iter().filter_map(proof).collect(),
        decision: Some(decision),
    })
}

/// Returns the failed criterion of a daemon that does not come up.
pub(super) fn not_started<W: ReadWorld>(
    what: &str,
    source: &(dyn Error + 'static),
    world: &W,
) -> WorldError {
    WorldError::Criterion {
        failed: FailedCriterion {
            criterion: Criterion::DaemonStarts,
            measure: mask::text(&format!("{what}: {}", chain(source))),
            limit: "its daemon answers within 60 s".to_owned(),
            at: world.time(),
        },
    }
}

/// What is measured.
struct Bench<'a> {
    /// buildx's store; `None`: no front end knows the builders' nodes yet.
    store: Option<&'a HostPath>,
    claims: &'a [Claim],
    /// The number of each builder's first node.
    first: u32,
}

impl Bench<'_> {
    /// Tries everything once.
    async fn measure<W: ChangeWorld>(&self, world: &mut W) -> Result<Vec<Measure>, WorldError> {
        let mut measures = Vec::new();
        for claim in self.claims {
            let mut answers = true;
            for trial in self.trials(claim) {
                let found = match &trial {
                    // A build would start a builder that stands still.
                    Trial::Buildx {} | Trial::Compose {} if !answers => Found::Fails {
                        why: "not tried, as not all of its daemons answer".to_owned(),
                    },
                    trial => self.attempt(claim, trial, world).await?,
                };
                answers &= found.is_good() || !matches!(trial, Trial::Daemon { .. });
                measures.push(Measure {
                    builder: claim.builder.clone(),
                    trial,
                    found,
                });
            }
        }
        Ok(measures)
    }

    /// Returns what is tried of a builder: its daemons first.
    fn trials(&self, claim: &Claim) -> Vec<Trial> {
        let nodes = (self.first..).zip(&claim.daemons);
        let daemons = nodes.clone().map(|(node, _)| Trial::Daemon { node });
        let builds = nodes.flat_map(|(node, _)| {
            let platforms = claim.platforms.iter();
            platforms.map(move |platform: &Platform| Trial::Build {
                node,
                platform: platform.clone(),
            })
        });
        let front_ends = self.store.map(|_| [Trial::Buildx {}, Trial::Compose {}]);
        daemons
            .chain(builds)
            .chain(front_ends.into_iter().flatten())
            .collect()
    }

    async fn attempt<W: ChangeWorld>(
        &self,
        claim: &Claim,
        trial: &Trial,
        world: &mut W,
    ) -> Result<Found, WorldError> {
        let daemon = |node: u32| {
            let place = usize::try_from(node - self.first).unwrap_or(usize::MAX);
            claim.daemons.get(place)
        };
        let works = |answer: Result<(), WorldError>| answer.map(|()| Found::Works {});
        let found = match (trial, self.store) {
            (Trial::Daemon { node }, _) => match daemon(*node) {
                Some(daemon) => works(world.try_daemon(daemon).await),
                None => return Ok(absent()),
            },
            (Trial::Build { node, platform }, _) => match daemon(*node) {
                Some(daemon) => world
                    .try_build(daemon, platform)
                    .await
                    .map(|(cold_ms, warm_ms)| Found::Builds { cold_ms, warm_ms }),
                None => return Ok(absent()),
            },
            (Trial::Buildx {}, Some(store)) => {
                works(world.try_front_end(store, claim, false).await)
            }
            (Trial::Compose {}, Some(store)) => {
                works(world.try_front_end(store, claim, true).await)
            }
            (Trial::Buildx {} | Trial::Compose {}, None) => return Ok(absent()),
        };
        match found {
            Ok(found) => Ok(found),
            Err(error @ (WorldError::Crashed | WorldError::Interrupted)) => Err(error),
            Err(error) => Ok(Found::Fails {
                why: mask::text(&chain(&error)),
            }),
        }
    }
}

fn absent() -> Found {
    Found::Fails {
        why: "there is nothing to try it on".to_owned(),
    }
}

/// Measures builders with their front ends.
async fn measure<W: ChangeWorld>(
    store: &HostPath,
    claims: &[Claim],
    world: &mut W,
) -> Result<Vec<Measure>, WorldError> {
    let bench = Bench {
        store: Some(store),
        claims,
        first: 1,
    };
    bench.measure(world).await
}

/// Returns what was decided and on which measures; fails with the criterion that failed, unless a person accepted it.
async fn decide<W: ChangeWorld>(
    scene: &Scene<'_>,
    bench: &Bench<'_>,
    by: &Yardstick,
    mut now: Vec<Measure>,
    world: &mut W,
) -> Result<(Vec<Measure>, Decision), WorldError> {
    let made = bench.claims.iter().filter(|claim| {
        let mut daemons = claim.daemons.iter();
        daemons.any(|daemon| daemon.container.is_some())
    });
    let own: Vec<_> = made.map(|claim| claim.builder.clone()).collect();
    // What a person accepted needs no second trial.
    let further = if scene.accepted { 0 } else { TRIALS - 1 };
    for _ in 0..further {
        for doubt in doubtful(&judged(scene, &own, by, &now)) {
            let mut claims = bench.claims.iter();
            let Some(claim) = claims.find(|claim| claim.builder == doubt.builder) else {
                continue;
            };
            let again = bench.attempt(claim, &doubt.trial, world).await?;
            let same = |it: &&mut Measure| it.builder == doubt.builder && it.trial == doubt.trial;
            if let Some(measure) = now.iter_mut().find(same) {
                measure.found = faster(doubt.found, again);
            }
        }
    }
    let (verdicts, told) = judge(judged(scene, &own, by, &now));
    let decision = Decision {
        at: world.time(),
        verdicts,
        told,
    };
    match decision.failed().filter(|_| !scene.accepted) {
        Some(failed) => Err(WorldError::Criterion { failed }),
        None => Ok((now, decision)),
    }
}

fn judged<'a>(
    scene: &Scene<'a>,
    own: &'a [String],
    by: &'a Yardstick,
    now: &'a [Measure],
) -> Judged<'a> {
    Judged {
        before: scene.baseline,
        now,
        own,
        by,
    }
}

fn doubtful(judged: &Judged<'_>) -> Vec<Measure> {
    judged.doubtful().into_iter().cloned().collect()
}

/// Returns what a measure proves.
fn proof(measure: &Measure) -> Option<String> {
    let Measure {
        builder,
        trial,
        found,
    } = measure;
    match (trial, found) {
        (Trial::Daemon { .. }, _) | (_, Found::Fails { .. }) => None,
        (trial, Found::Builds { cold_ms, warm_ms }) => Some(format!(
            "{builder}: {trial} builds: cache made ({cold_ms} ms), hit ({warm_ms} ms), invalidated only where an input changed"
        )),
        (trial, Found::Works {}) => Some(format!("{builder}: {trial} builds")),
    }
}
