//! Containers: list, inspect, create, start, stop, wait, logs, attach.
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::answer::typed;
use super::container_types::{ContainerDetail, ContainerSummary, RestartPolicy, Waited};
use super::error::ApiError;
use super::filters::{Filters, encoded, with_query};
use super::http::{Call, Engine, decode, within};
use super::types::{Created, EngineInfo, EngineVersion, NetworkSummary};
use crate::demux::{Demux, FrameDecoder, Output};
use crate::dial::BoxIo;

/// A connection to a container's or exec's stdin and stdout; stderr is kept as diagnostics.
pub type Attached = Demux<BoxIo>;

/// A container's output, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Whether the bound cut it short.
    pub cut: bool,
}

impl Engine {
    /// Asks whether the engine answers (`GET /_ping`); returns the newest API version that it says it speaks, else nothing.
    pub async fn ping(&self) -> Result<String, ApiError> {
        let call = Call::get("/_ping");
        let name = call.name();
        let (head, _driven) = within(&name, self.inner.timeouts.look, self.send(call)).await?;
        let said = head.headers().get("Api-Version");
        let said = said.and_then(|version| version.to_str().ok());
        Ok(said.unwrap_or_default().to_owned())
    }

    /// Returns the engine's version. It starts two programs of its own for the answer.
    pub async fn version(&self) -> Result<EngineVersion, ApiError> {
        self.look(Call::get("/version")).await
    }

    /// Returns what the engine says about itself and its host, typed and raw.
    pub async fn info(&self) -> Result<(EngineInfo, Value), ApiError> {
        let raw: Value = self.look(Call::get("/info")).await?;
        Ok((typed("GET /info", &raw)?, raw))
    }

    /// Lists networks.
    pub async fn networks_list(&self, filters: &Filters) -> Result<Vec<NetworkSummary>, ApiError> {
        self.look(Call::get(with_query("/networks", [filters.to_query()])))
            .await
    }

    /// Lists containers; `all` includes those that do not run.
    pub async fn containers_list(
        &self,
        all: bool,
        filters: &Filters,
    ) -> Result<Vec<ContainerSummary>, ApiError> {
        self.look(Call::get(with_query(
            "/containers/json",
            [Some(format!("all={all}")), filters.to_query()],
        )))
        .await
    }

    /// Inspects a container, typed and raw. [`ApiError::NotFound`] when there is none.
    pub async fn container_inspect(
        &self,
        container: &str,
    ) -> Result<(ContainerDetail, Value), ApiError> {
        let call = Call::get(path(container, "json"));
        let name = call.name();
        let raw: Value = self.look(call).await?;
        Ok((typed(&name, &raw)?, raw))
    }

    /// Creates a container from the API's own JSON body; returns its id. [`ApiError::Conflict`] when the name is taken,
    /// [`ApiError::NotFound`] when the image is not there: nothing is ever pulled.
    pub async fn container_create(&self, name: &str, body: &Value) -> Result<String, ApiError> {
        let call = Call::post(format!("/containers/create?name={}", encoded(name))).json(body);
        Ok(decode::<Created>("POST /containers/create", &self.change(call).await?)?.id)
    }

    /// Starts a container; one that runs is fine.
    pub async fn container_start(&self, container: &str) -> Result<(), ApiError> {
        self.change(Call::post(path(container, "start")))
            .await
            .map(drop)
    }

    /// Stops a container: SIGTERM, then SIGKILL after `grace` (whole seconds). One that is stopped is fine.
    pub async fn container_stop(&self, container: &str, grace: Duration) -> Result<(), ApiError> {
        let call = Call::post(format!("{}?t={}", path(container, "stop"), grace.as_secs()));
        self.answer(call, self.inner.timeouts.change + grace)
            .await
            .map(drop)
    }

    /// Sends a signal such as `SIGKILL`. [`ApiError::Conflict`] when the container does not run.
    pub async fn container_kill(&self, container: &str, signal: &str) -> Result<(), ApiError> {
        self.change(Call::post(format!(
            "{}?signal={}",
            path(container, "kill"),
            encoded(signal)
        )))
        .await
        .map(drop)
    }

