//! The catalogue of failure modes against what the doctor says: the one table that the tests of the doctor read.

/// What is planted, and what of the catalogue it shows.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The lab's name.
    pub(crate) mode: &'static str,
    /// Names in the catalogue with the code that the doctor gives; none: a quick look cannot see it.
    pub(crate) shows: &'static [(&'static str, Option<&'static str>)],
    /// Further warnings and errors that are true then.
    pub(crate) also: &'static [&'static str],
    /// Whether a user without root asks.
    pub(crate) as_user: bool,
    /// Whether only a deep look can see it.
    pub(crate) deep: bool,
}

const fn row(mode: &'static str, shows: &'static [(&'static str, Option<&'static str>)]) -> Row {
    Row {
        mode,
        shows,
        also: &[],
        as_user: false,
        deep: false,
    }
}

const fn also(row: Row, also: &'static [&'static str]) -> Row {
    Row { also, ..row }
}

const fn deep(row: Row) -> Row {
    Row { deep: true, ..row }
}

const fn as_user(row: Row) -> Row {
    Row {
        as_user: true,
        ..row
    }
}

/// Every mode that the catalogue marks as seen.
pub(crate) const CATALOGUE: &[&str] = &[
    "image-not-loaded",
    "builder-selection-split-brain",
    "cache-fills-disk",
    "prune-deadlock-on-full-disk",
    "orphan-state-volume",
    "orphan-container-adopted-with-old-config",
    "buildx-plugin-missing",
    "buildx-plugin-broken-file",
    "version-skew",
    "root-owned-store",
    "binfmt-lost-after-reboot",
    "credential-helper-missing",
    "npipe-context-ghost",
    "dead-current-context",
    "daemon-settings-not-inherited",
    "corporate-ca-missing",
    "proxy-only-half-set",
    "compose-vs-builder",
    "builder-env-names-missing-builder",
    "selection-silently-reset",
    "instance-file-corrupt",
    "stray-file-in-instances",
    "context-metadata-garbage",
    "driver-not-available",
    "unreachable-node",
    "rm-exit-code-misleads",
    "store-lock-stall",
    "gc-keys-renamed-or-partial",
    "gc-keepduration-pins-everything",
    "gc-default-filter",
    "daemon-json-gc-kills-engine",
    "toml-keys-ignored",
    "settings-change-not-applied",
    "toml-or-flag-crash-loop",
    "stored-toml-blocks-rm",
    "buildkit-image-unavailable",
    "foreign-container-under-our-name",
    "stopped-builder-commands-fail",
    "image-store-switch",
    "backup-loses-overlay-xattrs",
    "multi-platform-or-cache-export-on-docker-driver",
    "cachedb-reset",
    "metadata-db-crash-loop",
    "containerdmeta-lost",
    "snapshot-directories-missing",
    "blob-missing",
    "solver-state-errors",
    "daemon-killed-mid-build",
    "rm-during-build",
    "hot-backup",
    "store-rewrite-drops-fields",
    "remote-tls-paths",
    "kubernetes-pods",
    "desktop-leftovers",
    "wsl-two-stores",
    "desktop-builds-view",
    "ide-uses-other-builder",
    "legacy-builder-forced",
];

/// Modes that were seen and that no look at a machine could tell, each with its reason.
pub(crate) const NOT_HERE: &[(&str, &str)] = &[
    (
        "backup-loses-overlay-xattrs",
        "a way of copying, not a state of a machine: the copy cannot be told from a cache that was always so. Ours keeps them: round_trip.rs",
    ),
    (
        "hot-backup",
        "a way of copying, not a state of a machine. Ours holds the daemon still: live.rs",
    ),
    (
        "store-rewrite-drops-fields",
        "what another buildx dropped leaves no trace. rekit keeps every byte that it does not know: record.rs",
    ),
    (
        "rm-during-build",
        "an act, not a state: rekit waits for running builds instead: running_builds.rs",
    ),
    (
        "multi-platform-or-cache-export-on-docker-driver",
        "no fault of a machine: the engine's own builder refuses such a build at once and says why; before one asks there is nothing to find",
    ),
    (
        "solver-state-errors",
        "only its harmless twin was seen, a missing file of a project; the errors are bugs of releases and leave nothing on the machine",
    ),
];

