//! The rule: what each front end takes, and why. As in docker 26 to 29, buildx 0.29 to 0.36, Compose 2.26 to 5.
//!
//! `docker build` and its like name the builder of the context themselves, unless a variable or an alias speaks; buildx asks its store;
//! Compose hands the endpoint to a buildx of its own, for which the context in force is then always `default`.

use super::{
    current::{Chosen, ChosenBy, current, default_file, record},
    document::{Choice, FrontEnd, FrontEnds, Row},
    settings::{DEFAULT, Program, Settings, Switch, loads_by_itself},
};
use crate::inventory::Inventory;

/// docker forwards `docker bake` since then.
const BAKE_IN_DOCKER: &[u64] = &[28, 1];
/// Compose builds through buildx's bake since then, unless `COMPOSE_BAKE` says no.
const COMPOSE_BAKES: &[u64] = &[2, 37];
/// Compose can be told by `COMPOSE_BAKE` to do so since then.
const COMPOSE_CAN_BAKE: &[u64] = &[2, 32];
/// Compose has no builder of its own any more, and does not read `COMPOSE_BAKE`.
const COMPOSE_ONLY_BAKES: &[u64] = &[5];
/// The versions, the end left out, of Compose that give the endpoint to buildx and with it hide the context.
const COMPOSE_HIDES_CONTEXT: [(&[u64], &[u64]); 2] =
    [(&[2, 37, 3], &[2, 38, 2]), (&[2, 39, 3], &[u64::MAX])];

/// What decides for one front end.
struct Decision {
    choice: Choice,
    /// The setting that decided, in a word.
    from: &'static str,
    /// What decided, and where it stands.
    by: String,
    /// What would change it.
    change: String,
    /// Whether the front end itself asks for the image, and in which words.
    asks: Option<&'static str>,
}

impl Decision {
    fn nothing(from: &'static str, why: impl Into<String>, change: &str) -> Self {
        let why = why.into();
        Self {
            from,
            by: why.clone(),
            choice: Choice::Nothing { why },
            change: change.to_owned(),
            asks: None,
        }
    }

    fn legacy(from: &'static str, by: impl Into<String>, change: &str) -> Self {
        Self {
            choice: Choice::Legacy {},
            from,
            by: by.into(),
            change: change.to_owned(),
            asks: None,
        }
    }

    fn asking(mut self, words: &'static str) -> Self {
        self.asks = Some(words);
        self
    }
}

/// Returns what every front end builds with.
pub fn front_ends(inventory: &Inventory) -> FrontEnds {
    let settings = Settings::of(inventory);
    let mut rows: Vec<Row> = FrontEnd::ALL
        .map(|front_end| row(&settings, front_end))
        .into();
    mark_odd(&mut rows);
    FrontEnds {
        schema: FrontEnds::SCHEMA.to_owned(),
        version: 1,
        context: settings.context.to_owned(),
        agree: rows.iter().all(|row| !row.odd || !row.choice.builds()),
        advice: advice(&settings, &rows),
        rows,
        tried: false,
    }
}

fn row(settings: &Settings<'_>, front_end: FrontEnd) -> Row {
    let decision = decide(settings, front_end);
    let (loads, loads_because) = loads(settings, &decision);
    let decided_by = match &decision.choice {
        Choice::Nothing { why } if *why != decision.by => format!("{}: {why}", decision.by),
        _ => decision.by,
    };
    Row {
        front_end,
        command: front_end.command().to_owned(),
        choice: decision.choice,
        from: decision.from.to_owned(),
        decided_by,
        loads,
        loads_because,
        change: decision.change,
        odd: false,
        trial: None,
        differences: Vec::new(),
    }
}

fn decide(settings: &Settings<'_>, front_end: FrontEnd) -> Decision {
    if settings.docker == Program::Missing {
        return Decision::nothing(
            "docker",
            "there is no docker on the search path",
            "install docker",
        );
    }
    if let Switch::Wrong(value) = settings.buildkit {
        let why = format!("DOCKER_BUILDKIT is `{value}`: docker takes 1 or 0 and ends there");
        return Decision::nothing("DOCKER_BUILDKIT", why, "unset DOCKER_BUILDKIT");
    }
    match front_end {
        FrontEnd::DockerBuild | FrontEnd::DockerBuilderBuild | FrontEnd::DockerImageBuild => {
            docker_build(settings)
        }
        FrontEnd::DockerBake => docker_bake(settings),
        FrontEnd::BuildxBuild | FrontEnd::BuildxBake => buildx(settings),
        FrontEnd::ComposeBuild => compose(settings),
        FrontEnd::DevContainer => dev_container(settings),
    }
}

