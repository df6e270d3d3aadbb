//! Programs in running containers, without TTY: a TTY would turn `\n` into `\r\n`.
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::container_types::ExecState;
use super::containers::{Attached, path, take_apart};
use super::error::ApiError;
use super::filters::encoded;
use super::http::{Call, Engine, decode, within};
use super::types::Created;
use crate::demux::Demux;
use crate::dial::BoxIo;

/// What to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Additional environment, `KEY=value`.
    pub env: Vec<String>,
    /// User; the container's own when `None`.
    pub user: Option<String>,
    /// Working folder; the container's own when `None`.
    pub folder: Option<String>,
    /// With all capabilities.
    pub privileged: bool,
}

impl ExecSpec {
    /// A program with its arguments and nothing special.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// How much a program may say, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecLimit {
    /// Bytes of stdout and stderr together.
    pub bytes: usize,
    /// From the start to the exit code.
    pub time: Duration,
}

impl Default for ExecLimit {
    /// 1 MiB, one minute.
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            time: Duration::from_mins(1),
        }
    }
}

/// What a program said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit code; 126 and 127 mean that the program could not be started.
    pub exit_code: i64,
}

impl Engine {
    /// Runs a program to its end, with `input` on its stdin. [`ApiError::TooLong`] when it says more than `limit.bytes`, and
    /// [`ApiError::TimedOut`] after `limit.time`: the program then may still run, as the API has no way to kill an exec.
    pub async fn exec(
        &self,
        container: &str,
        spec: &ExecSpec,
        input: &[u8],
        limit: ExecLimit,
    ) -> Result<ExecOutput, ApiError> {
        let name = format!("exec {}", spec.command.first().map_or("", String::as_str));
        within(&name, limit.time, async {
            let (id, io) = self.exec_start(container, spec, !input.is_empty()).await?;
            let (mut reader, mut writer) = tokio::io::split(io);
            // Its stdin may close early; what it says and its exit code tell more than the broken pipe.
            let feed = async {
                if !input.is_empty() && writer.write_all(input).await.is_ok() {
                    drop(writer.shutdown().await);
                }
            };
            let (said, ()) = tokio::join!(take_apart(&name, &mut reader, limit.bytes), feed);
            let said = said?;
            if said.cut {
                return Err(ApiError::TooLong {
                    call: name.clone(),
                    limit: limit.bytes,
                });
            }
            let exit_code = self.exec_ended(&id).await?;
            Ok(ExecOutput {
                stdout: said.stdout,
                stderr: said.stderr,
                exit_code,
            })
        })
        .await
    }

    /// Starts a program and joins its stdin and stdout to one stream; dropping it closes both. Returns the exec's id too.
    pub async fn exec_duplex(
        &self,
        container: &str,
        spec: &ExecSpec,
    ) -> Result<(String, Attached), ApiError> {
        let (id, io) = self.exec_start(container, spec, true).await?;
        Ok((id, Demux::new(io)))
    }

    /// Returns an exec's exit code, `None` while it runs.
    pub async fn exec_exit_code(&self, id: &str) -> Result<Option<i64>, ApiError> {
        let state: ExecState = self
            .look(Call::get(format!("/exec/{}/json", encoded(id))))
            .await?;
        Ok(state.exit_code.filter(|_| !state.running))
    }

    async fn exec_start(
        &self,
        container: &str,
        spec: &ExecSpec,
        stdin: bool,
    ) -> Result<(String, BoxIo), ApiError> {
        let body = json!({
            "AttachStdin": stdin, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": spec.command, "Env": spec.env,
            "User": spec.user.clone().unwrap_or_default(), "WorkingDir": spec.folder.clone().unwrap_or_default(), "Privileged": spec.privileged,
        });
        let call = Call::post(path(container, "exec")).json(&body);
        let name = call.name();
        let id = decode::<Created>(&name, &self.change(call).await?)?.id;
        let start = json!({"Detach": false, "Tty": false});
        let io = self
            .upgrade(
                &format!("/exec/{}/start", encoded(&id)),
                "tcp",
                Some(&start),
            )
            .await?;
        Ok((id, io))
    }

    /// The output ends a moment before the engine notes the exit.
    async fn exec_ended(&self, id: &str) -> Result<i64, ApiError> {
        loop {
            if let Some(code) = self.exec_exit_code(id).await? {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
