//! The keys that buildkitd reads, and what each takes.
//!
//! Invariant: one row per key of the daemon's configuration, with the release that brought it (0: before 0.13).
//! A new key is one new row; `tests/buildkitd/record` compares the table with the real readers.

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// Bytes, `"2GB"` or `"10%"`.
    Size,
    /// Seconds or `"48h"`.
    Duration,
    /// A list.
    List(&'static Self),
    /// A section with free keys.
    Map(&'static Self),
    /// A section with these keys, in groups that workers share.
    Section(&'static [&'static [Key]]),
    /// Whatever the worker makes of it.
    Any,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name as written by its makers; readers are less strict.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) shape: Shape,
    /// The minor release that first reads it.
    pub(super) since: u32,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key {
        name,
        shape,
        since: 0,
    }
}

const fn since(since: u32, name: &'static str, shape: Shape) -> Key {
    Key { name, shape, since }
}

const TEXTS: Shape = Shape::List(&Shape::Text);

/// The whole file.
pub(super) const ROOT: Shape = Shape::Section(&[&[
    key("debug", Shape::Flag),
    key("trace", Shape::Flag),
    key("root", Shape::Text),
    key("insecure-entitlements", TEXTS),
    since(31, "proxyNetwork", Shape::Flag),
    since(13, "log", Shape::Section(&[LOG])),
    key("grpc", Shape::Section(&[GRPC])),
    since(
        13,
        "otel",
        Shape::Section(&[&[key("socketPath", Shape::Text)]]),
    ),
    since(20, "cdi", Shape::Section(&[CDI])),
    key("worker", Shape::Section(&[WORKER])),
    key("registry", Shape::Map(&Shape::Section(&[REGISTRY]))),
    key("dns", Shape::Section(&[DNS])),
    key("history", Shape::Section(&[HISTORY])),
    since(14, "frontend", Shape::Section(&[FRONTEND])),
    since(14, "system", Shape::Section(&[SYSTEM])),
    since(25, "provenanceEnvDir", Shape::Text),
    since(27, "cache", Shape::Section(&[CACHE])),
]]);

const LOG: &[Key] = &[key("format", Shape::Text), since(30, "level", Shape::Text)];

const GRPC: &[Key] = &[
    key("address", TEXTS),
    key("debugAddress", Shape::Text),
    key("uid", Shape::Integer),
    key("gid", Shape::Integer),
    since(13, "securityDescriptor", Shape::Text),
    key("tls", Shape::Section(&[TLS])),
];

const TLS: &[Key] = &[
    key("cert", Shape::Text),
    key("key", Shape::Text),
    key("ca", Shape::Text),
];

const CDI: &[Key] = &[
    key("disabled", Shape::Flag),
    key("specDirs", TEXTS),
    key("autoAllowed", TEXTS),
];

const WORKER: &[Key] = &[
    key("oci", Shape::Section(&[EITHER_WORKER, OCI, GC, NETWORK])),
    key(
        "containerd",
        Shape::Section(&[EITHER_WORKER, CONTAINERD, GC, NETWORK]),
    ),
];

const EITHER_WORKER: &[Key] = &[
    key("enabled", Shape::Flag),
    key("labels", Shape::Map(&Shape::Text)),
    key("platforms", TEXTS),
    key("snapshotter", Shape::Text),
    key("rootless", Shape::Flag),
    key("apparmor-profile", Shape::Text),
    key("selinux", Shape::Flag),
    key("max-parallelism", Shape::Integer),
];

const OCI: &[Key] = &[
    key("defaultCgroupParent", Shape::Text),
    key("noProcessSandbox", Shape::Flag),
    key("userRemapUnsupported", Shape::Text),
    key("binary", Shape::Text),
    key("proxySnapshotterPath", Shape::Text),
    key("stargzSnapshotter", Shape::Map(&Shape::Any)),
];

const CONTAINERD: &[Key] = &[
    since(15, "defaultCgroupParent", Shape::Text),
    key("address", Shape::Text),
    key("namespace", Shape::Text),
    since(13, "runtime", Shape::Section(&[RUNTIME])),
];

const RUNTIME: &[Key] = &[
    key("name", Shape::Text),
    key("path", Shape::Text),
    key("options", Shape::Map(&Shape::Any)),
];

const GC: &[Key] = &[
    key("gc", Shape::Flag),
    key("gckeepstorage", Shape::Size),
    since(17, "reservedSpace", Shape::Size),
    since(17, "maxUsedSpace", Shape::Size),
    since(17, "minFreeSpace", Shape::Size),
    key("gcpolicy", Shape::List(&Shape::Section(&[POLICY]))),
];

const POLICY: &[Key] = &[
    key("all", Shape::Flag),
    key("filters", TEXTS),
    key("keepDuration", Shape::Duration),
    key("keepBytes", Shape::Size),
    since(17, "reservedSpace", Shape::Size),
    since(17, "maxUsedSpace", Shape::Size),
    since(17, "minFreeSpace", Shape::Size),
];

const NETWORK: &[Key] = &[
    key("networkMode", Shape::Text),
    key("cniConfigPath", Shape::Text),
    key("cniBinaryPath", Shape::Text),
    key("cniPoolSize", Shape::Integer),
    since(13, "bridgeName", Shape::Text),
    since(13, "bridgeSubnet", Shape::Text),
];

const REGISTRY: &[Key] = &[
    key("mirrors", TEXTS),
    key("http", Shape::Flag),
    key("insecure", Shape::Flag),
    key("ca", TEXTS),
    key("keypair", Shape::List(&Shape::Section(&[KEY_PAIR]))),
    key("tlsconfigdir", TEXTS),
];

const KEY_PAIR: &[Key] = &[key("key", Shape::Text), key("cert", Shape::Text)];

const DNS: &[Key] = &[
    key("nameservers", TEXTS),
    key("options", TEXTS),
    key("searchDomains", TEXTS),
];

const HISTORY: &[Key] = &[
    key("maxAge", Shape::Duration),
    key("maxEntries", Shape::Integer),
];

const FRONTEND: &[Key] = &[
    key(
        "dockerfile.v0",
        Shape::Section(&[&[key("enabled", Shape::Flag)]]),
    ),
    key(
        "gateway.v0",
        Shape::Section(&[&[
            key("enabled", Shape::Flag),
            key("allowedRepositories", TEXTS),
        ]]),
    ),
];

const SYSTEM: &[Key] = &[
    key("platformsCacheMaxAge", Shape::Duration),
    since(31, "maxRegistryConcurrency", Shape::Integer),
];

const CACHE: &[Key] = &[key("gha", Shape::Section(&[GHA]))];

const GHA: &[Key] = &[
    key("sign", Shape::Section(&[&[key("command", TEXTS)]])),
    key(
        "verify",
        Shape::Section(&[&[
            key("required", Shape::Flag),
            key("policy", Shape::Map(&Shape::Any)),
        ]]),
    ),
];

/// The keys of a size that is written as a section; nobody does, but the daemon reads it.
pub(super) const SIZE_PARTS: &[&[Key]] = &[&[
    key("bytes", Shape::Integer),
    key("percentage", Shape::Integer),
]];
