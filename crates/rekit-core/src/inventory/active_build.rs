//! A build that runs: who began it, of what, and since when.
//!
//! Invariant: its build arguments are in nothing that is told, as they may be secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A build that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveBuild {
    /// The build's reference.
    pub reference: String,
    /// When it began.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The target of the Dockerfile or of the bake file; empty: the last one, or it is not known.
    pub target: String,
    /// The folder or address that it is built from, where a client's store or the daemon tells.
    #[serde(default)]
    pub context: Option<String>,
    /// The Dockerfile, where it is told.
    #[serde(default)]
    pub dockerfile: Option<String>,
    /// The account that began it, where its store can be read.
    #[serde(default)]
    pub user: Option<String>,
}

/// What a client's store keeps of a build that it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientReference {
    /// The target.
    pub target: Option<String>,
    /// The folder or address that it is built from.
    pub context: Option<String>,
    /// The Dockerfile.
    pub dockerfile: Option<String>,
    /// The account.
    pub user: Option<String>,
}

impl ActiveBuild {
    /// Takes in what its client knows, which is more than the daemon was told.
    pub fn know(&mut self, client: ClientReference) {
        if let Some(target) = client.target.filter(|target| !target.is_empty()) {
            self.target = target;
        }
        self.context = client.context.or_else(|| self.context.take());
        self.dockerfile = client.dockerfile.or_else(|| self.dockerfile.take());
        self.user = client.user.or_else(|| self.user.take());
    }

    /// Says in words which build this is.
    pub fn told(&self) -> String {
        let mut known = Vec::new();
        if !self.target.is_empty() {
            known.push(format!("target {}", self.target));
        }
        known.extend(self.place());
        known.extend(self.user.as_ref().map(|user| format!("by {user}")));
        known.extend(self.since.map(|since| {
            let time = since.strftime("%Y-%m-%d %H:%M:%S UTC");
            format!("since {time}")
        }));
        if known.is_empty() {
            known.push("nobody tells what it builds".to_owned());
        }
        format!("build {} ({})", self.reference, known.join(", "))
    }

    /// Says which builds these are.
    pub fn all_told(builds: &[Self]) -> String {
        let told: Vec<_> = builds.iter().map(Self::told).collect();
        told.join("; ")
    }

    /// Says what it is built from: the Dockerfile alone where it lies in the context.
    fn place(&self) -> Option<String> {
        match (&self.context, &self.dockerfile) {
            (Some(context), Some(file)) => {
                let within = file.strip_prefix(context.as_str());
                let within = within.map(|rest| rest.trim_start_matches('/'));
                Some(match within {
                    Some("Dockerfile") => format!("of {context}"),
                    Some(file) => format!("of {context} by {file}"),
                    None if file == "Dockerfile" => format!("of {context}"),
                    None => format!("of {context} by {file}"),
                })
            }
            (Some(context), None) => Some(format!("of {context}")),
            (None, Some(file)) => Some(format!("by {file}")),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r2_1_4_a_build_is_told_with_who_what_and_since_when() {
        let mut build = ActiveBuild {
            reference: "abc".to_owned(),
            ..ActiveBuild::default()
        };
        assert_eq!(build.told(), "build abc (nobody tells what it builds)");
        build.since = Some(Timestamp::UNIX_EPOCH);
        build.target = "app".to_owned();
        build.dockerfile = Some("Dockerfile".to_owned());
        build.know(ClientReference {
            target: Some(String::new()),
            context: Some("/home/anna/shop".to_owned()),
            dockerfile: Some("/home/anna/shop/docker/Dockerfile.ci".to_owned()),
            user: Some("anna".to_owned()),
        });
        assert_eq!(
            build.told(),
            "build abc (target app, of /home/anna/shop by docker/Dockerfile.ci, by anna, since 1970-01-01 00:00:00 UTC)"
        );
    }
}
