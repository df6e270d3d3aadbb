//! Running a build definition and watching it.
use std::collections::BTreeMap;
use std::time::Duration;

use super::client::{Control, ControlError, within};
use super::history::BuildRef;
use super::status::BuildReport;
use crate::generated::moby::buildkit::v1::{CacheOptions, SolveRequest as Message};
use crate::llb::Definition;

/// How long a status stream may take to end after its build has.
const STATUS_GRACE: Duration = Duration::from_secs(2);

/// A build to run. It exports nothing: its result stays in the cache.
#[derive(Clone, Debug)]
pub struct SolveRequest {
    /// A new name for it.
    pub reference: BuildRef,
    /// What to build.
    pub definition: Definition,
    /// Whether it is kept out of the build history.
    pub internal: bool,
}

impl Control {
    /// Runs a build to its end; returns what its exporter says. On a timeout the connection's end cancels the build.
    pub async fn solve(
        &self,
        request: SolveRequest,
        timeout: Duration,
    ) -> Result<BTreeMap<String, String>, ControlError> {
        let message = Message {
            r#ref: request.reference.0,
            definition: Some(request.definition.0),
            internal: request.internal,
            // BuildKit 0.17 dies of a nil pointer when this is missing (`control.translateLegacySolveRequest`): a probe must never kill.
            cache: Some(CacheOptions::default()),
            ..Message::default()
        };
        let mut client = self.raw();
        let answer = within("Solve", timeout, client.solve(message)).await?;
        Ok(answer.into_inner().exporter_response.into_iter().collect())
    }

    /// Runs a build and watches it: the report has every step with its cached flag, times and output. A failed build is an `Ok` report
    /// whose `failure` is set; an `Err` means that there is no report.
    pub async fn solve_and_watch(
        &self,
        request: SolveRequest,
        timeout: Duration,
    ) -> Result<BuildReport, ControlError> {
        let reference = request.reference.clone();
        let watch = self.watch(&reference, timeout);
        tokio::pin!(watch);
        let solve = self.solve(request, timeout);
        tokio::pin!(solve);
        // The status ends by itself when the build does; whichever ends first, the other gets its say.
        let (solved, watched) = tokio::select! {
            solved = &mut solve => (solved, tokio::time::timeout(STATUS_GRACE, &mut watch).await.ok()),
            watched = &mut watch => (solve.await, Some(watched)),
        };
        match (solved, watched) {
            (Ok(_), Some(report)) => report,
            (Ok(_), None) => Err(ControlError::TimedOut {
                call: "Status",
                after: STATUS_GRACE,
            }),
            (Err(ControlError::Failed { status, .. }), Some(Ok(mut report)))
                if !report.vertices.is_empty() =>
            {
                report.failure = Some(status.message().to_owned());
                Ok(report)
            }
            (Err(error), _) => Err(error),
        }
    }
}