/// What rekit names and a person mends, each with the reason.
pub(crate) const BY_HAND: &[(&str, &str)] = &[
    (
        "ide-uses-other-builder",
        "what the builder's own settings mend is mended; which builder an editor asks is the editor's setting",
    ),
    (
        "buildx-plugin-missing",
        "a program comes from a package, and which one is the machine's own matter",
    ),
    (
        "buildx-plugin-other-machine",
        "no other copy is on the machine; a program comes from a package",
    ),
    (
        "buildx-plugin-not-executable",
        "no other copy is on the machine; a program comes from a package",
    ),
    (
        "buildx-plugin-dangling-link",
        "no other copy is on the machine; a program comes from a package",
    ),
    (
        "version-skew-api",
        "a variable of the shell that asks, which no program can change for it",
    ),
    (
        "builder-env-names-missing-builder",
        "a variable of the shell that asks, which no program can change for it",
    ),
    (
        "compose-vs-builder",
        "a variable of the shell that asks, which no program can change for it",
    ),
    (
        "legacy-builder-forced",
        "a variable of the shell that asks, which no program can change for it",
    ),
    (
        "gc-default-filter",
        "a rule inside the engine's release: only a newer engine has another",
    ),
    (
        "root-owned-store",
        "only root can give the files back, and the account that finds them is not root",
    ),
    (
        "unreadable-directory",
        "only root can give the folders back, and the account that finds them is not root",
    ),
    (
        "binfmt-lost-after-reboot",
        "emulators are the whole machine's; the command that registers them is shown",
    ),
    (
        "hung-daemon",
        "a daemon that hangs may still build: only a person may decide to end it",
    ),
    (
        "store-lock-stall",
        "another program's lock, which only its end frees",
    ),
    (
        "daemon-json-gc-kills-engine",
        "the lab's engine reads a file that only its command line names, and it is gone; one at the usual place is mended: rootless-daemon-json-gc",
    ),
    (
        "buildkit-image-unavailable",
        "an image that no archive holds can only be pulled",
    ),
    (
        "foreign-container-under-our-name",
        "a container of somebody else is never touched",
    ),
    (
        "image-store-switch",
        "what lies in the hidden store is for a person to fetch or to give up",
    ),
    (
        "daemon-killed-mid-build",
        "how much memory a builder may have is the machine's owner's to say",
    ),
    (
        "wsl-two-stores",
        "which of two stores is the right one only a person knows",
    ),
];

/// Modes of the lab that are no single fault of a machine.
pub(crate) const ELSEWHERE: &[&str] = &["first-user", "many-records"];

