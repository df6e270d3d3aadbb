//! A rehearsal: an archived state in a volume of its own, a daemon on it, and builds that must find their cache.
//!
//! Invariants: it touches nothing but its own container and volume, known by their label; both go again however it ends, and what a killed
//! rehearsal left goes at the beginning of the next. The daemon collects no garbage, has no network and is never restarted.

use std::{collections::BTreeMap, path::Path, time::Instant};

use rekit_buildkit::{Control, Engine, ExecLimit, ExecSpec, Filters};
use rekit_core::{
    event::Event,
    fact::chain,
    name::{ContainerName, HostId, ImageRef, VolumeName},
    rehearsal::{Milliseconds, Shown, Unsound, judge},
};

use super::{
    Answer, RealWorld, WorldError, archive, canary, helper,
    proof::{self, failed},
    script::Script,
};
use crate::world::host;

/// The label of everything that a rehearsal makes; its value tells whose.
const LABEL: &str = "rekit.rehearsal";
/// What is to be rehearsed, and where.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// The archive's folder; verified.
    pub archive: &'a Path,
    /// The engine.
    pub host: &'a HostId,
    /// Tells this home's rehearsals from those of others on the same engine.
    pub owner: &'a str,
}

/// What a rehearsal came to.
#[derive(Debug)]
pub struct Rehearsed {
    /// What was proven, or why it was not.
    pub outcome: Result<Proven, NotProven>,
    /// Containers and volumes that could not be removed again, as commands.
    pub left_behind: Vec<String>,
}

/// What a rehearsal proved.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The image of the daemon, as it was named when its container was made.
    pub image: ImageRef,
    /// The engine's id of the image that was started.
    pub image_id: String,
    /// What the daemon showed.
    pub shown: Shown,
    /// Whether the records were compared with a count of the backup.
    pub compared: bool,
    /// Whether known steps came from the cache; false: there were none to ask for.
    pub hit: bool,
    /// How long it took.
    pub took: Milliseconds,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// Why nothing was proven.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// The archive does not bring its cache back.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// The archive does not say how the daemon was started.
    #[error("archive `{0}` does not say how the daemon was started whose state it holds")]
    NoDescription(String),
    /// The image is not there.
    #[error("image `{image}`, which the archived state was used with, is not on engine `{host}`")]
    NoImage {
        /// The image.
        image: String,
        /// The engine.
        host: HostId,
    },
    /// The disk is too full.
    #[error("the archived state takes {needed} bytes, and the engine's disk has {free} left")]
    NoRoom {
        /// What it takes.
        needed: u64,
        /// What is left.
        free: u64,
    },
    /// The world.
    #[error(transparent)]
    World(#[from] WorldError),
}

/// Proves that a node that began with an archived state found its cache. Its BuildKit may be another one, if it finds what it is asked for; how
/// many records there are is not compared, since it collects garbage.
pub(super) async fn prove(
    archive: &Path,
    engine: &Engine,
    container: &ContainerName,
    volume: &VolumeName,
) -> Answer<()> {
    let mut script = match Script::read(archive) {
        Ok(script) => script,
        // The state of no container: nothing is promised.
        Err(NotProven::NoDescription(_)) => return Ok(()),
        Err(NotProven::World(error)) => return Err(error),
        Err(error) => return Err(WorldError::failed("the archived state", error)),
    };
    let written_by = script.promise.buildkit.take();
    script.promise.records = None;
    let node = Scratch {
        engine,
        labels: BTreeMap::new(),
        volume: volume.clone(),
        container: container.clone(),
    };
    let control = proof::connect(engine.clone(), Some(container)).await?;
    let shown = node.look(&script, &control).await?;
    let refused = |why: &dyn std::error::Error| {
        let why = match &written_by {
            Some(other) if *other != shown.buildkit => format!(
                "{}; the state was written by BuildKit {other}, and this is BuildKit {}",
                chain(why),
                shown.buildkit
            ),
            _ => chain(why),
        };
        WorldError::Refused { why }
    };
    judge(&script.promise, &shown).map_err(|error| refused(&error))?;
    if script.canary.is_none() {
        return Ok(());
    }
    match node.build(&script, &control).await {
        Err(NotProven::World(error)) => Err(error),
        Err(error) => Err(refused(&error)),
        Ok(()) => Ok(()),
    }
}

