//! The image that buildx's docker-container driver starts, made from parts of this machine: no registry is needed.
//!
//! The layer is packed once into the cache; a lab loads it straight into its engine. It holds what the published image holds: buildkitd,
//! buildctl, runc with its libraries, and busybox.

use crate::{
    cache::Cache,
    lab::Lab,
    process::{succeeds, text, words},
    versions::{self, BUILDER_TAG},
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
};

impl Lab {
    /// Puts the builder image with BuildKit `version` into the engine as `moby/buildkit:buildx-stable-1`.
    pub fn buildkit_image(&self, version: &str) -> Result<()> {
        self.buildkit_image_as(version, BUILDER_TAG)
    }

    /// Puts the builder image with BuildKit `version` into the engine as `tag`: pulled if `REKIT_LAB_PULL=1` and a registry answers, else made.
    pub fn buildkit_image_as(&self, version: &str, tag: &str) -> Result<()> {
        if env::var("REKIT_LAB_PULL").is_ok_and(|value| value == "1") && self.pull(version, tag) {
            return Ok(());
        }
        let archive = archive(&self.cache, version)?;
        load(
            self.command("docker"),
            &archive,
            tag,
            &self.root().join("tmp"),
        )
    }

    fn pull(&self, version: &str, tag: &str) -> bool {
        let published = format!("moby/buildkit:v{version}");
        // A registry that is not there must not cost more than this; the pull itself may take longer.
        let answers = succeeds(
            self.command("timeout")
                .args(["5", "docker", "manifest", "inspect", &published]),
        );
        answers
            && self.docker(&["pull", "-q", &published]).is_ok()
            && self.docker(&["tag", &published, tag]).is_ok()
    }
}

/// Loads a packed image into the engine that `docker` reaches.
pub(crate) fn load(
    mut docker: std::process::Command,
    archive: &Path,
    tag: &str,
    scratch: &Path,
) -> Result<()> {
    let manifest = scratch
        .join(format!("manifest-{}", std::process::id()))
        .join(tag.replace(['/', ':'], "-"));
    fs::create_dir_all(&manifest)?;
    fs::write(
        manifest.join("manifest.json"),
        json!([{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]).to_string(),
    )?;
    let mut tar = words("tar", ["-cf", "-", "-C"]);
    let mut packing = tar
        .arg(&manifest)
        .arg("manifest.json")
        .arg("-C")
        .arg(archive)
        .args(["config.json", "layer.tar"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stream = packing.stdout.take().context("BUG: tar has no stdout")?;
    text(docker.args(["load", "-q"]).stdin(stream)).context("could not load the image")?;
    packing.wait()?;
    fs::remove_dir_all(manifest)?;
    Ok(())
}

/// Returns the folder with the packed builder image of BuildKit `version`: `layer.tar` and `config.json`.
pub(crate) fn archive(cache: &Cache, version: &str) -> Result<PathBuf> {
    versions::go_tool("buildkit", version)?;
    let programs = cache.need(&format!("buildkit-{version}"))?;
    cache.provide(&format!("image-buildkit-{version}"), |target| {
        let root = target.join("root");
        lay_out(&root, &programs)?;
        pack(target, &root, &json!({"Env": ["PATH=/usr/bin:/bin"], "Entrypoint": ["buildkitd"], "Volumes": {"/var/lib/buildkit": {}}}))?;
        Ok(fs::remove_dir_all(root)?)
    })
}

/// Packs the tree `root` as an image of one layer in `target`.
pub(crate) fn pack(target: &Path, root: &Path, config: &serde_json::Value) -> Result<()> {
    let layer = target.join("layer.tar");
    let mut tar = words(
        "tar",
        [
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-cf",
        ],
    );
    text(tar.arg(&layer).arg("-C").arg(root).arg("."))?;
    let digest = text(words("sha256sum", [] as [&str; 0]).arg(&layer))?;
    let digest = format!("sha256:{}", digest.split(' ').next().unwrap_or_default());
    let architecture = if env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "amd64"
    };
    let image = json!({
        "architecture": architecture, "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "rekit-lab"}],
    });
    Ok(fs::write(target.join("config.json"), image.to_string())?)
}

fn lay_out(root: &Path, programs: &Path) -> Result<()> {
    for folder in ["usr/bin", "bin", "tmp", "etc", "var/lib/buildkit"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for program in ["buildkitd", "buildctl"] {
        fs::copy(programs.join(program), root.join("usr/bin").join(program))?;
    }
    let runc = "/usr/sbin/runc";
    fs::copy(runc, root.join("usr/bin/buildkit-runc"))
        .context("runc is missing: run `rekit-lab setup`")?;
    let libraries = text(&mut words("ldd", [runc]))?;
    for library in libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("BUG: a library lies in the root")?)?;
        fs::copy(library, place)?;
    }
    busybox(root)
}

/// Puts the machine's static busybox with all its names into `root`.
pub(crate) fn busybox(root: &Path) -> Result<()> {
    let bin = root.join("bin");
    fs::create_dir_all(&bin)?;
    fs::copy("/bin/busybox", bin.join("busybox"))
        .context("busybox is missing: run `rekit-lab setup`")?;
    for name in text(&mut words("/bin/busybox", ["--list"]))?.lines() {
        if !bin.join(name).exists() {
            symlink("busybox", bin.join(name))?;
        }
    }
    Ok(())
}
