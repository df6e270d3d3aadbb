//! Plans a reinstall: configuration saved, every builder on a fresh proven node, what is broken repaired or retired, all proven.

mod builders;
pub(crate) mod claims;
mod clean;
mod contexts;
mod judged;
mod leftovers;
mod mend;
mod nodes;
mod pieces;
mod remnants;
mod restore;
mod standalone;

pub use builders::claims;
pub use clean::clean;
pub use mend::{Consent, fix};
pub use pieces::install;
pub use remnants::paths_of_interest;
pub use restore::{Restore, restore};
pub(crate) use standalone::{archive_state_folder, platforms_on, prove_daemon, running_on};

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::files,
    criteria::Yardstick,
    doctor::Change,
    draft::{Draft, Ground},
    goal::{self, Goal},
    inventory::{ConfigKind, Store},
    name::{BuilderName, HostId, HostPath, ImageRef, Platform, VolumeName},
    plan::{Plan, Purpose},
    step::{Action, Claim, NodePlace, StateSource, VolumePlace},
};

/// An image that a host lacks and an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The host.
    pub host: HostId,
    /// The image.
    pub image: ImageRef,
    /// The archive.
    pub source: StateSource,
}

/// What a person decides at the command line, and what was found for it.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Builds that still run after the limit are cut.
    pub cut_running_builds: bool,
    /// New nodes begin with a copy of the old nodes' caches.
    pub keep_cache: bool,
    /// Images that hosts lack and archives hold.
    pub images: Vec<ArchivedImage>,
    /// Where a criterion fails, the run stands still and a person decides; else it takes itself back.
    pub decided_by_hand: bool,
    /// Builders, and volumes that no builder names, whose caches are given up: no archive is made of them.
    pub given_up: Vec<String>,
    /// Nodes that stay as they are, in their builder's record and on their engine.
    pub without_nodes: Vec<String>,
}

/// Why a plan cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// No engine answers.
    #[error("no Docker engine answers, so there is nothing to install on")]
    NoEngine,
    /// There is no store, and none can be named.
    #[error("buildx's store cannot be found")]
    NoStore,
    /// A builder that was named is not there.
    #[error("there is no builder `{0}`")]
    NoBuilder(String),
    /// A node that was named is not there.
    #[error("no builder has a node `{0}`")]
    NoNode(String),
    /// No builder has the node that an archive was made of.
    #[error("no builder has a node with the volume `{0}` that the archive was made of")]
    NoOwner(VolumeName),
    /// An archived state cannot be given to a builder.
    #[error("builder `{builder}` cannot get the archived state: {why}")]
    NoRestore {
        /// The builder.
        builder: BuilderName,
        /// Why.
        why: String,
    },
}

/// What the planners of the parts share.
struct Reinstall<'a> {
    ground: &'a Ground<'a>,
    goal: &'a Goal,
    wishes: &'a Wishes,
    store: &'a Store,
    draft: Draft,
    claims: Vec<Claim>,
    /// What decides; `None`: every proof must succeed.
    judged: Option<Yardstick>,
    /// The builders with their present daemons, in the order of `claims`.
    present: Vec<Claim>,
    /// What is different about the fresh nodes of some builders.
    changes: BTreeMap<BuilderName, Change>,
    /// Builders whose records go.
    departed: BTreeSet<String>,
}

/// Plans a reinstall.
pub fn plan(ground: &Ground<'_>, goal: &Goal, wishes: &Wishes) -> Result<Plan, NoPlan> {
    let mut reinstall = Reinstall::begin(ground, goal, wishes, Purpose::Reinstall)?;
    reinstall.take_baseline();
    reinstall.save_configuration();
    reinstall.mend_contexts();
    reinstall.retire_configuration();
    let daemons = reinstall.daemons_to_renew();
    reinstall.renew_builders(&daemons);
    reinstall.renew_daemons(daemons);
    reinstall.sweep_remnants();
    reinstall.select();
    reinstall.settle_baseline();
    reinstall.validate();
    Ok(reinstall.draft.finish())
}

impl<'a> Reinstall<'a> {
    /// Begins a plan, where there is a store and an engine.
    fn begin(
        ground: &'a Ground<'a>,
        goal: &'a Goal,
        wishes: &'a Wishes,
        purpose: Purpose,
    ) -> Result<Self, NoPlan> {
        let store = ground.inventory.stores.first().ok_or(NoPlan::NoStore)?;
        let engines = ground.inventory.hosts.iter();
        let engines = engines.filter_map(|host| host.engine.known());
        let volumes: Vec<_> = engines.flat_map(|engine| &engine.volumes).collect();
        let has = |name: &&String| {
            let mut builders = store.builders.iter();
            let mut volumes = volumes.iter();
            builders.any(|builder| builder.name.as_str() == name.as_str())
                || volumes.any(|volume| volume.name.as_str() == name.as_str())
        };
        if let Some(missing) = wishes.given_up.iter().find(|name| !has(name)) {
            return Err(NoPlan::NoBuilder(missing.clone()));
        }
        nodes::check_names(store, &wishes.without_nodes)?;
        let mut hosts = ground.inventory.hosts.iter();
        // Files are mended without any engine; a dead one may be what is wrong with them.
        if purpose != Purpose::Fix && !hosts.any(|host| host.engine.known().is_some()) {
            return Err(NoPlan::NoEngine);
        }
        let mut draft = Draft::new(ground, purpose, ground.highest_generation + 1);
        if let Some(days) = goal.probation.days {
            draft.remind_after(days);
        }
        Ok(Self {
            ground,
            goal,
            wishes,
            store,
            draft,
            claims: Vec::new(),
            judged: None,
            present: Vec::new(),
            changes: BTreeMap::new(),
            departed: BTreeSet::new(),
        })
    }
}

