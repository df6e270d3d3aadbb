//! Every builder gets a fresh node beside the old one, proven before it is named, and the old one is parked with a proven archive.

use super::{
    Reinstall,
    standalone::{Found, REMOTE_DRIVER},
};
use crate::{
    doctor::Change,
    draft::{Patience, place, volume_place},
    goal::{self, DEFAULT_BUILDER, DEFAULT_IMAGE},
    inventory::{BuilderRecord, ConfigVerdict, Host, Inventory, NodeRecord, PlaceKind, Record},
    name::{BuilderName, HostId, HostPath, ImageRef, NodeName, Platform},
    record::{NodeEdit, NodeSettings, RecordEdit},
    step::{Action, BootState, Claim, DaemonPlace, FileState, NodePlace, VolumePlace},
};

/// The driver whose nodes are containers.
pub(super) const CONTAINER_DRIVER: &str = "docker-container";

/// A node to be made, and what is there of its forerunner.
pub(super) struct Renewal {
    pub(super) edit: NodeEdit,
    pub(super) host: HostId,
    pub(super) image: ImageRef,
    /// The state that it begins with; `None`: an empty one.
    pub(super) state: Option<BootState>,
    pub(super) platforms: Vec<Platform>,
    pub(super) old: Option<NodePlace>,
    /// Whether the old node runs.
    pub(super) runs: bool,
    pub(super) old_volume: Option<VolumePlace>,
}