/// `docker build` and its like.
fn docker_build(settings: &Settings<'_>) -> Decision {
    if settings.buildkit == Switch::Off {
        return no_buildkit();
    }
    let missing = match &settings.buildx {
        Program::Runs(_) => return forwarded(settings),
        Program::Missing => "docker finds no buildx".to_owned(),
        Program::Broken(why) => why.clone(),
    };
    // Only where nobody asked for BuildKit in so many words does docker fall back.
    let asked = match (settings.alias, settings.buildkit) {
        (Some(_), _) => Some("`aliases.builder` in config.json"),
        (None, Switch::On) => Some("DOCKER_BUILDKIT=1"),
        _ => None,
    };
    match asked {
        Some(asked) => {
            let why = format!("{asked} asks for buildx, and {missing}");
            Decision::nothing("buildx", why, INSTALL)
        }
        None => Decision::legacy("buildx", missing, INSTALL),
    }
}

fn no_buildkit() -> Decision {
    let by = "DOCKER_BUILDKIT=0 in the environment";
    Decision::legacy("DOCKER_BUILDKIT", by, "unset DOCKER_BUILDKIT")
}

const INSTALL: &str = "install the buildx plugin";
const REPLACE: &str = "put a buildx in its place that runs";

/// `docker bake`: never the legacy builder.
fn docker_bake(settings: &Settings<'_>) -> Decision {
    if !settings.docker.is_from(BAKE_IN_DOCKER) {
        return Decision::nothing(
            "docker",
            "docker has `docker bake` since 28.1",
            "`docker buildx bake`",
        );
    }
    match &settings.buildx {
        Program::Runs(_) => forwarded(settings),
        broken => without_buildx(broken),
    }
}

/// What docker forwards to buildx: it names the builder of the context, unless somebody else names one.
fn forwarded(settings: &Settings<'_>) -> Decision {
    match (settings.alias, settings.builder) {
        (Some(plugin), _) if plugin != "buildx" => Decision::nothing(
            "aliases.builder",
            format!(
                "`aliases.builder` in {} names `{plugin}`, of which rekit knows nothing",
                settings.config()
            ),
            "remove the alias",
        ),
        (Some(_), _) => {
            let followed = buildx(settings);
            Decision {
                from: "aliases.builder",
                by: format!(
                    "`aliases.builder` in {} makes it follow buildx: {}",
                    settings.config(),
                    followed.by
                ),
                ..followed
            }
        }
        (None, Some(_)) => buildx(settings),
        (None, None) => Decision {
            choice: named(settings, settings.context, settings.context),
            from: "docker",
            by: format!(
                "docker itself names the builder of context `{}`",
                settings.context
            ),
            change: "BUILDX_BUILDER, or the alias `builder: buildx` in config.json; not `docker buildx use`".to_owned(),
            asks: None,
        },
    }
}

fn buildx(settings: &Settings<'_>) -> Decision {
    match &settings.buildx {
        Program::Runs(_) => selected(settings, settings.context, settings.key),
        broken => without_buildx(broken),
    }
}

fn without_buildx(buildx: &Program) -> Decision {
    match buildx {
        Program::Broken(why) => Decision::nothing("buildx", why.clone(), REPLACE),
        _ => Decision::nothing("buildx", "docker finds no buildx", INSTALL),
    }
}

fn compose(settings: &Settings<'_>) -> Decision {
    let missing = match &settings.compose {
        Program::Runs(_) => None,
        Program::Missing => Some("docker finds no Compose".to_owned()),
        Program::Broken(why) => Some(why.clone()),
    };
    if let Some(missing) = missing {
        return Decision::nothing("compose", missing, "install the compose plugin");
    }
    if settings.buildkit == Switch::Off {
        return no_buildkit();
    }
    let only_bakes = settings.compose.is_from(COMPOSE_ONLY_BAKES);
    let can_bake = !only_bakes && settings.compose.is_from(COMPOSE_CAN_BAKE);
    let wants = match settings.compose_bake {
        Switch::Wrong(value) if can_bake => {
            let why = format!("COMPOSE_BAKE is `{value}`: Compose takes 1 or 0 and ends there");
            return Decision::nothing("COMPOSE_BAKE", why, "unset COMPOSE_BAKE");
        }
        Switch::On if can_bake => true,
        Switch::Off if can_bake => false,
        _ => settings.compose.is_from(COMPOSE_BAKES),
    };
    let decision = match (&settings.buildx, wants) {
        (Program::Missing, true) if only_bakes => {
            Decision::legacy("buildx", "Compose finds no buildx", INSTALL)
        }
        (Program::Broken(why), true) => Decision::nothing("buildx", why.clone(), REPLACE),
        (Program::Runs(_), true) if hides_context(settings) => selected_by_endpoint(settings),
        // Without bake, or without buildx, it reads buildx's store by itself.
        _ => selected(settings, settings.context, settings.key),
    };
    decision.asking("Compose asks for the image itself")
}

