//! Changes keys of a foreign JSON file and keeps every other byte.

use std::fmt::{self, Display, Formatter};

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};

use crate::step::JsonEdit;

impl JsonEdit {
    /// Returns the removal of a key.
    pub fn removal(keys: &[&str]) -> Self {
        Self {
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            value: None,
        }
    }
}

impl Display for JsonEdit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let keys = self.keys.join(".");
        match &self.value {
            Some(value) => write!(f, "`{keys}` becomes `{value}`"),
            None => write!(f, "`{keys}` goes"),
        }
    }
}

/// Why a JSON file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It does not parse.
    #[error("it is no JSON: {0}")]
    Parse(String),
    /// A key on the way leads to something that is no object.
    #[error("`{0}` is no object")]
    NoObject(String),
}

/// Returns the file with the edits made. A key to remove that is absent is no error.
pub fn edit(bytes: &[u8], edits: &[JsonEdit]) -> Result<Vec<u8>, EditError> {
    let text = std::str::from_utf8(bytes).map_err(|_| EditError::NotText)?;
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        ..ParseOptions::default()
    };
    let root =
        CstRootNode::parse(text, &strict).map_err(|error| EditError::Parse(error.to_string()))?;
    for edit in edits {
        apply(&root, edit)?;
    }
    Ok(root.to_string().into_bytes())
}

fn apply(root: &CstRootNode, edit: &JsonEdit) -> Result<(), EditError> {
    let mut object = root
        .object_value_or_create()
        .ok_or_else(|| EditError::NoObject("the top".to_owned()))?;
    let Some((last, way)) = edit.keys.split_last() else {
        return Ok(());
    };
    for key in way {
        object = match child(&object, key)? {
            Some(child) => child,
            None if edit.value.is_none() => return Ok(()),
            None => object
                .object_value_or_create(key)
                .ok_or_else(|| EditError::NoObject(key.clone()))?,
        };
    }
    match (object.get(last), &edit.value) {
        (Some(property), Some(value)) => property.set_value(CstInputValue::String(value.clone())),
        (Some(property), None) => property.remove(),
        (None, Some(value)) => {
            object.append(last, CstInputValue::String(value.clone()));
        }
        (None, None) => {}
    }
    Ok(())
}

fn child(object: &CstObject, key: &str) -> Result<Option<CstObject>, EditError> {
    match object.get(key) {
        None => Ok(None),
        Some(property) => property
            .object_value()
            .map(Some)
            .ok_or_else(|| EditError::NoObject(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, keys: &[&str], value: Option<&str>) -> String {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        let bytes = edit(
            text.as_bytes(),
            &[JsonEdit {
                keys,
                value: value.map(str::to_owned),
            }],
        )
        .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_other_byte_stays() {
        let text =
            "{\n\t\"auths\": {\"x\\u003c\": {}},\n\t\"currentContext\": \"gone\",\n\t\"n\": 1.0\n}";
        assert_eq!(
            changed(text, &["currentContext"], Some("default")),
            text.replace("gone", "default")
        );
        assert_eq!(
            changed(text, &["currentContext"], None),
            "{\n\t\"auths\": {\"x\\u003c\": {}},\n\t\"n\": 1.0\n}"
        );
        assert_eq!(changed(text, &["absent", "deeper"], None), text);
        let meta = r#"{"Name":"desktop-linux","Metadata":{},"Endpoints":{"docker":{"Host":"npipe:////./pipe/x","SkipTLSVerify":false}}}"#;
        assert_eq!(
            changed(meta, &["Endpoints", "docker", "Host"], Some("unix:///s")),
            meta.replace("npipe:////./pipe/x", "unix:///s")
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(edit(b"{\"a\":", &[]).is_err());
        assert!(edit(&[0xff], &[]).is_err());
        let deep = JsonEdit {
            keys: vec!["a".into(), "b".into()],
            value: None,
        };
        assert!(edit(br#"{"a":1}"#, &[deep]).is_err());
    }
}
