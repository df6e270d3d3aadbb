//! One call of rekit: looks, plans, applies, goes back. Everything a verb does with the world goes through here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_core::{
    check::{CheckedPlan, PlanFault, check},
    config::files::ConfigurationRestore,
    draft::{Ground, Patience},
    event::Event,
    finalize,
    folders::{self, CacheFolder},
    front_ends::FrontEnds,
    goal::Goal,
    history::{self, History, PastRun},
    inventory::Inventory,
    mounts::{self, MountRestore, NoMountRestore},
    name::{HostPath, RunId},
    next::{RunEnd, RunState},
    plan::{Plan, Purpose},
    reinstall::{self, Consent, NoPlan, Restore, Wishes},
    rollback::{self, NoWayBack},
    running,
    step::{FileState, StateSource},
};

use crate::{
    executor::{DriveEnd, DriveError, KillPoint, Run},
    images::archived_images,
    inventory::{self, Limits},
    journal::{Home, HomeError, StoredRun},
    steps,
    store_lock::lock_store,
    world::{
        ReadWorld, WorldError, clock,
        environment::Surroundings,
        path_of,
        real::{RealWorld, Tried, try_front_ends},
    },
};

/// What a verb was called with: where it is, who listens, how it is interrupted.
pub struct Session<'a> {
    /// The environment.
    pub surroundings: &'a Surroundings,
    /// Who is told what happens.
    pub listener: &'a dyn Fn(Event),
    /// Whether somebody asked to stop; read between steps.
    pub interrupt: &'a dyn Fn() -> bool,
    /// A point at which the program ends itself, for the lab.
    pub kill: Option<KillPoint>,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Applied {
    /// The plan.
    pub plan: Plan,
    /// Where its run stands.
    pub state: RunState,
    /// How the drive ended.
    pub end: DriveEnd,
}

impl Applied {
    /// Returns whether the world is other than before.
    pub fn changed(&self) -> bool {
        self.end != DriveEnd::Ended(RunEnd::RolledBack) && self.state.has_changed()
    }
}

