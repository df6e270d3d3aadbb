//! Images. Nothing here pulls.
use hyper::Method;
use serde_json::Value;

use super::answer::typed;
use super::body::{ByteStream, Upload};
use super::error::ApiError;
use super::filters::{Filters, encoded, encoded_image, with_query};
use super::http::{Call, Engine};
use super::types::{ImageDetail, ImageSummary};

impl Engine {
    /// Lists images.
    pub async fn images_list(
        &self,
        all: bool,
        filters: &Filters,
    ) -> Result<Vec<ImageSummary>, ApiError> {
        self.look(Call::get(with_query(
            "/images/json",
            [Some(format!("all={all}")), filters.to_query()],
        )))
        .await
    }

    /// Inspects an image, typed and raw. [`ApiError::NotFound`] when it is not there.
    pub async fn image_inspect(&self, image: &str) -> Result<(ImageDetail, Value), ApiError> {
        let call = Call::get(format!("/images/{}/json", encoded_image(image)));
        let name = call.name();
        let raw: Value = self.look(call).await?;
        Ok((typed(&name, &raw)?, raw))
    }

    /// Removes a tag, and the image with its last tag. [`ApiError::Conflict`] while a container uses it, unless `force`.
    pub async fn image_remove(&self, image: &str, force: bool) -> Result<(), ApiError> {
        let target = format!("/images/{}?force={force}", encoded_image(image));
        self.change(Call::new(Method::DELETE, target))
            .await
            .map(drop)
    }

    /// Gives an image another name.
    pub async fn image_tag(
        &self,
        image: &str,
        repository: &str,
        tag: &str,
    ) -> Result<(), ApiError> {
        let target = format!(
            "/images/{}/tag?repo={}&tag={}",
            encoded_image(image),
            encoded(repository),
            encoded(tag)
        );
        self.change(Call::post(target)).await.map(drop)
    }

    /// Streams an image as a tar, as `docker save` does.
    pub async fn image_save(&self, image: &str) -> Result<ByteStream, ApiError> {
        self.stream(Call::get(format!("/images/{}/get", encoded_image(image))))
            .await
    }

    /// Loads images from a tar, as `docker load` does. Returns the engine's report lines; a failure within them is [`ApiError::Reported`].
    pub async fn image_load(&self, tar: Upload) -> Result<Vec<String>, ApiError> {
        let answer = self
            .upload(Call::post("/images/load?quiet=true").tar(tar))
            .await?;
        let call = "POST /images/load";
        let mut lines = Vec::new();
        for part in serde_json::Deserializer::from_slice(&answer).into_iter::<Value>() {
            let part = part.map_err(|source| ApiError::Decode {
                call: call.to_owned(),
                source,
            })?;
            if let Some(message) = part.get("error").and_then(Value::as_str) {
                return Err(ApiError::Reported {
                    call: call.to_owned(),
                    message: message.to_owned(),
                });
            }
            lines.extend(
                part.get("stream")
                    .and_then(Value::as_str)
                    .map(|line| line.trim_end().to_owned()),
            );
        }
        Ok(lines)
    }
}
