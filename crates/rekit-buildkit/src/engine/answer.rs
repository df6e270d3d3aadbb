//! How answers are declared: unknown fields are ignored, missing ones and `null` are the default. Engines of ten years differ, and an
//! inventory must not fail on one odd container. For all the rest there is the raw JSON.
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `null` as the default.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

macro_rules! answer {
    ($(#[$meta:meta])* $visibility:vis $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        $visibility struct $name { $($(#[$field_meta])* #[serde(deserialize_with = "crate::engine::answer::lenient")] pub $field: $kind,)* }
    };
}

pub(super) use answer;

/// A typed answer beside the JSON it was read from.
pub(super) fn typed<T: serde::de::DeserializeOwned>(
    call: &str,
    raw: &Value,
) -> Result<T, super::ApiError> {
    T::deserialize(raw).map_err(|source| super::ApiError::Decode {
        call: call.to_owned(),
        source,
    })
}
