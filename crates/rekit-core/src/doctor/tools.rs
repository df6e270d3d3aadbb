//! RK110 to RK119: the client's programs and the variables that steer them, here and in files that shells read.

use super::{
    case::{Case, quoted},
    check::Check,
    known::Known,
    remedy::Remedy,
};
use crate::{
    finding::Severity,
    inventory::{Assigned, ConfigFile, Tool},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK110",
        title: "the buildx plugin is missing",
        severity: Severity::Error,
        explain: "docker is here, buildx is not. `docker build` then falls back to the legacy builder without saying much, so a \
            build that works proves nothing; Compose falls back too.",
        find: missing,
    },
    Check {
        code: "RK111",
        title: "a client program cannot run",
        severity: Severity::Error,
        explain: "A file is found where docker looks for its plugin, but it cannot run: another architecture, no permission to \
            execute, or a download that holds an error page. Compose may crash on it.",
        find: broken,
    },
    Check {
        code: "RK112",
        title: "an older copy of a plugin hides a newer one",
        severity: Severity::Warning,
        explain: "docker takes the first plugin that it finds; a copy in ~/.docker/cli-plugins hides the packaged one. Old \
            copies lack flags and speak API versions that engines no longer take.",
        find: shadowed,
    },
    Check {
        code: "RK113",
        title: "BUILDX_BUILDER names no builder",
        severity: Severity::Error,
        explain: "The variable overrides every other choice. With a name that no builder has, all builds fail with `no builder \
            found`, while `docker buildx ls` shows nothing of it.",
        find: builder_variable,
    },
    Check {
        code: "RK114",
        title: "the legacy builder is forced",
        severity: Severity::Warning,
        explain: "DOCKER_BUILDKIT=0 makes `docker build` use the builder from before BuildKit: no secrets, no cache mounts, \
            empty TARGETARCH.",
        find: legacy,
    },
    Check {
        code: "RK115",
        title: "buildx is too old for Compose",
        severity: Severity::Error,
        explain: "Compose builds through buildx's bake since 2.37 and refuses a buildx before 0.17. `docker build` works all the same, so \
            that the fault looks like Compose's. Often an old copy in ~/.docker/cli-plugins hides the packaged one.",
        find: too_old_for_compose,
    },
    Check {
        code: "RK116",
        title: "DOCKER_API_VERSION is none that the engine speaks",
        severity: Severity::Error,
        explain: "The variable pins the language between client and engine. Pinned too low or too high every command fails with `client \
            version … is too old` or `too new`, while `docker buildx ls` still ends with exit code 0.",
        find: api_version,
    },
    Check {
        code: "RK117",
        title: "a shell's profile names a builder that does not exist",
        severity: Severity::Warning,
        explain: "BUILDX_BUILDER overrides every other choice. Set in a profile or an .env file to a name that no builder has, it makes \
            all builds of the next shell fail with `no builder found`.",
        find: profile_names_no_builder,
    },
    Check {
        code: "RK118",
        title: "a shell's profile forces the legacy builder",
        severity: Severity::Warning,
        explain: "DOCKER_BUILDKIT=0 in a profile or an .env file makes `docker build` of the next shell use the builder from before \
            BuildKit: no secrets, no cache mounts, empty TARGETARCH.",
        find: profile_forces_legacy,
    },
];

fn missing(known: &Known<'_>) -> Vec<Case> {
    let tools = &known.inventory.tools;
    let has = |name: &str| tools.iter().any(|tool| tool.name == name && tool.in_force);
    if !has("docker") || has("buildx") {
        return Vec::new();
    }
    let case = Case::of("tool", "buildx")
        .cause("docker is installed without its buildx plugin; builds fall back to the legacy builder.")
        .seen("no file `docker-buildx` in any plugin folder");
    // docker says nothing of a link that leads nowhere.
    let invisible = tools.iter().filter(|tool| tool.name == "buildx");
    let case = invisible.fold(case, |case, tool| {
        let reason = tool
            .version
            .reason()
            .unwrap_or("docker does not look there");
        case.seen(format!("{}: {reason}", tool.path))
    });
    vec![
        case.by_hand("install the plugin")
            .run("sudo apt-get install docker-buildx-plugin"),
    ]
}