impl Reinstall<'_> {
    /// Returns whether a person gave a volume's cache up, by the name of its builder or its own.
    fn is_given_up(&self, builder: Option<&BuilderName>, volume: &VolumePlace) -> bool {
        let mut names = self.wishes.given_up.iter();
        names.any(|name| {
            name == volume.volume.as_str()
                || builder.is_some_and(|builder| builder.as_str() == name)
        })
    }

    /// Removes a stopped node with its state, of which no archive is made.
    fn give_up(&mut self, node: Option<NodePlace>, volume: VolumePlace) {
        self.draft.leave_out(
            format!("the cache in volume {}", volume.volume),
            "you gave it up (`--without-cache-backup`): it goes for good, and `rekit rollback` brings back an empty one",
        );
        if let Some(node) = node {
            let why = "its volume cannot go while it is there";
            self.draft.push(why, Action::RemoveContainer { node });
        }
        self.draft.push(
            "its cache was given up by name; no archive holds it",
            Action::DropVolume { volume },
        );
    }

    /// Archives every file that BuildKit's behaviour hangs on, before anything changes.
    fn save_configuration(&mut self) {
        let archive = self.draft.archive_id("configuration");
        self.draft.push(
            "every file that steers BuildKit is kept as it is before anything changes",
            Action::SaveConfiguration {
                archive: archive.clone(),
                paths: files::paths(self.ground.inventory),
            },
        );
        self.draft.verify(&archive);
    }

    /// Removes configuration that no daemon takes; it is in the archive and in the undo.
    fn retire_configuration(&mut self) {
        self.retire_files(|_| true);
    }

    /// The same for some files.
    fn retire_files(&mut self, is_wanted: impl Fn(&HostPath) -> bool) {
        use crate::inventory::ConfigVerdict;
        let files = self.ground.inventory.files.iter();
        for config in files.filter(|config| is_wanted(&config.file.path)) {
            let kind = matches!(
                config.kind,
                ConfigKind::Buildkitd | ConfigKind::BuildxDefault
            );
            let Some(ConfigVerdict::Refused { reason, line, .. }) =
                config.verdict.as_ref().filter(|_| kind)
            else {
                continue;
            };
            let path = &config.file.path;
            let mut daemons = self.ground.inventory.standalone.iter();
            if daemons.any(|it| it.pid.is_some() && it.config.as_ref() == Some(path)) {
                // Whoever started that daemon is at work on it, or has a version that takes it.
                let why = format!(
                    "line {line}: {reason}; a daemon runs that was started with it, so it stays as it is"
                );
                self.draft.leave_out(path.to_string(), why);
                continue;
            }
            if !self.may_write(config.file.owner) {
                self.draft.leave_out(
                    path.to_string(),
                    format!("line {line}: {reason}; changing it needs root, so it stays as it is"),
                );
                continue;
            }
            let why = format!("no BuildKit daemon starts with it (line {line}: {reason})");
            self.draft.push(
                why,
                Action::RemoveFile {
                    path: path.clone(),
                    store: None,
                    before: self.ground.file(path),
                },
            );
        }
    }

    fn may_write(&self, owner: u32) -> bool {
        let user = self.ground.inventory.machine.user;
        user == 0 || user == owner
    }

    /// Proves every builder of the goal with real builds.
    fn validate(&mut self) {
        let builders = std::mem::take(&mut self.claims);
        if !builders.is_empty() {
            self.draft.push(
                "a status word is no proof, a build is",
                Action::Validate {
                    store: self.store.path.clone(),
                    builders,
                    judged: self.judged.clone(),
                },
            );
        }
    }

    /// Returns the platforms that a node on an engine of this architecture is proven for.
    fn platforms(&mut self, architecture: &str) -> Vec<Platform> {
        let Some(wanted) = &self.goal.builder.platforms else {
            return builders::usual_platforms(self.ground.inventory, architecture);
        };
        let runnable = goal::runnable_platforms(self.ground.inventory, architecture);
        let (can, cannot): (Vec<_>, Vec<_>) = wanted
            .iter()
            .cloned()
            .partition(|platform| runnable.contains(platform));
        for platform in cannot {
            let what = format!("platform {platform}");
            self.draft.leave_out(what, "no emulator for it is registered with the flag F: install one (for Debian: qemu-user-static, binfmt-support)");
        }
        can
    }
}
