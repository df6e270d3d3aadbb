//! Proves that the cache works: made, hit, and invalidated by a changed input as far as the change reaches, no farther.
//!
//! Three runs in a chain on a file that holds the program: `steady`, `changing` with the input as an argument, and `following`, which has no
//! input of its own but builds on `changing`. The file itself is no witness: the daemon announces a step without inputs as not cached
//! whenever it computes its key, also when it never runs it (`solver/jobs.go`, `sharedOp.CacheMap`, BuildKit 0.32.2).
use std::time::{Duration, Instant};

use super::elf::{Architecture, program};
use super::run::{Nonce, ProbeError, forget, program_path};
use crate::control::{BuildRef, BuildReport, Control, Platform, SolveRequest};
use crate::llb::{Builder, Cache, Definition, File, Step};

/// What happened to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// Answered from the cache.
    pub cached: bool,
    /// How long it ran; zero when the daemon does not say.
    pub took: Duration,
}

/// One solve of the three runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Always alike.
    pub steady: StepOutcome,
    /// Depends on the input.
    pub changing: StepOutcome,
    /// Depends on `changing`.
    pub following: StepOutcome,
    /// From the request to its end.
    pub took: Duration,
}

impl Round {
    /// Which of steady, changing and following came from the cache.
    pub fn cached(&self) -> [bool; 3] {
        [
            self.steady.cached,
            self.changing.cached,
            self.following.cached,
        ]
    }
}

/// Three rounds of one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheReport {
    /// With an empty cache.
    pub made: Round,
    /// The same again.
    pub hit: Round,
    /// With another input.
    pub invalidated: Round,
    /// Cache records that were removed again.
    pub removed: usize,
}

impl CacheReport {
    /// Nothing cached at first, everything the second time, and then only what does not depend on the change.
    pub fn is_sound(&self) -> bool {
        self.made.cached() == [false; 3]
            && self.hit.cached() == [true; 3]
            && self.invalidated.cached() == [true, false, false]
    }
}

/// Runs the three rounds and removes what they left. `timeout` is for each round. `platform` should be the daemon's own: this probe is
/// about its cache, not about emulation.
pub async fn run_cache_probe(
    control: &Control,
    platform: &Platform,
    nonce: &Nonce,
    timeout: Duration,
) -> Result<CacheReport, ProbeError> {
    let ran = rounds(control, platform, nonce, timeout).await;
    let removed = forget(control, nonce).await;
    let report = ran?;
    Ok(CacheReport {
        removed: removed?,
        ..report
    })
}

async fn rounds(
    control: &Control,
    platform: &Platform,
    nonce: &Nonce,
    timeout: Duration,
) -> Result<CacheReport, ProbeError> {
    let round = |number, input| cache_round(control, platform, nonce, (number, input), timeout);
    let made = round(1, "one").await?;
    let hit = round(2, "one").await?;
    Ok(CacheReport {
        made,
        hit,
        invalidated: round(3, "two").await?,
        removed: 0,
    })
}

/// Runs one round: `(number, input)` are a number not yet used with this nonce, and what the last step depends on. Leaves its records, so
/// that a cache can be tried before and after something happens to its daemon; end with [`forget`].
pub async fn cache_round(
    control: &Control,
    platform: &Platform,
    nonce: &Nonce,
    (number, input): (u32, &str),
    timeout: Duration,
) -> Result<Round, ProbeError> {
    let architecture = Architecture::of(platform).ok_or_else(|| ProbeError::NoProgram {
        platform: platform.clone(),
    })?;
    let (definition, [steady, changing, following]) = chain(platform, architecture, nonce, input);
    let request = SolveRequest {
        reference: BuildRef(format!("probe-{nonce}-{number}")),
        definition,
        internal: true,
    };

    let begin = Instant::now();
    let report = control.solve_and_watch(request, timeout).await;
    let report = report.map_err(|source| ProbeError::Run {
        platform: platform.clone(),
        source,
    })?;
    let took = begin.elapsed();
    if let Some(reason) = report.failure {
        return Err(ProbeError::Failed {
            platform: platform.clone(),
            reason,
            said: String::new(),
        });
    }
    let outcome = |step: &Step| {
        outcome(&report, step).ok_or_else(|| ProbeError::NoReport {
            platform: platform.clone(),
        })
    };
    Ok(Round {
        steady: outcome(&steady)?,
        changing: outcome(&changing)?,
        following: outcome(&following)?,
        took,
    })
}

/// The definition of one round, and the steps that are its witnesses.
fn chain(
    platform: &Platform,
    architecture: Architecture,
    nonce: &Nonce,
    input: &str,
) -> (Definition, [Step; 3]) {
    let path = program_path(nonce);
    let mut builder = Builder::new(platform.clone());
    let data = program(architecture, &format!("cache probe {nonce}\n"));
    let file = File {
        path: &path,
        mode: 0o755,
        data: &data,
    };
    let seed = builder.file(None, &file, &format!("write {path}"));
    let steady = builder.run(
        &seed,
        &[&path, "steady"],
        &format!("run {path} steady"),
        Cache::Use,
    );
    let changing = builder.run(
        &steady,
        &[&path, input],
        &format!("run {path} {input}"),
        Cache::Use,
    );
    let following = builder.run(
        &changing,
        &[&path, "following"],
        &format!("run {path} following"),
        Cache::Use,
    );
    (builder.finish(&following), [steady, changing, following])
}

fn outcome(report: &BuildReport, step: &Step) -> Option<StepOutcome> {
    let vertex = report.vertex(step)?;
    Some(StepOutcome {
        cached: vertex.cached,
        took: vertex.duration().unwrap_or_default(),
    })
}
