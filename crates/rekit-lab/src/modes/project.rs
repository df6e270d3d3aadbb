//! The first user's project: a Dockerfile whose layers hold everything that a careless copy loses, a Compose file, a script.
//!
//! Nothing is pulled: the base is `FROM scratch` and a static busybox for each of two platforms. Its big files are random, so that a step that
//! runs again gives another result: equal results prove a warm cache.

use crate::{
    image,
    lab::Lab,
    process::{text, words},
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const DOCKERFILE: &str = r#"FROM scratch AS base
ARG TARGETARCH
COPY base/${TARGETARCH}/ /
ENV PATH=/bin
RUN ["/bin/busybox", "--install", "-s", "/bin"]

FROM base AS hello
RUN mkdir -p /out && uname -m > /out/arch

FROM base AS tree
RUN mkdir -p /data/replaced/deep /data/kept /data/hard /data/work \
 && echo old > /data/replaced/old && echo old > /data/replaced/deep/old \
 && echo here > /data/kept/here && echo gone > /data/kept/gone
RUN rm -rf /data/replaced && mkdir /data/replaced && echo new > /data/replaced/new
RUN rm /data/kept/gone
RUN echo one > /data/hard/one && ln /data/hard/one /data/hard/two && ln /data/hard/one /data/hard/three
RUN truncate -s 8M /data/sparse
COPY capable /data/capable
RUN --mount=type=bind,source=setcap,target=/setcap \
    /setcap/loader --library-path /setcap /setcap/setcap cap_net_raw,cap_net_admin+ep /data/capable
ARG FILES
RUN i=0; while [ $i -lt $FILES ]; do d=/data/many/$((i / 200)); [ -d $d ] || mkdir -p $d; echo "$i $(( i * 7919 ))" > $d/$i; i=$((i + 1)); done
ARG MEGABYTES
RUN dd if=/dev/urandom of=/data/big1 bs=1M count=$MEGABYTES 2>/dev/null
RUN dd if=/dev/urandom of=/data/big2 bs=1M count=$MEGABYTES 2>/dev/null
RUN --mount=type=cache,id=team-deps,target=/deps mkdir -p /deps/lib && i=0; while [ $i -lt 200 ]; do echo dependency $i > /deps/lib/$i; i=$((i + 1)); done \
 && dd if=/dev/urandom of=/deps/blob bs=1M count=2 2>/dev/null
RUN --mount=type=cache,target=/root/.cache/tool echo tool > /root/.cache/tool/state
COPY src/ /app/

FROM tree AS app
CMD ["/bin/sh", "/app/main.sh"]
"#;

const COMPOSE: &str = r"services:
  app:
    image: team/app:compose
    build:
      context: .
      target: hello
";

const SCRIPT: &str = r#"#!/bin/sh
# Builds the team's image with the team's builder.
set -eu
cd "$(dirname "$0")"
exec docker buildx build --builder team --target app --build-arg FILES=@FILES@ --build-arg MEGABYTES=@MEGABYTES@ "$@" .
"#;

/// Writes the project into `$HOME/project`; `files` small files and twice `megabytes` of random bytes will come of a build.
pub(super) fn write(lab: &Lab, files: u32, megabytes: u32) -> Result<()> {
    let project = lab.home().join("project");
    for folder in ["base/amd64/bin", "base/arm64/bin", "src", "setcap"] {
        fs::create_dir_all(project.join(folder))?;
    }
    let own = if std::env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "amd64"
    };
    fs::copy(
        "/bin/busybox",
        project.join("base").join(own).join("bin/busybox"),
    )?;
    if own == "amd64" {
        fs::copy(
            lab.cache.need("busybox-arm64")?.join("busybox"),
            project.join("base/arm64/bin/busybox"),
        )?;
    }
    fs::write(project.join("Dockerfile"), DOCKERFILE)?;
    fs::write(project.join("compose.yaml"), COMPOSE)?;
    let script = SCRIPT
        .replace("@FILES@", &files.to_string())
        .replace("@MEGABYTES@", &megabytes.to_string());
    fs::write(project.join("build.sh"), script)?;
    fs::set_permissions(project.join("build.sh"), fs::Permissions::from_mode(0o755))?;
    fs::write(
        project.join("capable"),
        "a program that may open raw sockets\n",
    )?;
    fs::write(project.join("src/main.sh"), "echo the team greets you\n")?;
    bundle_setcap(&project.join("setcap"))
}

/// Collects the machine's setcap with its loader and libraries, to run where no libc is.
fn bundle_setcap(folder: &Path) -> Result<()> {
    fs::copy("/usr/sbin/setcap", folder.join("setcap"))
        .context("setcap is missing: run `rekit-lab setup`")?;
    for library in text(&mut words("ldd", ["/usr/sbin/setcap"]))?
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let name = library.rsplit('/').next().unwrap_or_default();
        fs::copy(
            library,
            folder.join(if name.starts_with("ld-") {
                "loader"
            } else {
                name
            }),
        )?;
    }
    Ok(())
}

impl Lab {
    /// Puts an image of one static busybox into the engine as `tag`.
    pub fn base_image(&self, tag: &str) -> Result<()> {
        let archive = self.cache.provide("image-busybox", |target| {
            let root = target.join("root");
            image::busybox(&root)?;
            image::pack(target, &root, &json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]}))?;
            Ok(fs::remove_dir_all(root)?)
        })?;
        image::load(
            self.command("docker"),
            &archive,
            tag,
            &self.root().join("tmp"),
        )
    }
}