/// What is planted. Names that the catalogue does not have are cousins of its modes.
pub(crate) const ROWS: &[Row] = &[
    row(
        "builder-selection-split-brain",
        &[
            ("image-not-loaded", Some("RK220")),
            ("builder-selection-split-brain", Some("RK221")),
            ("ide-uses-other-builder", Some("RK220")),
        ],
    ),
    row("cache-fills-disk", &[("cache-fills-disk", Some("RK601"))]),
    also(
        row(
            "prune-deadlock-on-full-disk",
            &[("prune-deadlock-on-full-disk", Some("RK602"))],
        ),
        &["RK601"],
    ),
    row(
        "orphan-state-volume",
        &[("orphan-state-volume", Some("RK301"))],
    ),
    row(
        "orphan-container-adopted-with-old-config",
        &[("orphan-container-adopted-with-old-config", Some("RK320"))],
    ),
    row(
        "buildx-plugin-missing",
        &[("buildx-plugin-missing", Some("RK110"))],
    ),
    row(
        "buildx-plugin-broken-file",
        &[("buildx-plugin-broken-file", Some("RK111"))],
    ),
    row(
        "buildx-plugin-other-machine",
        &[("buildx-plugin-other-machine", Some("RK111"))],
    ),
    row(
        "buildx-plugin-not-executable",
        &[("buildx-plugin-not-executable", Some("RK111"))],
    ),
    row(
        "buildx-plugin-dangling-link",
        &[("buildx-plugin-dangling-link", Some("RK110"))],
    ),
    row("version-skew", &[("version-skew", Some("RK115"))]),
    row("version-skew-api", &[("version-skew-api", Some("RK116"))]),
    as_user(also(
        row("root-owned-store", &[("root-owned-store", Some("RK209"))]),
        &["RK105", "RK205"],
    )),
    as_user(also(
        row(
            "unreadable-directory",
            &[("unreadable-directory", Some("RK209"))],
        ),
        &["RK105", "RK210"],
    )),
    row(
        "binfmt-lost-after-reboot",
        &[("binfmt-lost-after-reboot", Some("RK501"))],
    ),
    row(
        "credential-helper-missing",
        &[("credential-helper-missing", Some("RK704"))],
    ),
    row(
        "npipe-context-ghost",
        &[("npipe-context-ghost", Some("RK101"))],
    ),
    row(
        "dead-current-context",
        &[("dead-current-context", Some("RK102"))],
    ),
    row(
        "daemon-settings-not-inherited",
        &[("daemon-settings-not-inherited", Some("RK701"))],
    ),
    row(
        "corporate-ca-missing",
        &[("corporate-ca-missing", Some("RK702"))],
    ),
    row(
        "proxy-only-half-set",
        &[("proxy-only-half-set", Some("RK703"))],
    ),
    row(
        "builder-env-names-missing-builder",
        &[
            ("builder-env-names-missing-builder", Some("RK113")),
            ("compose-vs-builder", Some("RK113")),
        ],
    ),
    row(
        "profile-names-missing-builder",
        &[
            ("profile-names-missing-builder", Some("RK117")),
            ("profile-forces-legacy-builder", Some("RK118")),
        ],
    ),
    row(
        "legacy-builder-forced",
        &[
            ("legacy-builder-forced", Some("RK114")),
            // The engine's own rule, on any machine with an engine of that age.
            ("gc-default-filter", Some("RK406")),
        ],
    ),
    row(
        "selection-silently-reset",
        &[("selection-silently-reset", Some("RK204"))],
    ),
    also(
        row(
            "rm-exit-code-misleads",
            &[("rm-exit-code-misleads", Some("RK206"))],
        ),
        &["RK204"],
    ),
    row(
        "refs-and-activity-leftovers",
        &[("refs-and-activity-leftovers", Some("RK207"))],
    ),
    row(
        "instance-file-corrupt",
        &[
            ("instance-file-corrupt", Some("RK201")),
            ("desktop-builds-view", Some("RK201")),
        ],
    ),
    row(
        "stray-file-in-instances",
        &[("stray-file-in-instances", Some("RK202"))],
    ),
    row(
        "context-metadata-garbage",
        &[("context-metadata-garbage", Some("RK103"))],
    ),
    row(
        "driver-not-available",
        &[("driver-not-available", Some("RK212"))],
    ),
    row("unreachable-node", &[("unreachable-node", Some("RK312"))]),
    row("hung-daemon", &[("hung-daemon", Some("RK310"))]),
    row("store-lock-stall", &[("store-lock-stall", Some("RK211"))]),
    also(
        row(
            "gc-keys-renamed-or-partial",
            &[("gc-keys-renamed-or-partial", Some("RK404"))],
        ),
        &["RK407"],
    ),
    also(
        row(
            "gc-keepduration-pins-everything",
            &[("gc-keepduration-pins-everything", Some("RK412"))],
        ),
        &["RK407"],
    ),
    row(
        "daemon-json-gc-kills-engine",
        &[("daemon-json-gc-kills-engine", Some("RK105"))],
    ),
    row(
        "rootless-daemon-json-gc",
        &[("rootless-daemon-json-gc", Some("RK408"))],
    ),
    row("toml-keys-ignored", &[("toml-keys-ignored", Some("RK402"))]),
    row(
        "standalone-config-invalid",
        &[("standalone-config-invalid", Some("RK401"))],
    ),
    row(
        "settings-change-not-applied",
        &[("settings-change-not-applied", Some("RK320"))],
    ),
    row(
        "toml-or-flag-crash-loop",
        &[("toml-or-flag-crash-loop", Some("RK309"))],
    ),
    // The container has the file that was stored before.
    also(
        row(
            "stored-toml-blocks-rm",
            &[("stored-toml-blocks-rm", Some("RK401"))],
        ),
        &["RK320"],
    ),
    row(
        "buildkit-image-unavailable",
        &[("buildkit-image-unavailable", Some("RK321"))],
    ),
    row(
        "foreign-container-under-our-name",
        &[("foreign-container-under-our-name", Some("RK303"))],
    ),
    row(
        "stopped-builder-commands-fail",
        &[("stopped-builder-commands-fail", Some("RK307"))],
    ),
    // The builder's container is in the hidden store too.
    also(
        row(
            "image-store-switch",
            &[("image-store-switch", Some("RK603"))],
        ),
        &["RK305"],
    ),
    row("cachedb-reset", &[("cachedb-reset", Some("RK324"))]),
    row(
        "metadata-db-crash-loop",
        &[("metadata-db-crash-loop", Some("RK309"))],
    ),
    row(
        "snapshot-directories-missing",
        &[("snapshot-directories-missing", Some("RK323"))],
    ),
    deep(row(
        "containerdmeta-lost",
        &[("containerdmeta-lost", Some("RK323"))],
    )),
    deep(row("blob-missing", &[("blob-missing", Some("RK323"))])),
    row(
        "daemon-killed-mid-build",
        &[("daemon-killed-mid-build", Some("RK322"))],
    ),
    row("remote-tls-paths", &[("remote-tls-paths", Some("RK312"))]),
    row("kubernetes-pods", &[("kubernetes-pods", Some("RK312"))]),
    row("wsl-two-stores", &[("wsl-two-stores", Some("RK213"))]),
    also(
        row("desktop-leftovers", &[("desktop-leftovers", Some("RK101"))]),
        &["RK102", "RK110", "RK704"],
    ),
];
