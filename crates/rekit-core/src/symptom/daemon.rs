//! What buildkitd and the engine say: configuration, damaged states, full disks, ends.

use super::Symptom;

pub(super) const SYMPTOMS: &[Symptom] = &[
    Symptom {
        name: "configuration-refused",
        says: &[
            &["unhandled kv part"],
            &["invalid disk space"],
            &["flag provided but not defined"],
            &["failed to load config from"],
        ],
        cause: "buildkitd refuses its buildkitd.toml or a flag, and ends at once. With its restart policy the container loops.",
        next: "`rekit doctor` underlines the place and shows what to write instead; `rekit reinstall` corrects it",
        codes: &["RK401", "RK309"],
    },
    Symptom {
        name: "crash-loop",
        says: &[&["is restarting, wait until the container is running"]],
        cause: "The builder's daemon ends each time it is started: a refused configuration or flag, or a damaged database.",
        next: "`docker logs` of that container: its first error line says which; `rekit doctor` reads it too",
        codes: &["RK309", "RK401", "RK308"],
    },
    Symptom {
        name: "disk-full-at-prune",
        says: &[&["failed to delete metadata", "no space left on device"]],
        cause: "The disk is so full that not even a removal can be written down: pruning cannot help any more.",
        next: "free something else first (stopped containers, dangling images), then prune; else archive what can be read and renew the builder",
        codes: &[],
    },
    Symptom {
        name: "disk-full",
        says: &[
            &["no space left on device"],
            &["ResourceExhausted"],
            &["disk quota exceeded"],
        ],
        cause: "The disk under the cache is full. Collection runs after builds, and nothing adds up the limits of all builders.",
        next: "`rekit inventory` lists every cache with its size; `docker buildx prune` frees the builder's",
        codes: &["RK301", "RK404", "RK405"],
    },
    Symptom {
        name: "engine-refuses-its-collection",
        says: &[
            &["could not get builder GC policy"],
            &["filters expect only one value"],
            &["don't match any configuration option"],
        ],
        cause: "daemon.json holds a part that the engine refuses; `dockerd --validate` does not look inside `builder.gc`.",
        next: "put the previous daemon.json back; a filter takes one `key=value`",
        codes: &[],
    },
    Symptom {
        name: "cache-index-reset",
        says: &[&["resetting to empty"]],
        cause: "The daemon found its cache index damaged after a crash and began a new one. Builds work, what was cached is lost to them.",
        next: "nothing is urgent: prune once, so that what no index knows is freed",
        codes: &[],
    },
    Symptom {
        name: "database-damaged",
        says: &[
            &["invalid database"],
            &["invalid freelist page"],
            &["freepages: failed to get all reachable pages"],
        ],
        cause: "One of the daemon's databases is damaged, after a power loss or a kill. The five of them make sense together only.",
        next: "`rekit reinstall --without-cache-backup BUILDER` gives this builder a fresh state; `rekit backup restore` brings an archive back",
        codes: &["RK309", "RK308"],
    },
    Symptom {
        name: "snapshots-lost",
        says: &[
            &["parent snapshot", "does not exist"],
            &["failed to rename", "snapshots", "file exists"],
            &["failed to walk: resolve", "no such file or directory"],
            &["failed to get usage for"],
            &["failed to stat lower snapshot"],
            &["failed to open database file: invalid database"],
        ],
        cause: "The cache names layers that are not there any more: somebody deleted files under the state, a restore was partial, or a database was lost. The builder still counts as running.",
        next: "`docker buildx prune --all` is often enough; where it comes back, renew the builder",
        codes: &["RK310"],
    },
    Symptom {
        name: "blob-lost",
        says: &[&["blob", "expected at", "not found"], &["blob not found"]],
        cause: "The content store and its index disagree. Exporting can hang instead of failing.",
        next: "prune all of that builder's cache, or renew it; give builds a deadline meanwhile",
        codes: &[],
    },
    Symptom {
        name: "engine-cache-broken",
        says: &[
            &["runc run failed: stat: no such file"],
            &["invalid mutable ref"],
            &[".tmp-committed"],
        ],
        cause: "The engine's own cache does not fit its layers, often after an upgrade.",
        next: "`docker builder prune --all`: without `--all` it is reported not to be enough",
        codes: &["RK315"],
    },
    Symptom {
        name: "daemon-ended-in-a-build",
        says: &[
            &["error reading from server: EOF"],
            &["code = Unavailable", "error reading from server"],
            &["transport is closing"],
        ],
        cause: "The daemon ended while it built: memory ran out (a builder's limit counts its steps and the daemon together), or it was stopped.",
        next: "`docker inspect` of the container tells `OOMKilled`; raise the limit or lower `max-parallelism`",
        codes: &["RK308", "RK309"],
    },
    Symptom {
        name: "daemon-does-not-answer",
        says: &[
            &["context deadline exceeded"],
            &["exited with exit status 255"],
        ],
        cause: "A node or a context does not answer; buildx asks all of them, also for builders that you do not use.",
        next: "`rekit doctor` names which; remove that builder or context, or bring its machine back",
        codes: &["RK312", "RK310", "RK106", "RK314", "RK315", "RK105"],
    },
    Symptom {
        name: "rootless-not-allowed",
        says: &[
            &["fork/exec /proc/self/exe: operation not permitted"],
            &["newuidmap"],
        ],
        cause: "The machine forbids user namespaces to this account: AppArmor's limit on Ubuntu from 23.10 on, or no ranges in /etc/subuid.",
        next: "add the ranges, and an AppArmor profile for the rootless daemon",
        codes: &[],
    },
    Symptom {
        name: "cgroups-not-mounted",
        says: &[
            &["error mounting \"cgroup\""],
            &["can't unmount /sys/fs/cgroup"],
        ],
        cause: "The builder's image expects other control groups than the machine has, or it runs inside another container.",
        next: "take another BuildKit version for the builder (`--driver-opt image=`)",
        codes: &[],
    },
    Symptom {
        name: "selinux-denies",
        says: &[&["avc:", "denied"]],
        cause: "SELinux denies access to layers without labels, for example after the data root was moved.",
        next: "`restorecon -R` on the data root, and a current container-selinux",
        codes: &[],
    },
];
