//! RK220 to RK229: which builder each front end takes, and what becomes of its result.

use super::{
    case::{Case, quoted},
    check::Check,
    known::Known,
    remedy::{Change, Owner, Remedy},
};
use crate::{
    finding::Severity,
    front_ends::{Choice, FrontEnd, front_ends, loads_by_itself},
    inventory::{BuilderRecord, Record, Store},
    step::JsonEdit,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK220",
        title: "images stay in the selected builder's cache",
        severity: Severity::Info,
        explain: "Only the engine's own builder puts images into the engine by itself. Any other exports nothing unless a build says \
            --load, --push or -o, or the builder was made with `--driver-opt default-load=true`; the exit code is 0 all the same. With \
            that option a build for several platforms must name its output, as the classic image store takes one platform at a time.",
        find: not_loaded,
    },
    Check {
        code: "RK221",
        title: "front ends build with different builders",
        severity: Severity::Info,
        explain: "`docker build` and `docker bake` take the context's own builder; `docker buildx build`, `docker buildx bake` and \
            Compose take the selected one. Caches and images are then in two places. BUILDX_BUILDER, or the alias `builder: buildx` in \
            config.json, makes all of them agree.",
        find: split,
    },
];

/// Returns the selected builder that is not the context's own: its store, its file, and what it says.
fn selected<'a>(known: &Known<'a>) -> Option<(&'a Store, &'a BuilderRecord, &'a Record)> {
    let name = known.inventory.selection.builder.as_ref()?;
    let store = known.inventory.stores.first()?;
    let builder = store
        .builders
        .iter()
        .find(|builder| builder.name.as_str().eq_ignore_ascii_case(name.as_str()))?;
    Some((store, builder, builder.record.known()?))
}

fn why(known: &Known<'_>) -> String {
    let selection = &known.inventory.selection;
    format!(
        "chosen by {} for `{}`",
        selection.builder_from, selection.key
    )
}

fn not_loaded(known: &Known<'_>) -> Vec<Case> {
    let Some((store, builder, record)) = selected(known) else {
        return Vec::new();
    };
    if record.nodes.is_empty() || loads_by_itself(record) {
        return Vec::new();
    }
    vec![
        Case::of("builder", &builder.name)
            .store(&store.path)
            .cause(format!(
                "Builder `{}` is selected and puts no image into the engine unless a build says so.",
                builder.name
            ))
            .seen(why(known))
            .seen(format!(
                "{}: driver {}, no `default-load=true`",
                builder.file.path, record.driver
            ))
            .with_consent(
                loading(store, builder, record),
                "build with --load, or select the engine's own builder for plain development",
            )
            .run(format!("docker buildx build --load --builder {} .", quoted(&builder.name))),
    ]
}

/// Gives a builder nodes that load what they build.
fn loading(store: &Store, builder: &BuilderRecord, record: &Record) -> Option<Remedy> {
    let owner = Owner::of(store, builder);
    let change = Change {
        options: [("default-load".to_owned(), "true".to_owned())].into(),
        ..Change::default()
    };
    (record.driver == "docker-container").then_some(Remedy::Renew(owner, change))
}

/// Lets `docker build` take what buildx takes, as `docker buildx install` once did.
fn following(known: &Known<'_>) -> Option<Remedy> {
    Some(Remedy::EditJson {
        path: known.inventory.selection.cli_config.clone()?,
        edit: JsonEdit {
            keys: vec!["aliases".to_owned(), "builder".to_owned()],
            value: Some("buildx".to_owned()),
        },
        why: "all front ends then build with the selected builder, whichever that is",
    })
}

fn split(known: &Known<'_>) -> Vec<Case> {
    let Some((store, builder, _)) = selected(known) else {
        return Vec::new();
    };
    let front_ends = front_ends(known.inventory);
    let choice = |front_end| front_ends.row(front_end).map(|row| &row.choice);
    let own = match choice(FrontEnd::DockerBuild) {
        Some(Choice::Builder { engine: true, .. }) => &known.inventory.selection.context,
        _ => return Vec::new(),
    };
    let follows = matches!(
        choice(FrontEnd::BuildxBuild),
        Some(Choice::Builder { engine: false, .. })
    );
    if !follows {
        return Vec::new();
    }
    vec![
        Case::of("builder", &builder.name)
            .store(&store.path)
            .cause(format!(
                "`docker buildx build` and Compose build with `{}`, `docker build` with the engine of context `{own}`.",
                builder.name
            ))
            .seen(why(known))
            .seen("neither BUILDX_BUILDER nor an alias of the docker CLI makes `docker build` follow")
            .with_consent(
                following(known),
                "let `docker build` and `docker bake` follow by the alias `builder: buildx` in config.json, or leave it so on purpose",
            )
            .run(format!("export BUILDX_BUILDER={}", quoted(&builder.name)))
            .run("docker buildx use default"),
    ]
}
