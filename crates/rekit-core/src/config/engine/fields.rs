//! The keys that dockerd reads below `builder`, and what each takes.
//!
//! Invariant: one row per key, with the major release that brought it. Names count in any case.

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A size, as text.
    Size,
    /// A whole number.
    Count,
    /// A duration, as text.
    Duration,
    /// Filters.
    Filter,
    /// A section with these keys.
    Object(&'static [Field]),
    /// A list of sections with these keys.
    List(&'static [Field]),
}

/// One key.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The major release that first reads it.
    pub(super) since: u32,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: 0,
    }
}

const fn since_28(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: 28,
    }
}

/// The keys of `builder`.
pub(super) const BUILDER: &[Field] = &[
    field("gc", Kind::Object(GC)),
    field("entitlements", Kind::Object(ENTITLEMENTS)),
    field("history", Kind::Object(HISTORY)),
];

const GC: &[Field] = &[
    field("enabled", Kind::Flag),
    field("policy", Kind::List(RULE)),
    field("defaultKeepStorage", Kind::Size),
    since_28("defaultReservedSpace", Kind::Size),
    since_28("defaultMaxUsedSpace", Kind::Size),
    since_28("defaultMinFreeSpace", Kind::Size),
];

const RULE: &[Field] = &[
    field("all", Kind::Flag),
    field("filter", Kind::Filter),
    field("keepStorage", Kind::Size),
    since_28("reservedSpace", Kind::Size),
    since_28("maxUsedSpace", Kind::Size),
    since_28("minFreeSpace", Kind::Size),
];

const ENTITLEMENTS: &[Field] = &[
    field("network-host", Kind::Flag),
    field("security-insecure", Kind::Flag),
];

const HISTORY: &[Field] = &[
    field("maxAge", Kind::Duration),
    field("maxEntries", Kind::Count),
];

/// Names of other tools and releases, and the keys they mean; the first one that a section has counts.
pub(super) const ALIASES: &[(&str, &[&str])] = &[
    (
        "gckeepstorage",
        &["defaultReservedSpace", "defaultKeepStorage"],
    ),
    (
        "reservedspace",
        &["defaultReservedSpace", "keepStorage", "defaultKeepStorage"],
    ),
    ("maxusedspace", &["defaultMaxUsedSpace"]),
    ("minfreespace", &["defaultMinFreeSpace"]),
    (
        "defaultreservedspace",
        &["reservedSpace", "defaultKeepStorage"],
    ),
    (
        "keepstorage",
        &["defaultReservedSpace", "defaultKeepStorage"],
    ),
    ("keepbytes", &["reservedSpace", "keepStorage"]),
    ("gcpolicy", &["policy"]),
    ("rules", &["policy"]),
    ("networkhost", &["network-host"]),
];
