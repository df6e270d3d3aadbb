//! Trials of the front ends: each builds a file of a few bytes with the user's own variables, on a copy of the store.
//!
//! Invariants: no trial outlives its time, nor do its children; the user's store is not written to; images and cache records of the
//! trials go again.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_buildkit::{
    Engine, Filters,
    probe::{self, Nonce},
};
use rekit_core::{
    fact::chain,
    front_ends::{FrontEnd, FrontEnds, Row, Seen, Trial},
    inventory::Inventory,
    name::{ContainerName, HostId},
};

use super::{
    Answer, RealWorld, WorldError,
    docker::{Docker, last_words},
    front_end::IMAGE,
    proof,
};
use crate::inventory::together;

/// What the trials saw, and what they could not take away again.
#[derive(Debug)]
pub struct Tried {
    /// One for each front end.
    pub trials: Vec<Trial>,
    /// What is left, and why.
    pub left: Vec<String>,
}

/// Builds with every front end. The first that goes to a place does so alone: it may have to start the builder.
pub(crate) async fn try_all(
    world: &RealWorld<'_>,
    inventory: &Inventory,
    by_rule: &FrontEnds,
    limit: Duration,
) -> Answer<Tried> {
    let ground = Ground::new(world, inventory, limit).await?;
    let (mut first, mut rest): (Vec<&Row>, Vec<&Row>) = (Vec::new(), Vec::new());
    for row in &by_rule.rows {
        let is_known = |other: &&Row| other.choice.is_one_place_with(&row.choice);
        if first.iter().any(is_known) {
            rest.push(row);
        } else {
            first.push(row);
        }
    }
    let mut trials = Vec::new();
    for wave in [first, rest] {
        let attempts = wave.into_iter().map(|row| ground.attempt(row.front_end));
        let attempts: Result<Vec<_>, _> = attempts.collect();
        let attempts = attempts?.into_iter().map(Attempt::run);
        trials.extend(together::all(attempts.collect::<Vec<_>>()).await);
    }
    let left = ground.forget(world, inventory, &trials).await;
    Ok(Tried { trials, left })
}

/// What all trials share.
struct Ground<'a> {
    world: &'a RealWorld<'a>,
    store: PathBuf,
    folder: tempfile::TempDir,
    nonce: Nonce,
    /// The engine of the context in force, which images are loaded into; `None`: it does not answer.
    engine: Option<Engine>,
    has_buildx: bool,
    limit: Duration,
}

fn failed(error: std::io::Error) -> WorldError {
    WorldError::failed("a folder for the trial builds cannot be made", error)
}