    /// Removes a container; `force` kills it first, `volumes` removes its anonymous volumes too.
    pub async fn container_remove(
        &self,
        container: &str,
        force: bool,
        volumes: bool,
    ) -> Result<(), ApiError> {
        let target = format!(
            "/containers/{}?force={force}&v={volumes}",
            encoded(container)
        );
        self.change(Call::new(Method::DELETE, target))
            .await
            .map(drop)
    }

    /// Renames a container. [`ApiError::Conflict`] when the name is taken.
    pub async fn container_rename(&self, container: &str, name: &str) -> Result<(), ApiError> {
        self.change(Call::post(format!(
            "{}?name={}",
            path(container, "rename"),
            encoded(name)
        )))
        .await
        .map(drop)
    }

    /// Sets a container's restart policy; nothing else of it changes.
    pub async fn container_set_restart(
        &self,
        container: &str,
        policy: &RestartPolicy,
    ) -> Result<(), ApiError> {
        let body = json!({"RestartPolicy": {"Name": policy.name, "MaximumRetryCount": policy.maximum_retry_count}});
        self.change(Call::post(path(container, "update")).json(&body))
            .await
            .map(drop)
    }

    /// Waits until a container does not run; returns its exit code.
    pub async fn container_wait(
        &self,
        container: &str,
        timeout: Duration,
    ) -> Result<i64, ApiError> {
        let call = Call::post(path(container, "wait"));
        let name = call.name();
        Ok(decode::<Waited>(&name, &self.answer(call, timeout).await?)?.status_code)
    }

    /// Returns the last `tail` lines of a container without TTY, at most `limit` bytes of them.
    pub async fn container_logs(
        &self,
        container: &str,
        tail: u32,
        limit: usize,
    ) -> Result<Logs, ApiError> {
        let call = Call::get(format!(
            "{}?stdout=true&stderr=true&tail={tail}",
            path(container, "logs")
        ));
        let name = call.name();
        within(&name, self.inner.timeouts.look, async {
            let mut stream = self.stream(call).await?;
            take_apart(&name, &mut stream, limit).await
        })
        .await
    }

    /// Attaches to a container without TTY: what is written is its stdin (when it was created with `OpenStdin`), what is read its stdout.
    /// Attach before the start, or the beginning is lost. Create it with log driver `none`, or the engine logs every byte.
    pub async fn container_attach(&self, container: &str) -> Result<Attached, ApiError> {
        let target = format!(
            "{}?stream=true&stdin=true&stdout=true&stderr=true",
            path(container, "attach")
        );
        Ok(Demux::new(self.upgrade(&target, "tcp", None).await?))
    }
}

/// The path of a container's sub-resource.
pub(super) fn path(container: &str, part: &str) -> String {
    format!("/containers/{}/{part}", encoded(container))
}

/// Reads a multiplexed stream to its end, or to `limit` bytes of both outputs together.
pub(super) async fn take_apart(
    call: &str,
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    limit: usize,
) -> Result<Logs, ApiError> {
    let mut decoder = FrameDecoder::default();
    let mut logs = Logs::default();
    let mut buffer = vec![0; 64 * 1024];
    let frames = |source| ApiError::Frames {
        call: call.to_owned(),
        source,
    };
    loop {
        let read = stream
            .read(&mut buffer)
            .await
            .map_err(|source| ApiError::Stream {
                call: call.to_owned(),
                source,
            })?;
        if read == 0 {
            decoder.finish().map_err(frames)?;
            return Ok(logs);
        }
        decoder.push(&buffer[..read]);
        while let Some(frame) = decoder.next_frame().map_err(frames)? {
            let left = limit.saturating_sub(logs.stdout.len() + logs.stderr.len());
            logs.cut |= frame.bytes.len() > left;
            let kept = &frame.bytes[..frame.bytes.len().min(left)];
            match frame.output {
                Output::Stdout => logs.stdout.extend_from_slice(kept),
                Output::Stderr => logs.stderr.extend_from_slice(kept),
                Output::Engine => {
                    let message = String::from_utf8_lossy(&frame.bytes).into_owned();
                    return Err(ApiError::Reported {
                        call: call.to_owned(),
                        message,
                    });
                }
            }
        }
        if logs.cut {
            return Ok(logs);
        }
    }
}
