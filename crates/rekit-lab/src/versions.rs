//! What the lab is made of, in which versions: the one table that setup, the program's flags and the tests read.
//!
//! Go tools are pinned by the `go.mod` and `go.sum` under `go/`, which are part of the program, so that it works from anywhere.

use anyhow::{Result, bail};

/// An engine with its command line and Compose, unpacked from a Debian suite.
#[derive(Debug)]
pub struct Engine {
    /// The version as the lab's flags spell it.
    pub version: &'static str,
    /// The Debian suite that has it.
    pub suite: &'static str,
}

/// The engines, the default first.
pub const ENGINES: &[Engine] = &[
    Engine {
        version: "28.5",
        suite: "sid",
    },
    Engine {
        version: "26.1",
        suite: "trixie",
    },
];

/// A program that is built from its Go module.
#[derive(Debug)]
pub struct GoTool {
    /// `buildkit` or `buildx`.
    pub name: &'static str,
    /// The version without `v`.
    pub version: &'static str,
    /// The Go module.
    pub module: &'static str,
    /// The commands inside the module.
    pub commands: &'static [&'static str],
    /// The pinned module file.
    pub go_mod: &'static str,
    /// The checksums of all it needs.
    pub go_sum: &'static str,
}

const BUILDKIT: &str = "github.com/moby/buildkit";
const BUILDX: &str = "github.com/docker/buildx";

/// The Go tools; the first of each name is the default.
pub const GO_TOOLS: &[GoTool] = &[
    GoTool {
        name: "buildkit",
        version: "0.32.2",
        module: BUILDKIT,
        commands: &["cmd/buildkitd", "cmd/buildctl"],
        go_mod: include_str!("../go/buildkit-0.32.2/go.mod"),
        go_sum: include_str!("../go/buildkit-0.32.2/go.sum"),
    },
    GoTool {
        name: "buildkit",
        version: "0.17.3",
        module: BUILDKIT,
        commands: &["cmd/buildkitd", "cmd/buildctl"],
        go_mod: include_str!("../go/buildkit-0.17.3/go.mod"),
        go_sum: include_str!("../go/buildkit-0.17.3/go.sum"),
    },
    GoTool {
        name: "buildkit",
        version: "0.12.5",
        module: BUILDKIT,
        commands: &["cmd/buildkitd", "cmd/buildctl"],
        go_mod: include_str!("../go/buildkit-0.12.5/go.mod"),
        go_sum: include_str!("../go/buildkit-0.12.5/go.sum"),
    },
    GoTool {
        name: "buildx",
        version: "0.36.1",
        module: BUILDX,
        commands: &["cmd/buildx"],
        go_mod: include_str!("../go/buildx-0.36.1/go.mod"),
        go_sum: include_str!("../go/buildx-0.36.1/go.sum"),
    },
    GoTool {
        name: "buildx",
        version: "0.29.1",
        module: BUILDX,
        commands: &["cmd/buildx"],
        go_mod: include_str!("../go/buildx-0.29.1/go.mod"),
        go_sum: include_str!("../go/buildx-0.29.1/go.sum"),
    },
];

/// The default BuildKit.
pub const BUILDKIT_DEFAULT: &str = "0.32.2";
/// The default buildx.
pub const BUILDX_DEFAULT: &str = "0.36.1";
/// The default engine.
pub const ENGINE_DEFAULT: &str = "28.5";
/// The image that buildx's docker-container driver starts.
pub const BUILDER_TAG: &str = "moby/buildkit:buildx-stable-1";

/// Programs of the machine's own Debian suite that the lab needs: package and a file that shows that it is there.
pub const PACKAGES: &[(&str, &str)] = &[
    ("runc", "/usr/sbin/runc"),
    ("iptables", "/usr/sbin/iptables"),
    ("iproute2", "/usr/bin/ip"),
    ("tini", "/usr/bin/tini-static"),
    ("busybox-static", "/bin/busybox"),
    ("qemu-user-static", "/usr/bin/qemu-aarch64-static"),
    ("binfmt-support", "/usr/sbin/update-binfmts"),
    ("rootlesskit", "/usr/bin/rootlesskit"),
    ("uidmap", "/usr/bin/newuidmap"),
    ("openssl", "/usr/bin/openssl"),
    ("attr", "/usr/bin/getfattr"),
    ("libcap2-bin", "/usr/sbin/setcap"),
    ("zstd", "/usr/bin/zstd"),
    ("xz-utils", "/usr/bin/xz"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
];

/// Returns the engine of `version`.
pub fn engine(version: &str) -> Result<&'static Engine> {
    let known = || {
        ENGINES
            .iter()
            .map(|engine| engine.version)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(engine) = ENGINES.iter().find(|engine| engine.version == version) else {
        bail!("the lab has no engine `{version}`; it has {}", known());
    };
    Ok(engine)
}

/// Returns the Go tool `name` of `version`.
pub fn go_tool(name: &str, version: &str) -> Result<&'static GoTool> {
    let known = || versions_of(name).collect::<Vec<_>>().join(", ");
    let Some(tool) = GO_TOOLS
        .iter()
        .find(|tool| tool.name == name && tool.version == version)
    else {
        bail!("the lab has no {name} `{version}`; it has {}", known());
    };
    Ok(tool)
}

/// Returns the versions of the Go tool `name`.
pub fn versions_of(name: &str) -> impl Iterator<Item = &'static str> {
    GO_TOOLS
        .iter()
        .filter(move |tool| tool.name == name)
        .map(|tool| tool.version)
}