impl<'a> Ground<'a> {
    async fn new(
        world: &'a RealWorld<'a>,
        inventory: &Inventory,
        limit: Duration,
    ) -> Answer<Ground<'a>> {
        let folder = tempfile::Builder::new().prefix("rekit-explain-").tempdir();
        let store = inventory.stores.first();
        let store = store.map(|store| super::path_of(&store.path));
        let engine = match engine_in_force(inventory) {
            Some(host) => world.engine(host).await.ok(),
            None => None,
        };
        let mut tools = inventory.tools.iter();
        Ok(Self {
            world,
            store: store.unwrap_or_else(|| world.surroundings.buildx_store()),
            folder: folder.map_err(failed)?,
            nonce: proof::nonce()?,
            engine,
            has_buildx: tools.any(|tool| {
                tool.name == "buildx"
                    && tool.in_force
                    && (tool.silent || tool.version.known().is_some())
            }),
            limit,
        })
    }

    /// Prepares a trial: a project and a copy of the store of its own.
    fn attempt(&self, front_end: FrontEnd) -> Answer<Attempt> {
        let place = self
            .folder
            .path()
            .join(front_end.command().replace(' ', "-"));
        let project = place.join("project");
        let copy = place.join("buildx");
        let tag = format!("{IMAGE}:{}-{}", self.nonce, front_end as u8);
        write_project(&project, &self.nonce, &tag).map_err(failed)?;
        let variables = self.world.surroundings.variables();
        let docker = Docker::as_selected(&self.store, &copy, variables).map_err(failed)?;
        Ok(Attempt {
            front_end,
            arguments: arguments(front_end, &project, &tag, self.has_buildx),
            docker,
            activity: copy.join("activity"),
            engine: self.engine.clone(),
            tag,
            limit: self.limit,
        })
    }

    /// Removes what the trials left in engines and builders.
    async fn forget(
        &self,
        world: &RealWorld<'_>,
        inventory: &Inventory,
        trials: &[Trial],
    ) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(engine) = &self.engine {
            for trial in trials.iter().filter(|trial| trial.loaded != Some(false)) {
                let tag = format!("{IMAGE}:{}-{}", self.nonce, trial.front_end as u8);
                match engine.image_remove(&tag, true).await {
                    Err(error) if !error.is_not_found() => {
                        left.push(format!("image `{tag}`: {}", chain(&error)));
                    }
                    _ => {}
                }
            }
        }
        for (host, container) in daemons(inventory, trials) {
            let forgotten = self.forget_in(world, &host, container.as_ref()).await;
            if let Err(error) = forgotten {
                let place = container.map_or_else(|| host.to_string(), |name| name.to_string());
                let why = rekit_core::mask::text(&chain(&error));
                left.push(format!("a few bytes of cache in `{place}`: {why}"));
            }
        }
        left
    }

    async fn forget_in(
        &self,
        world: &RealWorld<'_>,
        host: &HostId,
        container: Option<&ContainerName>,
    ) -> Answer<()> {
        let control = proof::connect(world.engine(host).await?, container).await?;
        let forgotten = probe::forget(&control, &self.nonce).await;
        forgotten
            .map(drop)
            .map_err(proof::failed("they cannot be removed".to_owned()))
    }
}

/// One build by one front end.
struct Attempt {
    front_end: FrontEnd,
    arguments: Vec<String>,
    docker: Docker,
    activity: PathBuf,
    engine: Option<Engine>,
    tag: String,
    limit: Duration,
}

impl Attempt {
    async fn run(self) -> Trial {
        let began = tokio::time::Instant::now();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let output = match self.docker.program() {
            Some(program) => {
                let output = self.docker.run(&program, &arguments, self.limit).await;
                output.map_err(|error| format!("{error}; it and its children were ended"))
            }
            None => Err("there is no docker on the search path".to_owned()),
        };
        let took = began.elapsed().as_millis();
        let (said, failure) = match output {
            Ok(output) => {
                let said = output.stderr + &output.stdout;
                let failure = (output.code != Some(0)).then(|| last_words(&said, |_| false));
                (said, failure)
            }
            Err(why) => (String::new(), Some(why)),
        };
        Trial {
            front_end: self.front_end,
            seen: seen(&said, &self.activity),
            built: failure.is_none(),
            loaded: self.is_loaded().await,
            failure,
            milliseconds: u64::try_from(took).unwrap_or(u64::MAX),
        }
    }

    async fn is_loaded(&self) -> Option<bool> {
        let named = Filters::none().with("reference", &self.tag);
        let images = self.engine.as_ref()?.images_list(false, &named).await;
        images.ok().map(|images| !images.is_empty())
    }
}

/// Writes a project that every front end can build, and that needs no network.
fn write_project(project: &Path, nonce: &Nonce, tag: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(project)?;
    // Its name is how the records of the build are found again.
    let file = format!("probe-{nonce}");
    std::fs::write(project.join(&file), format!("rekit {nonce}\n"))?;
    let dockerfile = format!("FROM scratch\nCOPY {file} /{file}\n");
    std::fs::write(project.join("Dockerfile"), dockerfile)?;
    let place = project.display().to_string();
    let bake = serde_json::json!({"target": {"default": {"context": place, "tags": [tag]}}});
    std::fs::write(project.join("docker-bake.json"), bake.to_string())?;
    let service = serde_json::json!({"image": tag, "build": {"context": place}});
    let compose = serde_json::json!({"services": {"probe": service}});
    std::fs::write(project.join("compose.json"), compose.to_string())
}

