//! The wire of the Engine API: one HTTP/1 connection per call, version prefix, timeouts, upgrades.
//!
//! A connection per call costs microseconds on a socket and keeps calls independent: a hung stream never blocks another call.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body::{ByteStream, Upload};
use super::error::ApiError;
use super::version::ApiVersion;
use crate::dial::{self, BoxIo, Speaks};
use crate::driven::Driven;
use crate::endpoint::Endpoint;
use crate::tls::TlsMaterial;

/// More than any JSON answer seen; an engine with thousands of images stays far below.
const ANSWER_LIMIT: usize = 64 << 20;

/// How long each kind of call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection, TLS included.
    pub connect: Duration,
    /// A call that only looks, whole answer included.
    pub look: Duration,
    /// A call that changes something; `stop` gets its own grace period on top.
    pub change: Duration,
    /// Until the head of a streamed answer; the stream itself has no limit.
    pub stream_head: Duration,
}

impl Default for Timeouts {
    /// 2 s, 10 s, 60 s, 60 s.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(2),
            look: seconds(10),
            change: seconds(60),
            stream_head: seconds(60),
        }
    }
}

/// A Docker Engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) endpoint: Endpoint,
    pub(super) tls: Option<TlsMaterial>,
    pub(super) timeouts: Timeouts,
    pub(super) api: Option<ApiVersion>,
    pub(super) newest_api: String,
}

/// A call before it is sent.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Upload,
    content: Option<&'static str>,
    upgrade: Option<&'static str>,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Upload::empty(),
            content: None,
            upgrade: None,
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = Upload::Bytes(body.to_string().into());
        self.content = Some("application/json");
        self
    }

    pub(super) fn tar(mut self, body: Upload) -> Self {
        self.body = body;
        self.content = Some("application/x-tar");
        self
    }

    /// Without the query: it may be long, and says nothing new.
    pub(super) fn name(&self) -> String {
        format!(
            "{} {}",
            self.method,
            self.path.split('?').next().unwrap_or_default()
        )
    }
}

