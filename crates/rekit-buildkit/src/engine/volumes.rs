//! Volumes, and the engine's own build cache prune.
use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use super::answer::typed;
use super::error::ApiError;
use super::filters::{Filters, encoded, with_query};
use super::http::{Call, Engine, decode};
use super::types::{PruneReport, Volume, VolumeList};

impl Engine {
    /// Lists volumes.
    pub async fn volumes_list(&self, filters: &Filters) -> Result<Vec<Volume>, ApiError> {
        let list: VolumeList = self
            .look(Call::get(with_query("/volumes", [filters.to_query()])))
            .await?;
        Ok(list.volumes)
    }

    /// Inspects a volume, typed and raw. [`ApiError::NotFound`] when there is none.
    pub async fn volume_inspect(&self, name: &str) -> Result<(Volume, Value), ApiError> {
        let call = Call::get(format!("/volumes/{}", encoded(name)));
        let said = call.name();
        let raw: Value = self.look(call).await?;
        Ok((typed(&said, &raw)?, raw))
    }

    /// Creates a local volume. The engine returns an existing one of that name unchanged, whatever its labels: compare them.
    pub async fn volume_create(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Volume, ApiError> {
        let call = Call::post("/volumes/create").json(&json!({"Name": name, "Labels": labels}));
        decode("POST /volumes/create", &self.change(call).await?)
    }

    /// Removes a volume. [`ApiError::Conflict`] while a container, also a stopped one, uses it.
    pub async fn volume_remove(&self, name: &str) -> Result<(), ApiError> {
        self.change(Call::new(
            Method::DELETE,
            format!("/volumes/{}", encoded(name)),
        ))
        .await
        .map(drop)
    }

    /// Prunes the build cache of the BuildKit inside the engine (`POST /build/prune`); `all` includes records that images still use.
    pub async fn build_prune(&self, all: bool, filters: &Filters) -> Result<PruneReport, ApiError> {
        let call = Call::post(with_query(
            "/build/prune",
            [Some(format!("all={all}")), filters.to_query()],
        ));
        decode("POST /build/prune", &self.change(call).await?)
    }
}
