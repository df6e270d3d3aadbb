//! Remote builders whose daemons don't answer, in the three ways of not answering.

use crate::{
    engine::{SYSTEM_PATH, add_namespace, namespace_file},
    lab::Lab,
    process::{text, words},
    record::namespace,
};
use anyhow::Result;
use std::{
    fs,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::Stdio,
};

/// `closed`: a TCP port that nobody listens on. `silent`: a unix socket without a listener. `mute`: one that takes calls and never answers.
pub(super) fn unreachable_node(lab: &Lab) -> Result<()> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let silent = lab.root().join("silent.sock");
    drop(UnixListener::bind(&silent)?);
    let mute = lab.root().join("mute.sock");
    // A process that never looks at it: the kernel takes the calls, nobody answers.
    detached_holder(lab, "mute", UnixListener::bind(&mute)?.into())?;
    let endpoints = [
        ("closed", format!("tcp://127.0.0.1:{port}")),
        ("silent", format!("unix://{}", silent.display())),
        ("mute", format!("unix://{}", mute.display())),
    ];
    // By hand and not by `buildx create`: that would wait for each of them.
    let instances = lab.buildx_config().join("instances");
    fs::create_dir_all(&instances)?;
    for (name, endpoint) in endpoints {
        let node = serde_json::json!({"Name": format!("{name}0"), "Endpoint": endpoint, "Platforms": null, "DriverOpts": null, "Flags": null, "Files": null});
        let record = serde_json::json!({"Name": name, "Driver": "remote", "Nodes": [node], "Dynamic": false});
        fs::write(instances.join(name), record.to_string())?;
    }
    Ok(())
}

/// Gives an open file to a process of the lab that does nothing with it.
pub(super) fn detached_holder(lab: &Lab, part: &str, held: OwnedFd) -> Result<()> {
    let space = namespace(lab.name(), part);
    add_namespace(&space)?;
    let mut command = words(
        "sh",
        [
            "-c",
            r#"exec setsid --fork nsenter "$@" > /dev/null 2>&1"#,
            "sh",
        ],
    );
    command
        .arg(format!("--net={}", namespace_file(&space).display()))
        .args(["sleep", "infinity"]);
    command
        .stdin(Stdio::from(held))
        .env_clear()
        .env("PATH", SYSTEM_PATH);
    text(&mut command)?;
    Ok(())
}
