//! Files into and out of containers as tar streams. A created container that never started is enough.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde::Deserialize;

use super::body::{ByteStream, Upload};
use super::containers::path;
use super::error::ApiError;
use super::filters::encoded;
use super::http::{Call, Engine, decode};

/// What the engine says about the path that it packs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ArchiveStat {
    /// Base name.
    pub name: String,
    /// Bytes, of a file.
    pub size: i64,
    /// Go's `os.FileMode`: the low nine bits are the permissions, bit 31 marks a folder.
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Target of a symlink.
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}

impl Engine {
    /// Unpacks a tar into an existing folder of a container, keeping uid and gid. [`ApiError::NotFound`] when container or folder are not there.
    pub async fn put_archive(
        &self,
        container: &str,
        folder: &str,
        tar: Upload,
    ) -> Result<(), ApiError> {
        let target = format!(
            "{}?path={}&copyUIDGID=true",
            path(container, "archive"),
            encoded(folder)
        );
        self.upload(Call::new(Method::PUT, target).tar(tar))
            .await
            .map(drop)
    }

    /// Packs a file or folder of a container; the stream is a tar whose entries start with the base name.
    /// It has no PAX extras beyond what the engine writes: see facts.md for what a plain copy loses.
    pub async fn get_archive(
        &self,
        container: &str,
        item: &str,
    ) -> Result<(ArchiveStat, ByteStream), ApiError> {
        let call = Call::get(format!(
            "{}?path={}",
            path(container, "archive"),
            encoded(item)
        ));
        let name = call.name();
        let (response, driven) = self.head(call).await?;
        let header = response
            .headers()
            .get("x-docker-container-path-stat")
            .map_or(&b""[..], |value| value.as_bytes());
        let stat = match STANDARD.decode(header) {
            Ok(text) if !text.is_empty() => decode(&name, &text)?,
            _ => ArchiveStat::default(),
        };
        Ok((stat, ByteStream::new(response.into_body(), driven)))
    }
}