fn broken(known: &Known<'_>) -> Vec<Case> {
    let tools = known.inventory.tools.iter();
    tools
        .filter(|tool| {
            let is_ours = matches!(tool.name.as_str(), "docker" | "buildx" | "compose");
            tool.in_force && is_ours && !tool.silent
        })
        .filter_map(|tool| {
            let reason = tool.version.reason()?;
            Some(
                Case::of("tool", &tool.name)
                    .cause(format!(
                        "The {} that docker would use cannot run: {reason}.",
                        tool.name
                    ))
                    .seen(format!("{}: {reason}", tool.path))
                    .with_consent(
                        hides_another(known, tool, |_| true).map(|_| copy_goes(tool)),
                        "move the file aside and install the program again",
                    )
                    .run(format!("mv {0} {0}.broken", quoted(&tool.path))),
            )
        })
        .collect()
}

/// Returns the numbers of a version such as `v0.29.1-desktop.2`, for comparison.
fn numbers(version: &str) -> Vec<u64> {
    version
        .trim_start_matches('v')
        .split(['-', '+', ' '])
        .next()
        .unwrap_or_default()
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The oldest buildx that Compose takes.
const COMPOSE_NEEDS: &[u64] = &[0, 17];

/// Returns another copy of a program, of a version that suits, which docker would find if this one were gone.
fn hides_another<'a>(
    known: &Known<'a>,
    tool: &Tool,
    suits: impl Fn(&[u64]) -> bool,
) -> Option<&'a Tool> {
    let mut tools = known.inventory.tools.iter();
    tools.find(|other| {
        let version = other.version.known();
        let suits = version.is_some_and(|version| suits(&numbers(version)));
        other.name == tool.name && !other.in_force && suits
    })
}

fn copy_goes(tool: &Tool) -> Remedy {
    Remedy::RemoveCopy(tool.path.clone())
}

fn shadowed(known: &Known<'_>) -> Vec<Case> {
    let tools = &known.inventory.tools;
    let plugins = tools
        .iter()
        .filter(|tool| tool.in_force && matches!(tool.name.as_str(), "buildx" | "compose"));
    plugins
        .filter_map(|winner| {
            let version = winner.version.known()?;
            let newer = |other: &&Tool| {
                other.name == winner.name
                    && !other.in_force
                    && other
                        .version
                        .known()
                        .is_some_and(|other| numbers(other) > numbers(version))
            };
            let hidden = tools.iter().find(newer)?;
            let hidden_version = hidden.version.known()?;
            Some(
                Case::of("tool", &winner.name)
                    .cause(format!(
                        "{} {version} is used, though {hidden_version} is installed.",
                        winner.name
                    ))
                    .seen(format!("{}: {version}, in force", winner.path))
                    .seen(format!("{}: {hidden_version}, hidden", hidden.path))
                    .with_consent(copy_goes(winner), "move the older copy aside")
                    .run(format!("mv {0} {0}.old", quoted(&winner.path))),
            )
        })
        .collect()
}

fn builder_variable(known: &Known<'_>) -> Vec<Case> {
    let Some(name) = known.variable("BUILDX_BUILDER") else {
        return Vec::new();
    };
    if known.names_a_builder(name) {
        return Vec::new();
    }
    vec![
        Case::of("environment", "BUILDX_BUILDER")
            .cause(format!("BUILDX_BUILDER is `{name}`, and no builder or context has this name; every build fails."))
            .seen(format!("environment: BUILDX_BUILDER={name}"))
            .by_hand("unset the variable where it is set, or create a builder of that name")
            .run("unset BUILDX_BUILDER")
            .run(format!("docker buildx create --name {}", quoted(name))),
    ]
}

fn legacy(known: &Known<'_>) -> Vec<Case> {
    if !known.variable("DOCKER_BUILDKIT").is_some_and(is_false) {
        return Vec::new();
    }
    vec![
        Case::of("environment", "DOCKER_BUILDKIT")
            .cause("DOCKER_BUILDKIT turns BuildKit off for `docker build`.")
            .seen("environment: DOCKER_BUILDKIT is set to a false value")
            .by_hand("unset the variable where it is set")
            .run("unset DOCKER_BUILDKIT"),
    ]
}

/// Whether docker takes a value for "no".
fn is_false(value: &str) -> bool {
    matches!(value, "0" | "false" | "FALSE" | "False" | "f" | "F")
}

/// Returns the version of the copy that runs.
fn in_force<'a>(known: &Known<'a>, name: &str) -> Option<(&'a Tool, &'a str)> {
    let tool = known
        .inventory
        .tools
        .iter()
        .find(|tool| tool.name == name && tool.in_force)?;
    Some((tool, tool.version.known()?))
}