impl Engine {
    /// Reaches an engine and agrees on an API version. One round trip (`GET /_ping`, within `timeouts.look`): for its answer to
    /// `GET /version` an engine starts two programs. That is asked only of one that does not say its API's version, or a newer one than
    /// this crate knows: it may refuse ours.
    pub async fn connect(
        endpoint: Endpoint,
        tls: Option<TlsMaterial>,
        timeouts: Timeouts,
    ) -> Result<Self, ApiError> {
        let unversioned = Self {
            inner: Arc::new(Inner {
                endpoint: endpoint.clone(),
                tls: tls.clone(),
                timeouts,
                api: None,
                newest_api: String::new(),
            }),
        };
        let mut newest_api = unversioned.ping().await?;
        let mut spoken = newest_api.parse().ok();
        if spoken.is_none_or(|spoken| spoken > ApiVersion::NEWEST) {
            let said = unversioned.version().await?;
            let oldest = said.min_api_version.parse().ok();
            spoken = Some(ApiVersion::negotiate(said.api_version.parse().ok(), oldest));
            newest_api = said.api_version;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                endpoint,
                tls,
                timeouts,
                api: spoken,
                newest_api,
            }),
        })
    }

    /// Where this engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// The newest API version that the engine speaks, as it says.
    pub fn newest_api(&self) -> &str {
        &self.inner.newest_api
    }

    /// The version that every request names.
    pub fn api_version(&self) -> ApiVersion {
        self.inner.api.unwrap_or(ApiVersion::NEWEST)
    }

    /// The timeouts given at the start.
    pub fn timeouts(&self) -> Timeouts {
        self.inner.timeouts
    }

    /// A call that only looks: its whole answer as a typed value.
    pub(super) async fn look<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let name = call.name();
        decode(&name, &self.answer(call, self.inner.timeouts.look).await?)
    }

    /// A call that changes something: its whole answer, undecoded.
    pub(super) async fn change(&self, call: Call) -> Result<Bytes, ApiError> {
        self.answer(call, self.inner.timeouts.change).await
    }

    /// Sends a call and collects its answer within `timeout`.
    pub(super) async fn answer(&self, call: Call, timeout: Duration) -> Result<Bytes, ApiError> {
        let name = call.name();
        within(&name, timeout, async {
            let (response, _driven) = self.send(call).await?;
            collect(&name, response).await
        })
        .await
    }

    /// Sends a call with a large body. Bytes at hand have the `change` timeout; a stream takes as long as its source does,
    /// as the answer comes only after its last byte: there the caller sets the limit.
    pub(super) async fn upload(&self, call: Call) -> Result<Bytes, ApiError> {
        if matches!(call.body, Upload::Bytes(_)) {
            return self.change(call).await;
        }
        let name = call.name();
        let (response, _driven) = self.send(call).await?;
        collect(&name, response).await
    }

    /// Sends a call whose answer is read as a stream.
    pub(super) async fn stream(&self, call: Call) -> Result<ByteStream, ApiError> {
        let (response, driven) = self.head(call).await?;
        Ok(ByteStream::new(response.into_body(), driven))
    }

    /// Sends a call and returns the head of its answer; the body is still to come.
    pub(super) async fn head(&self, call: Call) -> Result<(Response<Incoming>, Driven), ApiError> {
        let name = call.name();
        within(&name, self.inner.timeouts.stream_head, self.send(call)).await
    }

    /// Turns the connection of a call into a plain stream (101, `Connection: Upgrade`).
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        protocol: &'static str,
        body: Option<&Value>,
    ) -> Result<BoxIo, ApiError> {
        let mut call = Call::post(path);
        if let Some(body) = body {
            call = call.json(body);
        }
        call.upgrade = Some(protocol);
        let name = call.name();
        within(&name, self.inner.timeouts.stream_head, async {
            let (response, _driven) = self.send(call).await?;
            if response.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
                let status = response.status().as_u16();
                return Err(ApiError::from_status(
                    &name,
                    status,
                    &collect(&name, response).await?,
                ));
            }
            let upgraded =
                hyper::upgrade::on(response)
                    .await
                    .map_err(|source| ApiError::Broken {
                        call: name.clone(),
                        source,
                    })?;
            Ok(Box::new(TokioIo::new(upgraded)) as BoxIo)
        })
        .await
    }

    pub(super) async fn send(&self, call: Call) -> Result<(Response<Incoming>, Driven), ApiError> {
        let name = call.name();
        let broken = |source| ApiError::Broken {
            call: name.clone(),
            source,
        };
        let Inner {
            endpoint,
            tls,
            timeouts,
            ..
        } = &*self.inner;
        let stream = dial::dial(endpoint, tls.as_ref(), Speaks::Http1, timeouts.connect)
            .await
            .map_err(Box::new)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let driven = Driven::start(connection.with_upgrades());
        let request = self.request(call).map_err(|source| ApiError::Request {
            call: name.clone(),
            source,
        })?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        // 304: a container is already started or stopped, which is what was wanted.
        if status >= 300 && status != 304 {
            let body = collect(&name, response).await?;
            return Err(ApiError::from_status(&name, status, &body));
        }
        Ok((response, driven))
    }

    fn request(&self, call: Call) -> Result<Request<Upload>, hyper::http::Error> {
        let prefix = self
            .inner
            .api
            .map(|api| format!("/v{api}"))
            .unwrap_or_default();
        let host = match &self.inner.endpoint {
            Endpoint::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => format!("{host}:{port}"),
            _ => "docker".to_owned(),
        };
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{prefix}{}", call.path))
            .header(header::HOST, host);
        if let Some(content) = call.content {
            request = request.header(header::CONTENT_TYPE, content);
        }
        if let Some(protocol) = call.upgrade {
            request = request
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, protocol);
        }
        request.body(call.body)
    }
}

/// Decodes JSON; the error names the call.
pub(super) fn decode<T: DeserializeOwned>(call: &str, bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|source| ApiError::Decode {
        call: call.to_owned(),
        source,
    })
}

/// Puts a named limit on a call.
pub(super) async fn within<T>(
    call: &str,
    after: Duration,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(after, work).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::TimedOut {
            call: call.to_owned(),
            after,
        }),
    }
}

async fn collect(call: &str, response: Response<Incoming>) -> Result<Bytes, ApiError> {
    match Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await
    {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLong {
            call: call.to_owned(),
            limit: ANSWER_LIMIT,
        }),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(source) => Err(ApiError::Broken {
                call: call.to_owned(),
                source: *source,
            }),
            Err(other) => Err(ApiError::Stream {
                call: call.to_owned(),
                source: std::io::Error::other(other),
            }),
        },
    }
}