impl Reinstall<'_> {
    pub(super) fn renew_builders(&mut self, daemons: &[Found]) {
        let mut kept = false;
        for builder in &self.store.builders {
            match builder.record.known() {
                Some(record) if record.driver == CONTAINER_DRIVER => {
                    kept |= self.renew(builder, record);
                }
                Some(record) if record.driver == REMOTE_DRIVER => {
                    let nodes = record.nodes.iter();
                    let endpoints: Vec<_> = nodes.map(|node| node.endpoint.as_str()).collect();
                    self.leave_remote(builder.name.as_str(), &endpoints, daemons);
                }
                Some(record) => {
                    let why = format!(
                        "its driver is {}; its daemon is not rekit's to replace",
                        record.driver
                    );
                    self.draft
                        .leave_out(format!("builder {}", builder.name), why);
                }
                None => kept |= self.rebuild(builder),
            }
        }
        if !kept {
            self.create_builder();
        }
        self.claim_context_builders();
    }

    /// Renews a builder whose record is readable.
    pub(super) fn renew(&mut self, builder: &BuilderRecord, record: &Record) -> bool {
        let chosen = match self.choose_nodes(builder, record) {
            Ok(chosen) => chosen,
            Err(builds) => return builds,
        };
        let nodes = u64::try_from(chosen.renewed.len()).unwrap_or(1);
        let renewals: Vec<_> = chosen
            .renewed
            .into_iter()
            .filter_map(|node| self.renewal(builder, node, nodes))
            .collect();
        if renewals.is_empty() {
            return chosen.builds;
        }
        self.switch_some(&builder.name, &builder.file.path, renewals, chosen.kept);
        true
    }

    /// Returns how a node is renewed.
    fn renewal(
        &mut self,
        builder: &BuilderRecord,
        node: &NodeRecord,
        nodes: u64,
    ) -> Option<Renewal> {
        let host = node.host.clone()?;
        let change = self.changes.get(&builder.name).cloned();
        let mend_config = self.mends_config(builder, node) || change.is_some();
        let Change {
            options,
            usual_flags,
            registries,
            ..
        } = change.unwrap_or_default();
        let settings = NodeSettings {
            mend_config,
            options,
            usual_flags,
            registries,
            ..self.settings(&host, nodes)
        };
        let edit = NodeEdit {
            name: self.new_name(&node.name),
            replaces: Some(node.name.clone()),
            endpoint: None,
            settings: Some(settings),
        };
        Some(self.beside(edit, host, image_of(node), &node.name))
    }

    /// Returns whether the node's buildkitd.toml is mended, and says so.
    fn mends_config(&mut self, builder: &BuilderRecord, node: &NodeRecord) -> bool {
        let Some(ConfigVerdict::Refused { reason, line, .. }) =
            node.config.as_ref().map(|config| &config.verdict)
        else {
            return false;
        };
        let what = format!(
            "buildkitd.toml inside the record of builder {}",
            builder.name
        );
        self.draft.leave_out(
            what,
            format!(
                "no daemon takes line {line} ({reason}), so that part is mended or becomes a comment; all else stays"
            ),
        );
        true
    }

    /// Renews a builder whose record does not parse, from the containers that bear its name; without any, the record goes.
    pub(super) fn rebuild(&mut self, builder: &BuilderRecord) -> bool {
        let path = builder.file.path.clone();
        if let Some(why) = self.unreadable_elsewhere(&builder.name) {
            self.draft
                .leave_out(format!("builder {}", builder.name), why);
            return false;
        }
        let Some((host, nodes)) = self.containers_of(&builder.name) else {
            self.drop_record(builder);
            return false;
        };
        let what = format!("driver options and flags of builder {}", builder.name);
        self.draft.leave_out(what, "its record does not parse, so they are not known; the rebuilt record has rekit's settings");
        let count = u64::try_from(nodes.len()).unwrap_or(1);
        let endpoint = self.ground.inventory.selection.key.clone();
        let mut renewals: Vec<Renewal> = Vec::new();
        for (node, image) in nodes {
            let name = self.new_name(&node);
            if renewals.iter().any(|renewal| renewal.edit.name == name) {
                let what = format!("container {}", node.container());
                self.draft.leave_out(
                    what,
                    "another container of the same node is the one that is renewed",
                );
                continue;
            }
            let edit = NodeEdit {
                name,
                replaces: None,
                endpoint: Some(endpoint.clone()),
                settings: Some(self.settings(&host, count)),
            };
            renewals.push(self.beside(edit, host.clone(), image, &node));
        }
        self.switch(&builder.name, &path, renewals);
        true
    }

    /// Removes a record that does not parse and belongs to nothing.
    pub(super) fn drop_record(&mut self, builder: &BuilderRecord) {
        let path = builder.file.path.clone();
        let why = format!(
            "its record does not parse ({}) and no container bears its name",
            builder.record.reason().unwrap_or_default()
        );
        self.remove_from_store(path, why);
    }

    /// Returns the nodes whose containers bear a builder's name and a number, as buildx numbers them, on the first host that has any.
    pub(super) fn containers_of(
        &self,
        builder: &BuilderName,
    ) -> Option<(HostId, Vec<(NodeName, ImageRef)>)> {
        let numbered = |node: &NodeName| {
            let rest = node.as_str().strip_prefix(builder.as_str())?;
            (!rest.is_empty()
                && rest
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == '-' || c == 'g'))
            .then_some(())
        };
        self.ground.inventory.hosts.iter().find_map(|host| {
            let containers = host
                .engine
                .known()?
                .containers
                .iter()
                .filter(|container| container.is_buildkit && container.parked.is_none());
            let mut containers: Vec<_> = containers.collect();
            containers.sort_by_key(|container| container.status != "running");
            let nodes: Vec<_> = containers
                .into_iter()
                .filter_map(|container| {
                    let node = NodeName::of_container(container.name.as_str())?;
                    numbered(&node)?;
                    let image = container.image.parse().unwrap_or_else(|_| default_image());
                    Some((node, image))
                        .filter(|_| !self.is_named(&host.id, container.name.as_str()))
                })
                .collect();
            (!nodes.is_empty()).then(|| (host.id.clone(), nodes))
        })
    }

    /// Returns whether a readable record names a container.
    pub(super) fn is_named(&self, host: &HostId, container: &str) -> bool {
        let names = |node: &NodeRecord| {
            node.host.as_ref() == Some(host) && node.name.container().as_str() == container
        };
        self.ground
            .inventory
            .nodes()
            .any(|(_, _, _, node)| names(node))
    }

    /// Returns the renewal of a node, with what is there of the old one.
    pub(super) fn beside(
        &mut self,
        edit: NodeEdit,
        host: HostId,
        image: ImageRef,
        old: &NodeName,
    ) -> Renewal {
        let architecture = self
            .ground
            .engine(&host)
            .map(|engine| engine.architecture.clone())
            .unwrap_or_default();
        let container = self
            .ground
            .container(&host, &old.container())
            .filter(|container| container.is_buildkit);
        let volume = self.ground.volume(&host, old);
        Renewal {
            edit,
            image,
            state: None,
            platforms: self.platforms(&architecture),
            runs: container.is_some_and(|container| container.status == "running"),
            old: container.map(|container| place(&host, container, old)),
            old_volume: volume.map(|volume| volume_place(&host, volume)),
            host,
        }
    }

    /// Adds the steps that put new nodes in the place of old ones: boot, prove, switch, drain, stop, archive, park.
    fn switch(&mut self, builder: &BuilderName, record: &HostPath, renewals: Vec<Renewal>) {
        self.switch_some(builder, record, renewals, Vec::new());
    }

    /// The same for some of a builder's nodes; the others are kept.
    pub(super) fn switch_some(
        &mut self,
        builder: &BuilderName,
        record: &HostPath,
        mut renewals: Vec<Renewal>,
        kept: Vec<NodeEdit>,
    ) {
        for renewal in &mut renewals {
            self.keep_cache(builder, renewal);
        }
        let renewed = renewals.iter().map(|renewal| renewal.edit.clone());
        let edit = RecordEdit {
            builder: builder.clone(),
            nodes: self.in_order(builder, renewed.chain(kept).collect()),
        };
        let before = self.ground.file(record);
        for renewal in &renewals {
            self.boot(renewal, record, &before, &edit);
        }
        self.note_present(builder, &renewals);
        self.draft.push(
            format!("from here on, builds of `{builder}` go to the new node"),
            Action::RewriteRecord {
                store: self.store.path.clone(),
                record: record.clone(),
                before,
                edit,
            },
        );
        let daemons = renewals.iter().map(|renewal| DaemonPlace {
            host: renewal.host.clone(),
            container: Some(renewal.edit.name.container()),
        });
        let daemons = daemons.collect();
        let mut platforms: Vec<Platform> = renewals
            .iter()
            .flat_map(|renewal| renewal.platforms.clone())
            .collect();
        platforms.sort();
        platforms.dedup();
        self.claims.push(Claim {
            builder: builder.to_string(),
            daemons,
            platforms,
        });
        for renewal in renewals {
            self.retire(builder, renewal);
        }
    }

    /// Archives the state of a node, while it builds if it runs, for the new node to begin with. The archive of the stopped state, later,
    /// then reads only what changed since. Image and flags are the old node's, so that the new one can read its state.
    fn keep_cache(&mut self, builder: &BuilderName, renewal: &mut Renewal) {
        let change = self.changes.get(builder);
        let is_kept = change.map_or(self.wishes.keep_cache, |change| !change.begins_empty);
        let Some(volume) = renewal.old_volume.clone() else {
            return;
        };
        if !is_kept || renewal.state.is_some() {
            return;
        }
        let (archive, verified_by) = match renewal.old.clone() {
            Some(node) if renewal.runs => self.draft.copy_state(node),
            node => {
                if let Some(node) = &node {
                    let patience = Patience::of(&self.goal.drain, self.wishes.cut_running_builds);
                    self.draft.drain_and_stop(node, patience);
                }
                let container = node.map(|node| node.container);
                self.draft.archive_state(volume, container)
            }
        };
        renewal.state = Some(BootState::Copied {
            archive,
            verified_by,
        });
    }

    fn boot(
        &mut self,
        renewal: &Renewal,
        record: &HostPath,
        before: &FileState,
        edit: &RecordEdit,
    ) {
        let node = renewal.edit.name.clone();
        let mut images = self.wishes.images.iter();
        let lacks = images.find(|it| it.host == renewal.host && it.image == renewal.image);
        if let Some(found) = lacks {
            self.draft.push(
                "the engine lacks it, and no registry is needed",
                Action::LoadImage {
                    source: found.source.clone(),
                    host: found.host.clone(),
                    image: found.image.clone(),
                },
            );
        }
        self.draft.push(
            "the new node comes up beside the old one, which goes on building",
            Action::BootNode {
                host: renewal.host.clone(),
                node: node.clone(),
                image: renewal.image.clone(),
                record: record.clone(),
                before: before.clone(),
                edit: edit.clone(),
                state: renewal.state.clone(),
            },
        );
        self.draft.push(
            "no client is sent to a node that did not build",
            Action::ProbeNode {
                host: renewal.host.clone(),
                container: node.container(),
                platforms: renewal.platforms.clone(),
                judged: self.judged_node(edit, &node),
            },
        );
    }

    fn retire(&mut self, builder: &BuilderName, renewal: Renewal) {
        if let Some(node) = &renewal.old {
            let patience = Patience::of(&self.goal.drain, self.wishes.cut_running_builds);
            self.draft.drain_and_stop(node, patience);
        }
        if let Some(volume) = &renewal.old_volume
            && self.is_given_up(Some(builder), volume)
        {
            let volume = volume.clone();
            return self.give_up(renewal.old, volume);
        }
        let container = renewal.old.as_ref().map(|node| node.container.clone());
        if let Some(volume) = renewal.old_volume {
            self.draft.archive_state(volume, container);
        }
        if let Some(node) = renewal.old {
            self.draft.push(
                "the old node stays, stopped and warm, until `rekit finalize`",
                Action::Park { node },
            );
        }
    }

    /// Makes the builder that the goal asks for where there is none that can build for several platforms.
    pub(super) fn create_builder(&mut self) {
        let default = || DEFAULT_BUILDER.parse();
        if let Some(name) = self.goal.builder.name.clone().or_else(|| default().ok()) {
            self.create(&name, None);
        }
    }

    /// Makes a builder with one node, on an archived state or on an empty one.
    pub(super) fn create(&mut self, name: &BuilderName, state: Option<BootState>) {
        let Some(host) = self.first_host().map(|host| host.id.clone()) else {
            return;
        };
        let Ok(first) = format!("{name}0").parse() else {
            return;
        };
        let settings = Some(self.settings(&host, 1));
        let endpoint = Some(self.ground.inventory.selection.key.clone());
        let edit = NodeEdit {
            name: self.new_name(&first),
            replaces: None,
            endpoint,
            settings,
        };
        let image = self
            .goal
            .builder
            .image
            .clone()
            .unwrap_or_else(default_image);
        let renewal = self.beside(edit, host, image, &first);
        let record = self
            .store
            .path
            .join("instances")
            .join(&name.as_str().to_lowercase());
        let fresh = Renewal {
            old: None,
            runs: false,
            old_volume: None,
            state,
            ..renewal
        };
        self.switch(name, &record, vec![fresh]);
    }

    /// Returns the host that is in force, else the first that answers.
    fn first_host(&self) -> Option<&Host> {
        let hosts = &self.ground.inventory.hosts;
        let current = self
            .ground
            .inventory
            .contexts
            .iter()
            .find(|context| context.current);
        let current = current.and_then(|context| context.state.known()?.host.clone());
        let answers = |host: &&Host| host.engine.known().is_some();
        hosts
            .iter()
            .filter(answers)
            .find(|host| Some(&host.id) == current.as_ref())
            .or_else(|| hosts.iter().find(answers))
    }

    /// Context builders are proven too: those that can be reached.
    pub(super) fn claim_context_builders(&mut self) {
        // Only the context in force: a run answers for what it may have touched, not for every engine there is.
        let current = &self.ground.inventory.selection.context;
        let claims =
            context_claims(self.ground.inventory).filter(|claim| &claim.builder == current);
        self.claims.extend(claims);
    }

    /// Returns the settings of a node on a host.
    fn settings(&mut self, host: &HostId, nodes: u64) -> NodeSettings {
        let caches = self.ground.inventory.caches.iter();
        let mut on_host = caches.filter(|place| place.host.as_ref() == Some(host));
        // New volumes lie where the engine keeps its own cache; an old one may be bound to another disk.
        let place = on_host
            .clone()
            .find(|place| place.kind == PlaceKind::Embedded)
            .or_else(|| on_host.next());
        let free = place.and_then(|place| place.free_bytes.known().copied());
        let mut choices = Vec::new();
        let settings = goal::settings(&self.goal.cache, free, nodes, &mut choices);
        for choice in choices {
            if !self.draft.choices().contains(&choice) {
                self.draft.choices().push(choice);
            }
        }
        settings
    }

    /// Returns the name of the node that follows `old`: its name with the number of the new generation.
    pub(super) fn new_name(&self, old: &NodeName) -> NodeName {
        let text = old.as_str();
        let base = match text.rsplit_once("-g") {
            Some((base, number))
                if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) =>
            {
                base
            }
            _ => text,
        };
        let name = format!("{base}-g{}", self.ground.highest_generation + 1).parse();
        name.unwrap_or_else(|_| old.clone())
    }
}

