//! One program on one platform, and the removal of what it leaves.
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::elf::{Architecture, program};
use crate::control::{
    BuildRef, Control, ControlError, ControlTimeouts, Platform, PruneScope, SolveRequest,
};
use crate::llb::{Builder, Cache, File};

/// How long records may stay in use after their build.
const RELEASE: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(50);

/// What tells the records of one probe from all others: chosen anew by the caller for each probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(String);

/// The text cannot be a nonce.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no nonce: 8 to 64 lower-case letters and digits")]
pub struct NonceError(pub String);

impl FromStr for Nonce {
    type Err = NonceError;

    fn from_str(text: &str) -> Result<Self, NonceError> {
        let fits = (8..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NonceError(text.to_owned()))
        }
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A probe that ran and said what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// The platform that works.
    pub platform: Platform,
    /// What the program said, without its newline.
    pub said: String,
    /// From the request to its end, removal not included.
    pub took: Duration,
    /// Cache records that were removed again.
    pub removed: usize,
}

/// Why a platform is not proved to work.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No program can be made for this platform: nothing is known about it.
    #[error("there is no probe for `{platform}`")]
    NoProgram {
        /// The platform.
        platform: Platform,
    },
    /// The daemon did not take or not end the build.
    #[error("could not run the probe for `{platform}`")]
    Run {
        /// The platform.
        platform: Platform,
        /// Why not.
        source: ControlError,
    },
    /// The program failed; without an emulator it says `exec format error`.
    #[error("the probe for `{platform}` failed: {reason}: {said}")]
    Failed {
        /// The platform.
        platform: Platform,
        /// BuildKit's words.
        reason: String,
        /// The step's output.
        said: String,
    },
    /// The program said something else than it should.
    #[error("the probe for `{platform}` said `{said}` instead of `{expected}`")]
    WrongText {
        /// The platform.
        platform: Platform,
        /// What it should say.
        expected: String,
        /// What it said.
        said: String,
    },
    /// The step is missing in the daemon's report.
    #[error("the daemon did not report on the probe for `{platform}`")]
    NoReport {
        /// The platform.
        platform: Platform,
    },
    /// What the probe left in the cache could not be removed.
    #[error("could not remove what the probe `{nonce}` left in the build cache")]
    Leftover {
        /// Whose records.
        nonce: Nonce,
        /// Why not.
        source: ControlError,
    },
    /// The records stayed in use.
    #[error("{count} records of the probe `{nonce}` are still in use")]
    InUse {
        /// Whose records.
        nonce: Nonce,
        /// How many.
        count: usize,
    },
}

/// Runs a program of `platform`, checks what it says and removes what it left, whether it went well or not.
/// `timeout` is for the run ([`ControlTimeouts::PROBE`] suits); the removal has its own.
pub async fn run_probe(
    control: &Control,
    platform: &Platform,
    nonce: &Nonce,
    timeout: Duration,
) -> Result<ProbeOutcome, ProbeError> {
    let ran = run(control, platform, nonce, timeout).await;
    let removed = forget(control, nonce).await;
    let outcome = ran?;
    Ok(ProbeOutcome {
        removed: removed?,
        ..outcome
    })
}

async fn run(
    control: &Control,
    platform: &Platform,
    nonce: &Nonce,
    timeout: Duration,
) -> Result<ProbeOutcome, ProbeError> {
    let architecture = Architecture::of(platform).ok_or_else(|| ProbeError::NoProgram {
        platform: platform.clone(),
    })?;
    let expected = format!("probe {nonce} ran on {}", architecture.name());
    let path = program_path(nonce);
    let mut builder = Builder::new(platform.clone());
    let data = program(architecture, &format!("{expected}\n"));
    let file = File {
        path: &path,
        mode: 0o755,
        data: &data,
    };
    let file = builder.file(None, &file, &format!("write {path}"));
    let step = builder.run(&file, &[&path], &format!("run {path}"), Cache::Ignore);
    let request = SolveRequest {
        reference: BuildRef(format!("probe-{nonce}")),
        definition: builder.finish(&step),
        internal: true,
    };

    let begin = Instant::now();
    let report = control.solve_and_watch(request, timeout).await;
    let report = report.map_err(|source| ProbeError::Run {
        platform: platform.clone(),
        source,
    })?;
    let took = begin.elapsed();
    let said = String::from_utf8_lossy(&report.output_of(&step))
        .trim_end()
        .to_owned();
    let platform = platform.clone();
    if let Some(reason) = report.failure {
        return Err(ProbeError::Failed {
            platform,
            reason,
            said,
        });
    }
    if said == expected {
        Ok(ProbeOutcome {
            platform,
            said,
            took,
            removed: 0,
        })
    } else {
        Err(ProbeError::WrongText {
            platform,
            expected,
            said,
        })
    }
}

/// The program's path; BuildKit puts it into the description of the records, which is how they are found again.
pub(super) fn program_path(nonce: &Nonce) -> String {
    format!("/probe-{nonce}")
}

/// Removes every cache record whose description holds the nonce; returns how many. Waits up to 5 s for those still in use.
pub async fn forget(control: &Control, nonce: &Nonce) -> Result<usize, ProbeError> {
    let leftover = |source| ProbeError::Leftover {
        nonce: nonce.clone(),
        source,
    };
    let filter = [format!("description~={nonce}")];
    let deadline = Instant::now() + RELEASE;
    let mut removed = 0;
    loop {
        let records = control
            .disk_usage(&filter, ControlTimeouts::DISK_USAGE)
            .await
            .map_err(leftover)?;
        let Some(scope) = PruneScope::records(records.iter().map(|record| &record.id)) else {
            return Ok(removed);
        };
        removed += control
            .prune(&scope, ControlTimeouts::PRUNE)
            .await
            .map_err(leftover)?
            .len();
        if Instant::now() >= deadline {
            return Err(ProbeError::InUse {
                nonce: nonce.clone(),
                count: records.len(),
            });
        }
        tokio::time::sleep(RELEASE_POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_safe_in_paths_and_filters() {
        assert!("0a1b2c3d".parse::<Nonce>().is_ok());
        for bad in [
            "",
            "short",
            "UPPERCASE",
            "with space",
            "../../etc",
            "a,b==c,d",
        ] {
            assert_eq!(bad.parse::<Nonce>(), Err(NonceError(bad.to_owned())));
        }
    }
}
