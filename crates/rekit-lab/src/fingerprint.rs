//! Everything on the lab's engines that is not BuildKit's, as text that can be compared before and after.

use crate::{
    lab::Lab,
    process::{text, words},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

impl Lab {
    /// Returns one entry for each container, image, volume, network and context that is not BuildKit's, on each engine, and for each of
    /// `files` (folders are walked): equal before and after means that nothing foreign was touched.
    ///
    /// A container's entry holds its start time and process id, so that a restart shows; a volume's holds a digest of all it contains.
    pub fn fingerprint(&self, files: &[&Path]) -> Result<BTreeMap<String, String>> {
        let mut print = BTreeMap::new();
        let mut engines = vec![("engine", self.socket())];
        if self.options().desktop {
            engines.push(("desktop", crate::modes::desktop::socket(self)));
        }
        for (engine, socket) in engines {
            let docker = |arguments: &[&str]| {
                text(
                    self.command("docker")
                        .arg("-H")
                        .arg(format!("unix://{}", socket.display()))
                        .args(arguments),
                )
            };
            for kind in ["container", "image", "volume", "network"] {
                let list: &[&str] = match kind {
                    "container" => &["ls", "-aq", "--no-trunc"],
                    "image" => &["ls", "-q", "--no-trunc"],
                    _ => &["ls", "-q"],
                };
                let ids = docker(&[&[kind], list].concat())?;
                let mut ids: Vec<_> = ids.split_whitespace().collect();
                ids.sort_unstable();
                ids.dedup();
                if ids.is_empty() {
                    continue;
                }
                let inspected: Vec<Value> =
                    serde_json::from_str(&docker(&[&[kind, "inspect"], &ids[..]].concat())?)?;
                for object in inspected
                    .into_iter()
                    .filter(|object| !is_buildkits(kind, object))
                {
                    let (name, seen) = describe(kind, object)?;
                    print.insert(format!("{engine}/{kind}/{name}"), seen);
                }
            }
        }
        for file in files {
            self.fingerprint_file(file, &mut print)?;
        }
        Ok(print)
    }

    fn fingerprint_file(&self, path: &Path, print: &mut BTreeMap<String, String>) -> Result<()> {
        let name = path.strip_prefix(self.root()).unwrap_or(path).display();
        let Ok(data) = fs::symlink_metadata(path) else {
            return Ok(());
        };
        let content = if data.is_dir() {
            for entry in fs::read_dir(path)? {
                self.fingerprint_file(&entry?.path(), print)?;
            }
            String::from("folder")
        } else if data.is_symlink() {
            fs::read_link(path)?.display().to_string()
        } else if data.is_file() {
            text(words("sha256sum", ["-b"]).arg(path))?
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned()
        } else {
            String::from("special")
        };
        print.insert(
            format!("file/{name}"),
            format!("{:o} {}:{} {content}", data.mode(), data.uid(), data.gid()),
        );
        Ok(())
    }
}

fn is_buildkits(kind: &str, object: &Value) -> bool {
    let name = object["Name"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches('/');
    match kind {
        "container" | "volume" => name.starts_with("buildx_buildkit_"),
        "image" => object["RepoTags"].as_array().is_some_and(|tags| {
            tags.iter()
                .filter_map(Value::as_str)
                .any(|tag| tag.starts_with("moby/buildkit:"))
        }),
        _ => false,
    }
}

fn describe(kind: &str, mut object: Value) -> Result<(String, String)> {
    let named = object["Name"]
        .as_str()
        .or_else(|| object["RepoTags"][0].as_str())
        .or_else(|| object["Id"].as_str());
    let name = named
        .context("an object of the engine has no name")?
        .trim_start_matches('/')
        .to_owned();
    let mut content = String::new();
    if kind == "network"
        && let Some(members) = object["Containers"].as_object_mut()
    {
        // Builders come and go on a network that is not theirs.
        members.retain(|_, member| {
            !member["Name"]
                .as_str()
                .unwrap_or_default()
                .starts_with("buildx_buildkit_")
        });
    }
    if kind == "volume"
        && let Some(place) = object["Mountpoint"].as_str()
    {
        content = tree_digest(Path::new(place))?;
    }
    Ok((name, format!("{object:#}\n{content}")))
}

/// Returns a digest of a tree to its last attribute.
pub fn tree_digest(root: &Path) -> Result<String> {
    let script = r#"tar --sort=name --numeric-owner --xattrs --xattrs-include='*' --format=posix --pax-option=delete=atime,delete=ctime -cf - -C "$1" . | sha256sum"#;
    Ok(text(words("sh", ["-c", script, "sh"]).arg(root))?
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned())
}