fn hides_context(settings: &Settings<'_>) -> bool {
    let compose = &settings.compose;
    let is_within = |(from, to): (&[u64], &[u64])| compose.is_within(from, to);
    settings.context != DEFAULT && COMPOSE_HIDES_CONTEXT.into_iter().any(is_within)
}

/// What the buildx takes that Compose starts: it sees the endpoint of the context, not the context.
fn selected_by_endpoint(settings: &Settings<'_>) -> Decision {
    let state = settings.entry().and_then(|context| context.state.known());
    let Some(state) = state else {
        let why = format!("context `{}` cannot be read", settings.context);
        return Decision::nothing("context", why, "`docker context use default`");
    };
    let decision = selected(settings, DEFAULT, &state.endpoint);
    Decision {
        by: format!(
            "Compose gives buildx the endpoint of context `{}` without its name: {}",
            settings.context, decision.by
        ),
        ..decision
    }
}

fn dev_container(settings: &Settings<'_>) -> Decision {
    let words = "its command line says --load";
    match &settings.buildx {
        Program::Runs(_) => buildx(settings).asking(words),
        // It asks `docker buildx version` first.
        _ => docker_build(settings),
    }
}

/// What buildx takes: the variable, else what its store says for `key`, else the builder of `context`.
fn selected(settings: &Settings<'_>, context: &str, key: &str) -> Decision {
    if let Some(name) = settings.builder {
        return Decision {
            choice: named(settings, name, context),
            from: "BUILDX_BUILDER",
            by: format!("BUILDX_BUILDER={name} in the environment"),
            change: "another value of BUILDX_BUILDER, or --builder".to_owned(),
            asks: None,
        };
    }
    let change = "`docker buildx use NAME`, BUILDX_BUILDER, or --builder".to_owned();
    let chosen = settings
        .store
        .map_or(Chosen::Context, |store| current(store, key));
    let place = settings.store.map(|store| store.path.to_string());
    let place = place.unwrap_or_default();
    match chosen {
        Chosen::Broken(reason) => Decision::nothing(
            "current",
            format!("{place}/current cannot be read: {reason}"),
            "`rekit doctor --fix`, or BUILDX_BUILDER",
        ),
        Chosen::Record(builder, by) => Decision {
            choice: named(settings, builder.name.as_str(), context),
            from: by.as_str(),
            by: match by {
                ChosenBy::Current => format!("{place}/current, which `docker buildx use` wrote"),
                ChosenBy::Defaults => format!(
                    "{place}/defaults/{}, which `docker buildx use --default` wrote",
                    default_file(key)
                ),
            },
            change,
            asks: None,
        },
        Chosen::Context => Decision {
            choice: named(settings, context, context),
            from: "context",
            by: nothing_selected(settings, key),
            change,
            asks: None,
        },
    }
}

/// Says that nothing is selected, and what comes near it.
fn nothing_selected(settings: &Settings<'_>, key: &str) -> String {
    let plain = format!("no builder is selected for `{key}`: the context's own");
    let current = settings.store.and_then(|store| store.current.as_ref());
    match current
        .and_then(|fact| fact.known())
        .map(|file| &file.current)
    {
        Some(current) if !current.name.is_empty() && current.key != key => format!(
            "{plain} (`{}` is selected for `{}` alone)",
            current.name, current.key
        ),
        Some(current) if !current.name.is_empty() => {
            format!(
                "{plain} (`{}` is selected, and no record of it can be read)",
                current.name
            )
        }
        _ => plain,
    }
}