/// Returns the image that a node's record names, else buildx's own.
pub(super) fn image_of(node: &NodeRecord) -> ImageRef {
    let named = node.driver_opts.get("image");
    named
        .and_then(|image| image.parse().ok())
        .unwrap_or_else(default_image)
}

fn default_image() -> ImageRef {
    match DEFAULT_IMAGE.parse() {
        Ok(image) => image,
        Err(error) => unreachable!("BUG: {error}"),
    }
}

/// Returns every builder of an inventory that can be proven by a build here, with what it is to prove.
pub fn claims(inventory: &Inventory) -> Vec<Claim> {
    let container_builders = inventory
        .stores
        .iter()
        .take(1)
        .flat_map(|store| &store.builders)
        .filter_map(|builder| {
            let record = builder
                .record
                .known()
                .filter(|record| record.driver == CONTAINER_DRIVER)?;
            let daemons: Vec<_> = record
                .nodes
                .iter()
                .filter_map(|node| {
                    Some(DaemonPlace {
                        host: node.host.clone()?,
                        container: Some(node.name.container()),
                    })
                })
                .collect();
            let engine = inventory.host(&daemons.first()?.host)?.engine.known()?;
            Some(Claim {
                builder: builder.name.to_string(),
                daemons,
                platforms: usual_platforms(inventory, &engine.architecture),
            })
        });
    container_builders
        .chain(context_claims(inventory))
        .collect()
}

/// Returns what context builders are to prove: those whose engine answers.
fn context_claims(inventory: &Inventory) -> impl Iterator<Item = Claim> {
    inventory.contexts.iter().filter_map(|context| {
        let host = context.state.known()?.host.clone()?;
        let engine = inventory.host(&host)?.engine.known()?;
        let platforms = format!("linux/{}", engine.architecture)
            .parse()
            .into_iter()
            .collect();
        Some(Claim {
            builder: context.name.clone(),
            daemons: vec![DaemonPlace {
                host,
                container: None,
            }],
            platforms,
        })
    })
}

/// Returns the platforms that builds here usually ask for and that run here: the engine's own first.
pub(super) fn usual_platforms(inventory: &Inventory, architecture: &str) -> Vec<Platform> {
    let usual = ["linux/amd64", "linux/arm64"];
    let native = format!("linux/{architecture}");
    let runnable = goal::runnable_platforms(inventory, architecture).into_iter();
    runnable
        .filter(|platform| platform.as_str() == native || usual.contains(&platform.as_str()))
        .collect()
}
