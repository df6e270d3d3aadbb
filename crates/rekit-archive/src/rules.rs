//! Rules say what of a tree is left out and what is a segment of its own. Data, given by the caller.

/// What to do with what a pattern names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Leave it out.
    Skip,
    /// Keep the directory itself, leave out what is in it, and do not look into it.
    SkipContents,
    /// The directory is a segment of its own.
    OwnSegment,
    /// The files in the directory are named by their digests: groups by leading hex digits.
    Group,
}

/// A pattern and what to do with the paths it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A path; `*` stands for any bytes but `/`.
    pub pattern: &'static str,
    /// What to do.
    pub treatment: Treatment,
    /// Why, for the manifest.
    pub reason: &'static str,
}

/// Rules with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Stands in the manifest.
    pub name: &'static str,
    /// The first that fits counts.
    pub rules: Vec<Rule>,
    /// Which files are bbolt databases, for the manifest; `*` stands for one name.
    pub databases: &'static [&'static str],
}

impl Rules {
    /// Returns the rule for a path.
    pub(crate) fn rule_for(&self, path: &[u8]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| matches(rule.pattern.as_bytes(), path))
    }
}

/// Matches greedily with one point to fall back to, so that the time stays in proportion to the lengths.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut fallback: Option<(usize, usize)> = None;
    while from < path.len() {
        if pattern.get(at) == Some(&b'*') {
            fallback = Some((at, from));
            at += 1;
        } else if pattern.get(at) == Some(&path[from]) {
            at += 1;
            from += 1;
        } else {
            match fallback {
                Some((star, start)) if path[start] != b'/' => {
                    fallback = Some((star, start + 1));
                    (at, from) = (star + 1, start + 1);
                }
                _ => return false,
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Returns rules that keep everything.
pub fn plain_rules() -> Rules {
    Rules {
        name: "plain",
        rules: Vec::new(),
        databases: &[],
    }
}

/// Returns the rules for the state directory of a BuildKit daemon.
pub fn buildkit_state_rules() -> Rules {
    use Treatment::{Group, OwnSegment, Skip, SkipContents};
    let rule = |pattern, treatment, reason| Rule {
        pattern,
        treatment,
        reason,
    };
    Rules {
        name: "buildkit-state",
        databases: &[
            "cache.db",
            "history.db",
            "*/metadata_v2.db",
            "*/containerdmeta.db",
            "*/snapshots/metadata.db",
        ],
        rules: vec![
            rule("buildkitd.lock", Skip, "lock of a running daemon"),
            rule("cache-debug.db", Skip, "debug record, recreated"),
            rule(
                "*.bak",
                Skip,
                "database that the daemon put aside as broken",
            ),
            rule("net", SkipContents, "network state, recreated"),
            rule("*/content/ingest", SkipContents, "unfinished downloads"),
            rule("content/ingest", SkipContents, "unfinished downloads"),
            rule(
                "*/executor",
                SkipContents,
                "files of running steps, recreated",
            ),
            rule(
                "executor",
                SkipContents,
                "files of running steps, recreated",
            ),
            rule(
                "*/cachemounts",
                SkipContents,
                "mount points, emptied at boot",
            ),
            rule("cachemounts", SkipContents, "mount points, emptied at boot"),
            rule(
                "*/snapshots/snapshots/*/work/work",
                SkipContents,
                "scratch of overlay mounts",
            ),
            rule("*/snapshots/snapshots/*", OwnSegment, "snapshot"),
            rule("*/content/blobs/sha256", Group, "blobs"),
            rule("content/blobs/sha256", Group, "blobs"),
        ],
    }
}

/// Returns the rules for the folder in which a graph driver of an engine keeps its layers.
pub fn engine_layers_rules() -> Rules {
    let rule = |pattern, treatment, reason| Rule {
        pattern,
        treatment,
        reason,
    };
    Rules {
        name: "engine-layers",
        databases: &[],
        rules: vec![
            rule(
                "*/work/work",
                Treatment::SkipContents,
                "scratch of overlay mounts",
            ),
            rule("*", Treatment::OwnSegment, "layer"),
        ],
    }
}

/// Returns the rules for the other folders of an engine's cache: its BuildKit, its image store, its containerd.
pub fn engine_parts_rules() -> Rules {
    use Treatment::{Group, OwnSegment, SkipContents};
    let rule = |pattern, treatment, reason| Rule {
        pattern,
        treatment,
        reason,
    };
    Rules {
        name: "engine-parts",
        databases: &[
            "cache.db",
            "history.db",
            "history_c8d.db",
            "metadata_v2.db",
            "containerdmeta.db",
            "snapshots.db",
            "*/metadata_v2.db",
            "daemon/io.containerd.metadata.v1.bolt/meta.db",
            "daemon/io.containerd.snapshotter.v1.*/metadata.db",
        ],
        rules: vec![
            rule("net", SkipContents, "network state, recreated"),
            rule(
                "executor",
                SkipContents,
                "files of running steps, recreated",
            ),
            rule("content/ingest", SkipContents, "unfinished downloads"),
            rule("content/blobs/sha256", Group, "blobs"),
            rule(
                "daemon/io.containerd.content.v1.content/ingest",
                SkipContents,
                "unfinished downloads",
            ),
            rule(
                "daemon/io.containerd.content.v1.content/blobs/sha256",
                Group,
                "blobs",
            ),
            rule(
                "daemon/io.containerd.snapshotter.v1.*/snapshots/*/work/work",
                SkipContents,
                "scratch of overlay mounts",
            ),
            rule(
                "daemon/io.containerd.snapshotter.v1.*/snapshots/*",
                OwnSegment,
                "snapshot",
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_one_part() {
        let snapshot = b"*/snapshots/snapshots/*";
        assert!(matches(snapshot, b"runc-overlayfs/snapshots/snapshots/12"));
        assert!(!matches(
            snapshot,
            b"runc-overlayfs/snapshots/snapshots/12/fs"
        ));
        assert!(!matches(snapshot, b"a/b/snapshots/snapshots/12"));
        assert!(matches(b"*.bak", b"cache.db.x1.bak"));
        assert!(!matches(b"*.bak", b"a/b.bak"));
        assert!(!matches(b"*.bak", b"cache.db"));
    }

    #[test]
    fn the_state_rules_know_scratch_from_data() {
        let rules = buildkit_state_rules();
        let treatment = |path: &str| rules.rule_for(path.as_bytes()).map(|rule| rule.treatment);
        assert_eq!(treatment("cache.db"), None);
        assert_eq!(treatment("buildkitd.lock"), Some(Treatment::Skip));
        assert_eq!(
            treatment("runc-overlayfs/snapshots/snapshots/7/work/work"),
            Some(Treatment::SkipContents)
        );
        assert_eq!(
            treatment("runc-overlayfs/snapshots/snapshots/7/fs/x.bak"),
            None
        );
    }
}