impl RealWorld<'_> {
    /// Proves an archive of a state by using it. What it makes on the engine is gone afterwards.
    pub async fn rehearse(&mut self, stage: Stage<'_>) -> Rehearsed {
        let engine = match self.engine(stage.host).await {
            Ok(engine) => engine,
            Err(error) => {
                return Rehearsed {
                    outcome: Err(error.into()),
                    left_behind: Vec::new(),
                };
            }
        };
        let outcome = self.play(&engine, stage).await;
        let left_behind = clear(&engine, stage.owner).await;
        Rehearsed {
            outcome,
            left_behind,
        }
    }

    async fn play(&self, engine: &Engine, stage: Stage<'_>) -> Result<Proven, NotProven> {
        let script = Script::read(stage.archive)?;
        let image = script.image(engine, stage.host).await?;
        let left = clear(engine, stage.owner).await;
        if !left.is_empty() {
            let why = format!(
                "an earlier rehearsal left what cannot be removed: {}",
                left.join("; ")
            );
            return Err(WorldError::Refused { why }.into());
        }
        let scratch = Scratch::new(engine, stage.owner)?;
        let mut took = Milliseconds::default();
        let began = Instant::now();
        scratch.fill(&script, self.listener).await?;
        took.unpack = milliseconds(began);
        self.may_go_on()?;
        self.say("the daemon on the restored state");
        let began = Instant::now();
        scratch.boot(&script, &image).await?;
        took.boot = milliseconds(began);
        self.may_go_on()?;
        let control = proof::connect(engine.clone(), Some(&scratch.container)).await?;
        let shown = scratch.look(&script, &control).await?;
        let notes = judge(&script.promise, &shown)?;
        self.may_go_on()?;
        self.say("a build on the restored state");
        let began = Instant::now();
        scratch.build(&script, &control).await?;
        took.build = milliseconds(began);
        Ok(Proven {
            image: script
                .image
                .parse()
                .map_err(failed("its image".to_owned()))?,
            image_id: image,
            shown,
            compared: script.promise.records.is_some(),
            hit: script.canary.is_some(),
            took,
            notes,
        })
    }

    fn may_go_on(&self) -> Answer<()> {
        if (self.interrupt)() {
            return Err(WorldError::Interrupted);
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        (self.listener)(Event::Waiting {
            what: what.to_owned(),
            seconds: 0,
            limit: 0,
        });
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The container and the volume of a rehearsal.
struct Scratch<'a> {
    engine: &'a Engine,
    labels: BTreeMap<String, String>,
    volume: VolumeName,
    container: ContainerName,
}

impl<'a> Scratch<'a> {
    fn new(engine: &'a Engine, owner: &str) -> Answer<Self> {
        let name = format!("{LABEL}-{}", proof::random_text()).replace('.', "-");
        let what = || "a name for the rehearsal".to_owned();
        Ok(Self {
            engine,
            labels: BTreeMap::from([(LABEL.to_owned(), owner.to_owned())]),
            volume: name.parse().map_err(failed(what()))?,
            container: name.parse().map_err(failed(what()))?,
        })
    }

    /// Makes the volume and unpacks the archive into it.
    async fn fill(&self, script: &Script, listener: &dyn Fn(Event)) -> Result<(), NotProven> {
        let what = format!("volume `{}` cannot be made", self.volume);
        self.engine
            .volume_create(self.volume.as_str(), &self.labels)
            .await
            .map_err(failed(what))?;
        if let Some(root) = helper::direct_path(self.engine, &self.volume).await? {
            let free = host::free_bytes(&root)
                .map_err(failed("the engine's disk cannot be measured".to_owned()))?;
            if free < script.bytes {
                let needed = script.bytes;
                return Err(NotProven::NoRoom { needed, free });
            }
        }
        let path = script.archive.clone();
        Ok(archive::restore_state(path, self.engine, &self.volume, listener).await?)
    }

    /// Starts the daemon and waits until it answers.
    async fn boot(&self, script: &Script, image: &str) -> Result<(), NotProven> {
        let what = || format!("container `{}` cannot be made", self.container);
        let name = self.container.as_str();
        let body = script.body(image, &self.volume, &self.labels);
        self.engine
            .container_create(name, &body)
            .await
            .map_err(failed(what()))?;
        let tar = script.configuration_tar().map_err(failed(what()))?;
        self.engine
            .put_archive(name, "/", tar.into())
            .await
            .map_err(failed(what()))?;
        let what = format!("container `{}` cannot be started", self.container);
        self.engine
            .container_start(name)
            .await
            .map_err(failed(what))?;
        let ready = proof::wait_ready(self.engine, &self.container).await;
        let no_boot = |error: WorldError| Unsound::NoBoot(chain(&error));
        Ok(ready.map(drop).map_err(no_boot)?)
    }

    /// Looks at what the daemon made of its state.
    async fn look(&self, script: &Script, control: &Control) -> Answer<Shown> {
        // The count makes the daemon open what it opens only when it is needed.
        let records = canary::records(control).await?;
        Ok(Shown {
            put_aside: self.put_aside(script).await?,
            buildkit: canary::version(control).await?,
            snapshotter: canary::snapshotter(control).await?,
            records,
        })
    }

    /// Returns the databases that the daemon put aside: archives hold none, so that each is of now.
    async fn put_aside(&self, script: &Script) -> Answer<Vec<String>> {
        if let Some(root) = helper::direct_path(self.engine, &self.volume).await? {
            return put_aside_below(&root);
        }
        let list = "cd \"$0\" && ls -d *.bak */*.bak 2>/dev/null; true";
        let spec = ExecSpec::new(["sh", "-c", list, &script.folder]);
        let what = "the restored state cannot be looked at";
        let said = self
            .engine
            .exec(self.container.as_str(), &spec, &[], ExecLimit::default())
            .await;
        match said {
            Ok(said) if said.exit_code == 0 => {
                let text = String::from_utf8_lossy(&said.stdout).into_owned();
                Ok(text.lines().map(str::to_owned).collect())
            }
            // An image without a shell: the daemon's own words are what there is.
            _ => {
                let logs = self
                    .engine
                    .container_logs(self.container.as_str(), 500, 1 << 20)
                    .await
                    .map_err(failed(what.to_owned()))?;
                let text =
                    String::from_utf8_lossy(&[logs.stderr, logs.stdout].concat()).into_owned();
                let telling = text
                    .lines()
                    .filter(|line| line.contains("resetting to empty"));
                Ok(telling.map(rekit_core::mask::text).collect())
            }
        }
    }

    /// Builds: what must come from the cache where the archive has a canary, else anything at all.
    async fn build(&self, script: &Script, control: &Control) -> Result<(), NotProven> {
        let no_build = |error: WorldError| Unsound::NoBuild(chain(&error));
        let Some(canary) = &script.canary else {
            let platform = canary::own_platform(self.engine).await?;
            proof::run_probe(control, &platform)
                .await
                .map_err(no_build)?;
            return Ok(());
        };
        let (cached, _) = canary::is_kept(control, canary).await.map_err(no_build)?;
        if cached == [true; 3] {
            return Ok(());
        }
        Err(Unsound::Missed { cached }.into())
    }
}

fn put_aside_below(root: &Path) -> Answer<Vec<String>> {
    const MOST: usize = 10_000;
    let what = || "the restored state cannot be looked at".to_owned();
    let mut found = Vec::new();
    let top = host::list(root, MOST).map_err(failed(what()))?;
    let workers = top
        .iter()
        .filter(|entry| entry.kind == host::Kind::Folder)
        .filter(|entry| entry.name.starts_with("runc-") || entry.name.starts_with("containerd-"));
    for worker in workers {
        found.extend(host::list(&worker.path, MOST).map_err(failed(what()))?);
    }
    let all = top.into_iter().chain(found);
    let aside = all.filter(|entry| entry.path.extension().is_some_and(|end| end == "bak"));
    Ok(aside.map(|entry| entry.name).collect())
}

/// Removes everything that bears the label; returns the commands for what stays.
async fn clear(engine: &Engine, owner: &str) -> Vec<String> {
    let label = format!("label={LABEL}={owner}");
    let Ok((containers, volumes)) = labelled(engine, owner).await else {
        // The engine does not even list them: what there is of them is to be seen once it does.
        return vec![
            format!("docker ps --all --quiet --filter {label} | xargs docker rm --force"),
            format!("docker volume ls --quiet --filter {label} | xargs docker volume rm"),
        ];
    };
    let mut left = Vec::new();
    for id in containers {
        match engine.container_remove(&id, true, true).await {
            Err(error) if !error.is_not_found() => {
                left.push(format!("docker rm --force --volumes {id}"));
            }
            _ => {}
        }
    }
    for name in volumes {
        match engine.volume_remove(&name).await {
            Err(error) if !error.is_not_found() => {
                left.push(format!("docker volume rm {name}"));
            }
            _ => {}
        }
    }
    left
}

/// Returns the ids of containers and the names of volumes that rehearsals of this owner made.
async fn labelled(
    engine: &Engine,
    owner: &str,
) -> Result<(Vec<String>, Vec<String>), rekit_buildkit::ApiError> {
    let mine = Filters::none().with("label", &format!("{LABEL}={owner}"));
    let volumes = engine.volumes_list(&mine).await?;
    let mut containers = engine.containers_list(true, &mine).await?;
    for volume in &volumes {
        // A helper that was killed while it unpacked holds the volume.
        let users = Filters::none()
            .with("volume", &volume.name)
            .with("label", helper::LABEL);
        containers.extend(engine.containers_list(true, &users).await?);
    }
    Ok((
        containers
            .into_iter()
            .map(|container| container.id)
            .collect(),
        volumes.into_iter().map(|volume| volume.name).collect(),
    ))
}
