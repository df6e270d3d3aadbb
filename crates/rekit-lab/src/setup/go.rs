//! BuildKit and buildx from their Go modules, pinned by version and checksum.

use super::apt::PrivateApt;
use crate::{
    cache::Cache,
    process::{text, words},
    versions::{GO_TOOLS, GoTool},
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The oldest Go that builds the pinned modules.
const OLDEST_GO: (u32, u32) = (1, 26);

/// Builds every tool that is missing, one after the other: a Go build uses all cores by itself.
pub(super) fn build_all(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    if GO_TOOLS.iter().all(|tool| cache.path(&part(tool)).exists()) {
        return Ok(());
    }
    let go = compiler(cache, say)?;
    for tool in GO_TOOLS {
        cache.provide(&part(tool), |target| {
            say(&format!(
                "building {} {} (1 to 3 minutes the first time)",
                tool.name, tool.version
            ));
            build(&go, tool, target)
        })?;
    }
    Ok(())
}

/// Returns the name of a tool's part in the cache.
pub(crate) fn part(tool: &GoTool) -> String {
    format!("{}-{}", tool.name, tool.version)
}

fn build(go: &Path, tool: &GoTool, target: &Path) -> Result<()> {
    let source = target.join(".source");
    fs::create_dir(&source)?;
    fs::write(source.join("go.mod"), tool.go_mod)?;
    fs::write(source.join("go.sum"), tool.go_sum)?;
    let flags = format!("-s -w -X {}/version.Version=v{}", tool.module, tool.version);
    let mut command = words(
        go,
        [
            "build",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            &flags,
            "-o",
        ],
    );
    command.arg(format!("{}/", target.display())).args(
        tool.commands
            .iter()
            .map(|name| format!("{}/{name}", tool.module)),
    );
    text(
        command
            .current_dir(&source)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOWORK", "off"),
    )?;
    Ok(fs::remove_dir_all(source)?)
}

/// Returns the machine's Go, or unpacks one from Debian's newest suite (Go's programs need no libc).
fn compiler(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    if new_enough("go") {
        return Ok("go".into());
    }
    let (major, minor) = OLDEST_GO;
    let release = format!("{major}.{minor}");
    let root = cache.provide(&format!("go-{release}"), |prefix| {
        say(&format!("unpacking Go {release} from Debian's sid"));
        let state = prefix.join(".apt");
        let architecture = text(&mut words("dpkg", ["--print-architecture"]))?;
        let packages = [
            format!("golang-{release}-go"),
            format!("golang-{release}-src"),
        ];
        PrivateApt::read(&state, "sid", architecture.trim())?
            .unpack(&packages.each_ref().map(String::as_str), prefix)?;
        // Debian links the Go root into the machine's own /usr/share; here the parts lie together.
        let root = prefix.join(format!("usr/lib/go-{release}"));
        for name in ["api", "misc", "src", "test", "lib"] {
            let shared = prefix.join(format!("usr/share/go-{release}")).join(name);
            if shared.exists() {
                let _absent = fs::remove_file(root.join(name));
                fs::rename(shared, root.join(name))?;
            }
        }
        fs::remove_dir_all(state).context("could not remove apt's lists")
    })?;
    Ok(root.join(format!("usr/lib/go-{release}/bin/go")))
}

fn new_enough(go: &str) -> bool {
    let Ok(version) = text(&mut words(go, ["env", "GOVERSION"])) else {
        return false;
    };
    let mut numbers = version
        .trim()
        .trim_start_matches("go")
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_GO
}
