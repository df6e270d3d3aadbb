//! A node's container, made as buildx's docker-container driver makes it, and a removed one made again as it was.
//!
//! Source of the shape: buildx v0.36.1, driver/docker-container (privileged, init, cgroup parent, state volume, files in /etc/buildkit).

use rekit_buildkit::Engine;
use rekit_core::{name::ContainerName, record::NodeSpec};
use serde_json::{Map, Value, json};

use super::{Answer, ForeignBytes, Labels, NodeRequest, WorldError};

/// Where a daemon keeps its state if nothing else is said.
pub(super) const STATE_FOLDER: &str = "/var/lib/buildkit";
/// Where buildx puts a daemon's files.
pub(super) const CONFIG_FOLDER: &str = "/etc/buildkit";
const CONFIG_FILE: &str = "buildkitd.toml";
/// Where buildx puts the container when the engine's cgroup driver is cgroupfs.
const CGROUP_PARENT: &str = "/docker/buildx";

pub(super) async fn create(engine: &Engine, request: &NodeRequest, labels: &Labels) -> Answer<()> {
    let what = format!("container `{}` cannot be made", request.container);
    let failed = |error| WorldError::failed(what.clone(), error);
    let (info, _) = engine.info().await.map_err(failed)?;
    let mut host = json!({
        "Privileged": true,
        "Init": true,
        "RestartPolicy": { "Name": "unless-stopped" },
        "Mounts": [{ "Type": "volume", "Source": request.volume.as_str(), "Target": STATE_FOLDER }],
    });
    if info.cgroup_driver == "cgroupfs" {
        host["CgroupParent"] = Value::from(CGROUP_PARENT);
    }
    if info
        .security_options
        .iter()
        .any(|option| option.contains("name=userns"))
    {
        host["UsernsMode"] = Value::from("host");
    }
    let mut environment = Vec::new();
    for (option, value) in &request.spec.options {
        apply_option(&mut host, &mut environment, option, value)?;
    }
    let body = json!({
        "Image": request.image.as_str(),
        "Env": environment,
        "Cmd": command(&request.spec),
        "Labels": labels.to_map(),
        "HostConfig": host,
    });
    engine
        .container_create(request.container.as_str(), &body)
        .await
        .map_err(failed)?;
    if !request.spec.files.is_empty() {
        let tar = files_tar(&request.spec.files)
            .map_err(|error| WorldError::failed(what.clone(), error))?;
        engine
            .put_archive(request.container.as_str(), "/", tar.into())
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Returns the daemon's arguments: buildx puts the configuration first, so that flags of the user win.
fn command(spec: &NodeSpec) -> Vec<String> {
    let config = spec.files.iter().any(|(name, _)| name == CONFIG_FILE);
    let config = config.then(|| {
        [
            "--config".to_owned(),
            format!("{CONFIG_FOLDER}/{CONFIG_FILE}"),
        ]
    });
    config
        .into_iter()
        .flatten()
        .chain(spec.flags.iter().cloned())
        .collect()
}

/// Applies a driver option as buildx does; one that it would refuse is refused here.
fn apply_option(
    host: &mut Value,
    environment: &mut Vec<String>,
    option: &str,
    value: &str,
) -> Answer<()> {
    let refused = || WorldError::Refused {
        why: format!("driver option `{option}` of this node is not one that rekit can carry over"),
    };
    let number = || value.parse::<i64>().map(Value::from).map_err(|_| refused());
    match option {
        "image" | "default-load" | "provenance-add-gha" | "allow-untrusted-image" => {}
        "network" => host["NetworkMode"] = Value::from(value),
        "memory" => host["Memory"] = Value::from(bytes(value).ok_or_else(refused)?),
        "memory-swap" => {
            let swap = if value == "-1" {
                Some(-1)
            } else {
                bytes(value)
            };
            host["MemorySwap"] = Value::from(swap.ok_or_else(refused)?);
        }
        "cpu-period" => host["CpuPeriod"] = number()?,
        "cpu-quota" => host["CpuQuota"] = number()?,
        "cpu-shares" => host["CpuShares"] = number()?,
        "cpuset-cpus" => host["CpusetCpus"] = Value::from(value),
        "cpuset-mems" => host["CpusetMems"] = Value::from(value),
        "cgroup-parent" => {
            if host.get("CgroupParent").is_some() {
                host["CgroupParent"] = Value::from(value);
            }
        }
        "restart-policy" => {
            let (name, count) = value.split_once(':').unwrap_or((value, "0"));
            let count: i64 = count.parse().map_err(|_| refused())?;
            host["RestartPolicy"] = json!({ "Name": name, "MaximumRetryCount": count });
        }
        option => match option.strip_prefix("env.") {
            Some(name) if !name.is_empty() => environment.push(format!("{name}={value}")),
            _ => return Err(refused()),
        },
    }
    Ok(())
}

/// Returns bytes from docker's way of writing them: `512m`, `2g`, units of 1024.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let text = lower.trim_end_matches("ib").trim_end_matches('b');
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    let shift = match &text[digits..] {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Packs a node's files for `/etc/buildkit`; what is below it gets its folders.
fn files_tar(files: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut folders: Vec<String> = vec!["etc/buildkit/".to_owned()];
    for (name, _) in files {
        let mut folder = String::from("etc/buildkit/");
        for part in name.split('/').take(name.matches('/').count()) {
            folder = format!("{folder}{part}/");
            if !folders.contains(&folder) {
                folders.push(folder.clone());
            }
        }
    }
    for folder in folders {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o700);
        header.set_size(0);
        tar.append_data(&mut header, folder, std::io::empty())?;
    }
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        tar.append_data(
            &mut header,
            format!("etc/buildkit/{name}"),
            content.as_slice(),
        )?;
    }
    tar.into_inner()
}

/// Makes a container again from the engine's own description of it, with more labels.
pub(super) async fn recreate(
    engine: &Engine,
    name: &ContainerName,
    like: &ForeignBytes,
    labels: &Labels,
) -> Answer<()> {
    let what = format!("container `{name}` cannot be made again");
    let described: Value = serde_json::from_slice(like.expose())
        .map_err(|error| WorldError::failed(what.clone(), error))?;
    let mut body: Map<String, Value> = described
        .get("Config")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let had = body.get("Labels").cloned().unwrap_or_default();
    let had = serde_json::from_value(had).unwrap_or_default();
    let id = described.get("Id").and_then(Value::as_str);
    let all = labels.again(&had, id.unwrap_or_default());
    body.insert("Labels".to_owned(), json!(all));
    // The engine made this one up from the old id.
    body.remove("Hostname");
    body.insert(
        "HostConfig".to_owned(),
        described.get("HostConfig").cloned().unwrap_or_default(),
    );
    match engine
        .container_create(name.as_str(), &Value::Object(body))
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(WorldError::failed(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_sizes_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("512m", Some(512 << 20)),
            ("2g", Some(2 << 30)),
            ("1GiB", Some(1 << 30)),
            ("7", Some(7)),
            ("x", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn files_lie_where_the_daemon_reads_them() {
        let tar = files_tar(&[
            ("buildkitd.toml".into(), b"x".to_vec()),
            ("certs/h/ca.pem".into(), b"y".to_vec()),
        ])
        .unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "etc/buildkit/",
                "etc/buildkit/certs/",
                "etc/buildkit/certs/h/",
                "etc/buildkit/buildkitd.toml",
                "etc/buildkit/certs/h/ca.pem"
            ]
        );
    }
}
