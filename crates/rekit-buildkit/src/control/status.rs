//! The status of a build: its steps and what they print.
use std::time::{Duration, SystemTime};

use super::client::{Control, ControlError, time, within};
use super::history::BuildRef;
use crate::demux::Output;
use crate::generated::moby::buildkit::v1::{StatusRequest, Vertex as Message};
use crate::llb::Step;

/// Bytes of output kept per build.
const LOG_LIMIT: usize = 1 << 20;

/// One step of a build, in its last known state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vertex {
    /// The daemon's own digest of the step.
    pub digest: String,
    /// Digests of what it builds on.
    pub inputs: Vec<String>,
    /// For people.
    pub name: String,
    /// Answered from the cache, hence not run. Says nothing for a step without inputs (see [`crate::probe::CacheReport`]).
    pub cached: bool,
    /// Start.
    pub started: Option<SystemTime>,
    /// End.
    pub completed: Option<SystemTime>,
    /// Why it failed; empty otherwise.
    pub error: String,
}

impl Vertex {
    /// How long it ran, once it has ended.
    pub fn duration(&self) -> Option<Duration> {
        self.completed?.duration_since(self.started?).ok()
    }
}

/// A piece of a step's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Digest of the step.
    pub vertex: String,
    /// Stdout or stderr.
    pub output: Output,
    /// Bytes as they came, not necessarily a line.
    pub bytes: Vec<u8>,
}

/// A build from its start to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Steps in the order of their first mention.
    pub vertices: Vec<Vertex>,
    /// Output, at most 1 MiB of it.
    pub logs: Vec<LogLine>,
    /// Why the build failed; `None` when it did not, or when only the status was watched.
    pub failure: Option<String>,
}

impl BuildReport {
    /// What became of a step of the definition; found by its name, see [`Step::digest`].
    pub fn vertex(&self, step: &Step) -> Option<&Vertex> {
        self.vertices
            .iter()
            .find(|vertex| vertex.name == step.name())
    }

    /// All output of a step, stdout and stderr together.
    pub fn output_of(&self, step: &Step) -> Vec<u8> {
        let digest = self.vertex(step).map(|vertex| vertex.digest.as_str());
        let lines = self
            .logs
            .iter()
            .filter(|line| Some(line.vertex.as_str()) == digest);
        lines.flat_map(|line| line.bytes.iter().copied()).collect()
    }

    fn note(&mut self, from: Message) {
        let new = Vertex {
            digest: from.digest,
            inputs: from.inputs,
            name: from.name,
            cached: from.cached,
            started: time(from.started),
            completed: time(from.completed),
            error: from.error,
        };
        match self
            .vertices
            .iter_mut()
            .find(|vertex| vertex.digest == new.digest)
        {
            // A step is sent again with each change; a step that is run twice keeps its first start.
            Some(old) => {
                let started = old.started.or(new.started);
                *old = Vertex {
                    started,
                    cached: old.cached || new.cached,
                    ..new
                };
            }
            None => self.vertices.push(new),
        }
    }
}

impl Control {
    /// Watches a build to its end. The daemon waits up to 6 s for a build that it does not know yet.
    pub async fn watch(
        &self,
        reference: &BuildRef,
        timeout: Duration,
    ) -> Result<BuildReport, ControlError> {
        let mut client = self.raw();
        let request = StatusRequest {
            r#ref: reference.0.clone(),
        };
        within("Status", timeout, async {
            let mut stream = client.status(request).await?.into_inner();
            let mut report = BuildReport::default();
            let mut kept = 0;
            while let Some(next) = stream.message().await? {
                next.vertexes
                    .into_iter()
                    .for_each(|vertex| report.note(vertex));
                for log in next.logs {
                    kept += log.msg.len();
                    if kept <= LOG_LIMIT {
                        let output = if log.stream == 2 {
                            Output::Stderr
                        } else {
                            Output::Stdout
                        };
                        report.logs.push(LogLine {
                            vertex: log.vertex,
                            output,
                            bytes: log.msg,
                        });
                    }
                }
            }
            Ok(report)
        })
        .await
    }
}