fn too_old_for_compose(known: &Known<'_>) -> Vec<Case> {
    let (Some((buildx, version)), Some((compose, by))) =
        (in_force(known, "buildx"), in_force(known, "compose"))
    else {
        return Vec::new();
    };
    let own = numbers(version);
    if own.is_empty() || own.as_slice() >= COMPOSE_NEEDS || numbers(by) < vec![2, 37] {
        return Vec::new();
    }
    vec![
        Case::of("tool", "buildx")
            .cause(format!("Compose {by} needs buildx 0.17 or later and finds {version}: `docker compose build` fails."))
            .seen(format!("{}: {version}, in force", buildx.path))
            .seen(format!("{}: {by}", compose.path))
            .with_consent(
                hides_another(known, buildx, |version| version >= COMPOSE_NEEDS).map(|_| copy_goes(buildx)),
                "move the old copy aside, or install a newer buildx",
            )
            .run(format!("mv {0} {0}.old", quoted(&buildx.path))),
    ]
}

fn api_version(known: &Known<'_>) -> Vec<Case> {
    let Some(pinned) = known.variable("DOCKER_API_VERSION") else {
        return Vec::new();
    };
    let wanted = numbers(pinned);
    let refuses = |oldest: &str, newest: &str| {
        let (oldest, newest) = (numbers(oldest), numbers(newest));
        (!oldest.is_empty() && wanted < oldest) || (!newest.is_empty() && wanted > newest)
    };
    let engines = known.engines().filter(|(_, engine)| {
        !wanted.is_empty() && refuses(&engine.min_api_version, &engine.api_version)
    });
    engines
        .map(|(host, engine)| {
            let range = match engine.min_api_version.as_str() {
                "" => format!("up to {}", engine.api_version),
                oldest => format!("{oldest} to {}", engine.api_version),
            };
            Case::of("environment", "DOCKER_API_VERSION")
                .host(&host.id)
                .cause(format!("DOCKER_API_VERSION is {pinned}, the engine speaks {range}: every docker command fails."))
                .seen(format!("environment: DOCKER_API_VERSION={pinned}"))
                .seen(format!("engine {}: API {range}", engine.version))
                .by_hand("unset the variable where it is set")
                .run("unset DOCKER_API_VERSION")
        })
        .collect()
}

/// Returns what files of shells set a variable to, with a case begun about each.
fn set_in_files<'a>(known: &Known<'a>, name: &str) -> Vec<(Case, &'a ConfigFile, &'a Assigned)> {
    let files = known.inventory.files.iter();
    files
        .flat_map(|file| file.assigned.iter().map(move |assigned| (file, assigned)))
        .filter(|(_, assigned)| assigned.name == name)
        .map(|(file, assigned)| {
            let (line, value) = (assigned.line, assigned.value.as_str());
            let case = Case::of("file", &file.file.path)
                .seen(format!("{}, line {line}: {name}={value}", file.file.path));
            (case, file, assigned)
        })
        .collect()
}

fn line_goes(file: &ConfigFile, assigned: &Assigned) -> Remedy {
    Remedy::SilenceLine {
        path: file.file.path.clone(),
        line: assigned.line,
    }
}

fn profile_names_no_builder(known: &Known<'_>) -> Vec<Case> {
    let set = set_in_files(known, "BUILDX_BUILDER").into_iter();
    set.filter(|(_, _, assigned)| !known.names_a_builder(&assigned.value))
        .map(|(case, file, assigned)| {
            let value = &assigned.value;
            case.cause(format!(
                "`{}` sets BUILDX_BUILDER to `{value}`, and no builder or context has this name; builds of a shell that reads it fail.",
                file.file.path
            ))
            .with_consent(line_goes(file, assigned), "make a comment of the line, or create a builder of that name")
            .run(format!("docker buildx create --name {}", quoted(value)))
        })
        .collect()
}

fn profile_forces_legacy(known: &Known<'_>) -> Vec<Case> {
    let set = set_in_files(known, "DOCKER_BUILDKIT").into_iter();
    set.filter(|(_, _, assigned)| is_false(&assigned.value))
        .map(|(case, file, assigned)| {
            case.cause(format!(
                "`{}` turns BuildKit off for `docker build`.",
                file.file.path
            ))
            .with_consent(line_goes(file, assigned), "make a comment of the line")
        })
        .collect()
}