/// Returns the words behind `docker`. Dev containers are built as their command line builds them: it need not be here.
fn arguments(front_end: FrontEnd, project: &Path, tag: &str, has_buildx: bool) -> Vec<String> {
    let place = project.display().to_string();
    let file = |name: &str| project.join(name).display().to_string();
    let (bake, compose) = (file("docker-bake.json"), file("compose.json"));
    let name = tag.replace(':', "-");
    let words: Vec<&str> = match front_end {
        FrontEnd::DockerBuilderBuild => vec!["builder", "build", "--tag", tag, &place],
        FrontEnd::DockerImageBuild => vec!["image", "build", "--tag", tag, &place],
        FrontEnd::BuildxBuild => vec!["buildx", "build", "--tag", tag, &place],
        FrontEnd::BuildxBake => vec!["buildx", "bake", "--file", &bake],
        FrontEnd::DockerBake => vec!["bake", "--file", &bake],
        FrontEnd::ComposeBuild => vec![
            "compose",
            "--progress=plain",
            "--project-name",
            &name,
            "--file",
            &compose,
            "build",
        ],
        FrontEnd::DevContainer if has_buildx => {
            vec!["buildx", "build", "--load", "--tag", tag, &place]
        }
        FrontEnd::DockerBuild | FrontEnd::DevContainer => vec!["build", "--tag", tag, &place],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// Reads what a build was made with: its own words, else the note on the last use that buildx left in the copy of the store.
fn seen(said: &str, activity: &Path) -> Seen {
    if let Some((name, driver)) = said.lines().find_map(building_with) {
        return Seen::Builder {
            name: name.to_owned(),
            driver: Some(driver.to_owned()),
        };
    }
    let is_legacy = |line: &str| {
        line.starts_with("Step 1/") || line.starts_with("Sending build context to Docker daemon")
    };
    if said.lines().any(is_legacy) {
        return Seen::Legacy {};
    }
    let noted = std::fs::read_dir(activity).into_iter().flatten().flatten();
    let mut noted = noted.map(|entry| entry.file_name().to_string_lossy().into_owned());
    match (noted.next(), noted.next()) {
        (Some(name), None) => Seen::Builder { name, driver: None },
        _ => Seen::Nothing {},
    }
}

/// Reads `#0 building with "NAME" instance using DRIVER driver`.
fn building_with(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("building with \"")?;
    let (name, rest) = rest.split_once("\" instance using ")?;
    Some((name, rest.strip_suffix(" driver")?))
}

/// Returns the host of the context in force.
fn engine_in_force(inventory: &Inventory) -> Option<&HostId> {
    let name = &inventory.selection.context;
    let mut contexts = inventory.contexts.iter();
    let context = contexts.find(|context| &context.name == name)?;
    context.state.known()?.host.as_ref()
}

/// Lists the daemons that the trials built with, as far as rekit can speak to them.
fn daemons(inventory: &Inventory, trials: &[Trial]) -> BTreeSet<(HostId, Option<ContainerName>)> {
    let names = trials.iter().filter_map(|trial| match &trial.seen {
        Seen::Builder { name, .. } => Some(name),
        _ => None,
    });
    let store = inventory.stores.first();
    let mut found = BTreeSet::new();
    for name in names {
        let mut builders = store.into_iter().flat_map(|store| &store.builders);
        let record = builders.find(|builder| builder.name.as_str().eq_ignore_ascii_case(name));
        match record.map(|builder| builder.record.known()) {
            None => found.extend(engine_in_force(inventory).map(|host| (host.clone(), None))),
            Some(Some(record)) if record.driver == "docker-container" => {
                found.extend(
                    record.nodes.iter().filter_map(|node| {
                        Some((node.host.clone()?, Some(node.container.clone()?)))
                    }),
                );
            }
            Some(_) => {}
        }
    }
    found
}