/// Why a session could not do what it was asked for. Nothing was changed, except where `Drive` says so.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// rekit's own directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Another rekit is at work on the store.
    #[error("another rekit is at work on the store `{store}`{}", .holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default())]
    StoreLocked {
        /// The store.
        store: HostPath,
        /// The program and its process, as far as they can be known.
        holder: Option<String>,
    },
    /// No reinstall can be planned.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// There is no way back.
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    /// The plan is dangerous or damaged.
    #[error("the plan cannot be applied: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Faults(Vec<PlanFault>),
    /// An earlier run is still open.
    #[error("run `{run}` ({purpose}) was broken off and is still open")]
    OpenRun {
        /// The run.
        run: RunId,
        /// What it is for.
        purpose: Purpose,
    },
    /// No run is open.
    #[error("no run is open")]
    NoOpenRun,
    /// The plan was applied before.
    #[error("plan `{0}` was applied before; make a new one")]
    Applied(RunId),
    /// What the plan relies on has changed since it was made.
    #[error("the world has moved since the plan was made: {}", .0.join("; "))]
    Moved(Vec<String>),
    /// The run had to stop while open.
    #[error("the run had to stop")]
    Drive(#[from] DriveError),
    /// What was named is not there.
    #[error("there is no builder and no folder of cache `{0}` that could be archived")]
    NoBuilder(String),
    /// A file that was named is not in the archive.
    #[error("the archive holds no `{0}`")]
    NotArchived(HostPath),
    /// An engine cannot be stopped for its cache.
    #[error(transparent)]
    NoEnginePlace(#[from] crate::engine_cache::NoEnginePlace),
    /// An engine cannot get an archived cache.
    #[error(transparent)]
    NoEngineRestore(#[from] rekit_core::engine_cache::NoEngineRestore),
    /// A builder cannot get cache mounts.
    #[error(transparent)]
    NoMountRestore(#[from] NoMountRestore),
    /// The world.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl Session<'_> {
    /// Returns everything found, with what rekit keeps parked marked as such.
    pub async fn look(&self, limits: Limits) -> Inventory {
        let mut inventory = inventory::inventory(self.surroundings, limits).await;
        // A journal that cannot be read is reported by the verbs that need it; without it nothing is known to be parked.
        let parked = self
            .history()
            .map(|history| history.parked())
            .unwrap_or_default();
        history::mark_parked(&mut inventory, &parked);
        inventory
    }

    /// Returns rekit's own directory.
    pub fn home_path(&self) -> PathBuf {
        self.surroundings.rekit_home()
    }

    /// Returns all runs of this home, in order.
    pub fn runs(&self) -> Result<Vec<StoredRun>, SessionError> {
        let home = Home::look(&self.home_path(), clock::now)?;
        Ok(home
            .map(|home| home.runs())
            .transpose()?
            .unwrap_or_default())
    }

    /// Returns what earlier runs left.
    pub fn history(&self) -> Result<History, SessionError> {
        let past = |run: StoredRun| PastRun {
            state: run.state(),
            began: run.began,
            plan: run.plan,
        };
        Ok(History::new(self.runs()?.into_iter().map(past).collect()))
    }

    /// Returns the run that is still to be resumed or rolled back.
    pub fn open_run(&self) -> Result<Option<StoredRun>, SessionError> {
        Ok(self.runs()?.into_iter().rev().find(StoredRun::is_open))
    }

    /// Plans a reinstall.
    pub async fn plan_reinstall(
        &self,
        inventory: &Inventory,
        goal: &Goal,
        wishes: &Wishes,
    ) -> Result<Plan, SessionError> {
        let plan = |ground: &Ground<'_>| reinstall::plan(ground, goal, wishes);
        self.planned(inventory, Purpose::Reinstall, plan).await
    }

    /// Plans to make the builder that the goal names.
    pub async fn plan_install(
        &self,
        inventory: &Inventory,
        goal: &Goal,
    ) -> Result<Plan, SessionError> {
        let plan = |ground: &Ground<'_>| reinstall::install(ground, goal);
        self.planned(inventory, Purpose::Install, plan).await
    }

    /// Plans to mend what the doctor finds, as far as a person agreed.
    pub async fn plan_fix(
        &self,
        inventory: &Inventory,
        goal: &Goal,
        consent: &Consent,
    ) -> Result<Plan, SessionError> {
        let plan = |ground: &Ground<'_>| reinstall::fix(ground, goal, consent);
        self.planned(inventory, Purpose::Fix, plan).await
    }

    /// Plans to remove builders; none named: all.
    pub async fn plan_clean(
        &self,
        inventory: &Inventory,
        goal: &Goal,
        builders: &[String],
        wishes: &Wishes,
    ) -> Result<Plan, SessionError> {
        let plan = |ground: &Ground<'_>| reinstall::clean(ground, goal, builders, wishes);
        self.planned(inventory, Purpose::Clean, plan).await
    }

    /// Plans to bring an archived state back.
    pub async fn plan_restore(
        &self,
        inventory: &Inventory,
        goal: &Goal,
        restore: &Restore,
        wishes: &Wishes,
    ) -> Result<Plan, SessionError> {
        let plan = |ground: &Ground<'_>| reinstall::restore(ground, goal, restore, wishes);
        let first = self.planned(inventory, Purpose::Restore, plan).await?;
        // Reading an archive back makes a large future.
        let images = Box::pin(self.images_for(&first, &restore.source)).await?;
        if images.is_empty() {
            return Ok(first);
        }
        let wishes = Wishes {
            images,
            ..wishes.clone()
        };
        let plan = |ground: &Ground<'_>| reinstall::restore(ground, goal, restore, &wishes);
        self.planned(inventory, Purpose::Restore, plan).await
    }

    /// Plans to bring archived cache mounts into a builder.
    pub fn plan_mounts(
        &self,
        inventory: &Inventory,
        restore: &MountRestore,
    ) -> Result<Plan, SessionError> {
        let files = BTreeMap::new();
        let ground = self.ground(inventory, &files, Purpose::Restore)?;
        Ok(mounts::restore(&ground, restore)?)
    }

    /// Plans to bring an archived folder of cache back.
    pub fn plan_folder(
        &self,
        inventory: &Inventory,
        source: &StateSource,
        folder: &CacheFolder,
    ) -> Result<Plan, SessionError> {
        let files = BTreeMap::new();
        let ground = self.ground(inventory, &files, Purpose::Restore)?;
        Ok(folders::restore(&ground, source, folder))
    }

    /// Plans to bring archived configuration back.
    pub async fn plan_configuration(
        &self,
        inventory: &Inventory,
        restore: &ConfigurationRestore,
    ) -> Result<Plan, SessionError> {
        let paths: Vec<_> = restore.files.iter().map(|file| file.path.clone()).collect();
        let files = self.file_states(&paths).await?;
        let ground = self.ground(inventory, &files, Purpose::Restore)?;
        rekit_core::config::files::restore(&ground, restore).map_err(SessionError::NotArchived)
    }

    async fn planned(
        &self,
        inventory: &Inventory,
        purpose: Purpose,
        plan: impl FnOnce(&Ground<'_>) -> Result<Plan, NoPlan>,
    ) -> Result<Plan, SessionError> {
        let files = self
            .file_states(&reinstall::paths_of_interest(inventory))
            .await?;
        let mut plan = plan(&self.ground(inventory, &files, purpose)?)?;
        running::announce(&mut plan, inventory);
        Ok(plan)
    }

    /// Plans the way back to a generation; `None`: the one before the last change.
    pub async fn plan_rollback(
        &self,
        inventory: &Inventory,
        to: Option<u32>,
        patience: Patience,
    ) -> Result<Plan, SessionError> {
        let history = self.history()?;
        let to = to
            .or_else(|| history.previous())
            .ok_or(NoWayBack::NothingBefore)?;
        let runs = history.since(to).ok_or(NoWayBack::Unknown(to))?;
        let files = self
            .file_states(&rollback::paths_of_interest(&runs))
            .await?;
        let ground = self.ground(inventory, &files, Purpose::Rollback)?;
        let mut plan = rollback::plan(&ground, &runs, to, patience)?;
        running::announce(&mut plan, inventory);
        Ok(plan)
    }

    /// Plans the end of the probation.
    pub fn plan_finalize(&self, inventory: &Inventory) -> Result<Plan, SessionError> {
        let files = BTreeMap::new();
        Ok(finalize::plan(
            &self.ground(inventory, &files, Purpose::Finalize)?,
            &self.history()?.parked(),
        ))
    }

    /// Plans archives of builders and of folders of cache, which are named by their paths; none named: all.
    pub fn plan_backup(
        &self,
        inventory: &Inventory,
        names: &[String],
        to: Option<&HostPath>,
    ) -> Result<Plan, SessionError> {
        let files = BTreeMap::new();
        let ground = self.ground(inventory, &files, Purpose::Backup)?;
        let paths = names.iter().filter(|name| name.starts_with('/'));
        let further: Vec<_> = paths
            .filter_map(|name| inventory::cache_folder(Path::new(name)))
            .collect();
        let images = match to {
            Some(_) => Vec::new(),
            None => archived_images(&self.home_path().join("archives")),
        };
        let images: Vec<_> = images.into_iter().map(|(_, _, id)| id).collect();
        rekit_core::backup::plan(&ground, names, &further, &images, to)
            .map_err(SessionError::NoBuilder)
    }

    /// Applies a plan: checked, locked, and only if the world has not moved where it matters.
    pub async fn apply(&self, plan: Plan) -> Result<Applied, SessionError> {
        let plan = check(plan).map_err(SessionError::Faults)?;
        let _store = lock_store(self.surroundings).await?;
        let home = Home::open(&self.home_path(), clock::now)?;
        if let Some(open) = home.open_run()? {
            return Err(SessionError::OpenRun {
                run: open.plan.run.clone(),
                purpose: open.plan.purpose,
            });
        }
        if home
            .runs()?
            .iter()
            .any(|run| run.plan.run == plan.plan().run)
        {
            return Err(SessionError::Applied(plan.plan().run.clone()));
        }
        let mut world = self.world();
        let moved = steps::moved(plan.plan(), &world).await?;
        if !moved.is_empty() {
            return Err(SessionError::Moved(moved));
        }
        home.begin(plan.plan())?;
        self.drive(&home, &plan, &[], |_, _| Ok(()), &mut world)
            .await
    }

    /// Goes on with the open run where its journal says it stands.
    pub async fn resume(&self) -> Result<Applied, SessionError> {
        self.take_up(|run, journal| run.accept(journal)).await
    }

    /// Takes the open run back.
    pub async fn unwind(&self) -> Result<Applied, SessionError> {
        self.take_up(|run, journal| {
            if run.state().turned().is_none() {
                run.turn(journal)
            } else {
                Ok(())
            }
        })
        .await
    }

    async fn take_up(
        &self,
        first: impl FnOnce(&mut Run<'_>, &mut crate::journal::RunJournal<'_>) -> Result<(), DriveError>,
    ) -> Result<Applied, SessionError> {
        let _store = lock_store(self.surroundings).await?;
        let home = Home::open(&self.home_path(), clock::now)?;
        let open = home.open_run()?.ok_or(SessionError::NoOpenRun)?;
        let plan = check(open.plan.clone()).map_err(SessionError::Faults)?;
        let entries: Vec<_> = open.entries.into_iter().map(|(_, entry)| entry).collect();
        let retry = |run: &mut Run<'_>, journal: &mut crate::journal::RunJournal<'_>| {
            if run.state().ended() == Some(RunEnd::Stuck) {
                run.retry(journal)?;
            }
            first(run, journal)
        };
        self.drive(&home, &plan, &entries, retry, &mut self.world())
            .await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what apply, resume and unwind differ in"
    )]
    async fn drive(
        &self,
        home: &Home,
        plan: &CheckedPlan,
        entries: &[rekit_core::next::Entry],
        first: impl FnOnce(&mut Run<'_>, &mut crate::journal::RunJournal<'_>) -> Result<(), DriveError>,
        world: &mut RealWorld<'_>,
    ) -> Result<Applied, SessionError> {
        world.keep_archives_in(path_of(&plan.plan().archives));
        let mut journal = home.journal(plan.plan(), entries);
        let mut run = Run::new(plan, entries, self.listener, self.interrupt).with_kill(self.kill);
        first(&mut run, &mut journal)?;
        let end = run.drive(world, &mut journal).await?;
        if !entries.is_empty() {
            world.forget_broken_trials(plan.plan()).await;
        }
        Ok(Applied {
            plan: plan.plan().clone(),
            state: run.state().clone(),
            end,
        })
    }

    /// Proves every builder of an inventory with real builds; changes nothing that stays.
    pub async fn validate(&self, inventory: &Inventory) -> Result<Vec<String>, SessionError> {
        use crate::world::ChangeWorld;
        let Some(store) = inventory.stores.first() else {
            return Ok(Vec::new());
        };
        let claims = reinstall::claims(inventory);
        Ok(self.world().validate(&store.path, &claims).await?)
    }

    /// Builds with every front end, each within `limit`, and takes away again what that leaves.
    pub async fn try_front_ends(
        &self,
        inventory: &Inventory,
        by_rule: &FrontEnds,
        limit: Duration,
    ) -> Result<Tried, SessionError> {
        Ok(try_front_ends(&self.world(), inventory, by_rule, limit).await?)
    }

    pub(crate) fn world(&self) -> RealWorld<'_> {
        let addresses = inventory::addresses(self.surroundings);
        RealWorld::new(
            addresses,
            self.home_path(),
            self.surroundings.clone(),
            self.listener,
            self.interrupt,
        )
    }

    async fn file_states(
        &self,
        paths: &[HostPath],
    ) -> Result<BTreeMap<HostPath, FileState>, SessionError> {
        let world = self.world();
        let mut states = BTreeMap::new();
        for path in paths {
            // A file that cannot be read is left to the step's guard, which says so before anything changes.
            if let Ok(state) = world.file(path).await {
                states.insert(path.clone(), state);
            }
        }
        Ok(states)
    }

    pub(crate) fn ground<'b>(
        &self,
        inventory: &'b Inventory,
        files: &'b BTreeMap<HostPath, FileState>,
        purpose: Purpose,
    ) -> Result<Ground<'b>, SessionError> {
        let history = self.history()?;
        let now = clock::now();
        Ok(Ground {
            inventory,
            files,
            run: run_id(purpose, now, self.runs()?.len()),
            now,
            generation: history.current(),
            highest_generation: history.highest(),
        })
    }
}

/// Mints the id of a run: what for, when, and the how-manieth.
fn run_id(purpose: Purpose, now: jiff::Timestamp, runs: usize) -> RunId {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    match format!("{purpose}-{time}-{}", runs + 1).parse() {
        Ok(id) => id,
        Err(error) => unreachable!("BUG: {error}"),
    }
}

/// Reads every byte of an archive back, wherever it lies; returns the digest of its SHA256SUMS.
pub async fn verify_archive(
    path: &Path,
    listener: &dyn Fn(Event),
) -> Result<rekit_core::name::Digest, WorldError> {
    crate::world::real::verify_archive(path.to_owned(), listener).await
}