/// What a builder's name stands for, where `context` is in force: a record, else the context's own builder.
fn named(settings: &Settings<'_>, name: &str, context: &str) -> Choice {
    let nothing = |why: String| Choice::Nothing { why };
    if let Some(builder) = settings.store.and_then(|store| record(store, name)) {
        return match &builder.record.known() {
            Some(record) => Choice::Builder {
                name: record.inner_name.clone(),
                driver: driver(&record.driver),
                engine: false,
            },
            None => nothing(format!(
                "the record of builder `{name}` cannot be read: {}",
                builder.record.reason().unwrap_or_default()
            )),
        };
    }
    let mut contexts = settings.inventory.contexts.iter();
    if name != DEFAULT && !contexts.any(|entry| entry.name == name) {
        return nothing(format!("there is no builder `{name}`"));
    }
    if name != context {
        return nothing(format!(
            "`{name}` is the builder of a context, and buildx sees `{context}` in force"
        ));
    }
    Choice::Builder {
        name: name.to_owned(),
        driver: driver(""),
        engine: true,
    }
}

/// A record without a driver, and a context, have the engine's own.
fn driver(written: &str) -> String {
    let written = if written.is_empty() {
        "docker"
    } else {
        written
    };
    written.to_owned()
}

fn loads(settings: &Settings<'_>, decision: &Decision) -> (bool, String) {
    let (loads, why) = match &decision.choice {
        Choice::Nothing { .. } => (false, "nothing is built"),
        Choice::Legacy {} => (true, "the legacy builder is the engine"),
        Choice::Builder { .. } if decision.asks.is_some() => {
            (true, decision.asks.unwrap_or_default())
        }
        Choice::Builder { .. } if settings.keeps_images => (false, "BUILDX_NO_DEFAULT_LOAD is set"),
        Choice::Builder { driver, .. } if driver == "docker" => (true, "driver docker"),
        Choice::Builder { name, .. } => {
            let builder = settings.store.and_then(|store| record(store, name));
            match builder.and_then(|builder| builder.record.known()) {
                Some(record) if loads_by_itself(record) => (true, "default-load=true"),
                _ => (false, "it exports nothing without --load or --push"),
            }
        }
    };
    (loads, why.to_owned())
}

/// Marks what builds elsewhere than buildx; where buildx builds nothing, elsewhere than `docker build`.
fn mark_odd(rows: &mut [Row]) {
    let of = |front_end: FrontEnd| rows.iter().find(|row| row.front_end == front_end);
    let reference = [FrontEnd::BuildxBuild, FrontEnd::DockerBuild]
        .into_iter()
        .filter_map(of)
        .map(|row| row.choice.clone())
        .find(Choice::builds);
    for row in rows {
        row.odd = reference
            .as_ref()
            .is_none_or(|reference| !row.choice.is_one_place_with(reference));
    }
}

/// One sentence on how to make all agree.
fn advice(settings: &Settings<'_>, rows: &[Row]) -> String {
    let building: Vec<&Row> = rows.iter().filter(|row| row.choice.builds()).collect();
    let Some(first) = building.first() else {
        return format!("Nothing builds here: {}.", rows[0].decided_by);
    };
    let silent = rows.len() - building.len();
    if building.iter().all(|row| !row.odd) {
        let place = match &first.choice {
            Choice::Builder { engine: true, .. } => "the engine's own BuildKit".to_owned(),
            Choice::Builder { name, .. } => format!("builder `{name}`"),
            _ => "the legacy builder".to_owned(),
        };
        return match silent {
            0 => format!("All build with {place}."),
            _ => format!(
                "All that build, build with {place}; {silent} of {} do not build at all.",
                rows.len()
            ),
        };
    }
    if settings.buildkit == Switch::Off {
        return "`unset DOCKER_BUILDKIT`, here and in the shell's profile, takes the legacy builder away; ask again then.".to_owned();
    }
    if !matches!(settings.buildx, Program::Runs(_)) {
        return "Install buildx: without it each front end helps itself in its own way; ask again then.".to_owned();
    }
    let record = building.iter().find_map(|row| match &row.choice {
        Choice::Builder {
            name,
            engine: false,
            ..
        } => Some(name),
        _ => None,
    });
    match record {
        Some(name) => format!(
            "To make all agree: `export BUILDX_BUILDER={name}` in the shell's profile takes all of them to `{name}`; `docker buildx use {}` takes all of them to the engine.",
            settings.context
        ),
        None => "To make all agree, set BUILDX_BUILDER in the shell's profile.".to_owned(),
    }
}
