//! A cache mount as BuildKit tells it from others: by its id, and by what it begins with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Digest, HostPath};

/// What a cache mount begins with. Each option makes another cache of it, also where it says the default: only what was written is here.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct MountOptions {
    /// The stage or image whose content it begins with.
    pub from: Option<String>,
    /// The folder inside it.
    pub source: Option<String>,
    /// The owner of its root.
    pub uid: Option<u32>,
    /// The group of its root.
    pub gid: Option<u32>,
    /// The permission bits of its root.
    pub mode: Option<u32>,
}

/// A cache mount of a daemon.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct CacheMount {
    /// The id as the daemon knows it: the namespace, `/`, and the id; for example `//root/.cache/pip`.
    pub id: String,
    /// What it begins with.
    pub options: MountOptions,
    /// The Dockerfile that has the stage which `from` names; `None`: it names an image, or nothing.
    pub dockerfile: Option<HostPath>,
}

/// A cache mount in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchivedMount {
    /// The tree that holds its content.
    pub tree: String,
    /// The digest of the listing of its content.
    pub digest: Digest,
    /// Which one it is.
    pub mount: CacheMount,
}

impl CacheMount {
    /// Returns the namespace that a build is given for it, empty for the usual one, and the id inside it.
    pub fn parts(&self) -> (&str, &str) {
        self.id.split_once('/').unwrap_or(("", &self.id))
    }

    /// Returns the flag of a `RUN` that mounts it at `target`. Only `locked` waits for builds that hold it: with the other modes such a
    /// build makes the daemon begin a second, empty one.
    pub fn flag(&self, target: &str) -> String {
        let options = &self.options;
        let mut fields = vec!["type=cache".to_owned(), format!("id={}", self.parts().1)];
        let texts = [("from", &options.from), ("source", &options.source)];
        fields.extend(
            texts
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))),
        );
        let numbers = [("uid", options.uid), ("gid", options.gid)];
        fields.extend(
            numbers
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", value?))),
        );
        fields.extend(options.mode.map(|mode| format!("mode={mode:04o}")));
        fields.extend([format!("target={target}"), "sharing=locked".to_owned()]);
        format!("--mount={}", fields.join(","))
    }

    /// Returns whether all of it can stand in a Dockerfile as it is.
    pub fn can_be_written(&self) -> bool {
        let (namespace, id) = self.parts();
        let plain = |text: &str| {
            text.chars()
                .all(|c| !c.is_whitespace() && !c.is_control() && !",\"'\\$`<".contains(c))
        };
        let texts = [&self.options.from, &self.options.source];
        !id.is_empty()
            && plain(namespace)
            && plain(id)
            && texts.into_iter().flatten().all(|text| plain(text))
    }
}

impl std::fmt::Display for CacheMount {
    /// Writes the id and the options that make it another cache than the plain one of this id.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (namespace, id) = self.parts();
        let options = &self.options;
        f.write_str(id)?;
        let mut texts = Vec::new();
        if !namespace.is_empty() {
            texts.push(format!("namespace {namespace}"));
        }
        texts.extend(options.from.iter().map(|from| format!("from={from}")));
        texts.extend(options.source.iter().map(|from| format!("source={from}")));
        texts.extend(options.uid.iter().map(|uid| format!("uid={uid}")));
        texts.extend(options.gid.iter().map(|gid| format!("gid={gid}")));
        texts.extend(options.mode.iter().map(|mode| format!("mode={mode:04o}")));
        if texts.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", texts.join(", "))
    }
}
