//! Emulators in the kernel's `binfmt_misc`, and a static busybox for arm64 base images.

use super::apt::PrivateApt;
use crate::{
    cache::Cache,
    process::{text, words},
};
use anyhow::{Context, Result};
use std::{fs, path::Path};

const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// Mounts `binfmt_misc` if it is not, registers the emulators of Debian's qemu-user-static, and fetches the arm64 busybox.
pub(super) fn enable(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    register(cache, say)?;
    cache.provide("busybox-arm64", |prefix| {
        say("unpacking busybox for arm64");
        let own = text(&mut words(
            "apt-get",
            ["indextargets", "--format", "$(CODENAME)", "Origin: Debian"],
        ))?;
        let suite = own
            .lines()
            .find(|name| !name.contains('-'))
            .unwrap_or("bookworm")
            .to_owned();
        let state = prefix.join(".apt");
        PrivateApt::read(&state, &suite, "arm64")?.unpack(&["busybox-static"], prefix)?;
        fs::remove_dir_all(state)?;
        let unpacked = ["bin/busybox", "usr/bin/busybox"].map(|name| prefix.join(name));
        let busybox = unpacked
            .iter()
            .find(|path| path.exists())
            .context("Debian's busybox-static has no busybox")?;
        fs::rename(busybox, prefix.join("busybox"))?;
        Ok(())
    })?;
    Ok(())
}

fn register(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let arm64 = Path::new(REGISTRY).join("qemu-aarch64");
    if arm64.exists() {
        return Ok(());
    }
    let _lock = cache.lock("emulators")?;
    if !Path::new(REGISTRY).join("register").exists() {
        text(&mut words(
            "mount",
            ["-t", "binfmt_misc", "binfmt_misc", REGISTRY],
        ))
        .context("could not mount binfmt_misc")?;
    }
    say("registering emulators");
    for entry in fs::read_dir("/usr/share/binfmts")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("qemu-") && !Path::new(REGISTRY).join(&name).exists() {
            text(&mut words("update-binfmts", ["--import", &name]))?;
            text(&mut words("update-binfmts", ["--enable", &name]))?;
        }
    }
    if !arm64.exists() && std::env::consts::ARCH != "aarch64" {
        anyhow::bail!(
            "the kernel has no emulator for arm64 although Debian's qemu-user-static is installed"
        );
    }
    Ok(())
}
