//! The inventory for a person: the machine, its engines, builders, caches and files, and what could not be read.

use rekit_core::{
    fact::Fact,
    inventory::{
        BuilderRecord, ConfigVerdict, Daemon, ImageStore, Inventory, NodeRecord, PlaceKind,
    },
};

use super::leftovers;
use super::style::{Style, Tone, bytes, clean, counted, table};

/// Returns the inventory as text.
pub(crate) fn inventory(inventory: &Inventory, style: &Style) -> String {
    let sections = [
        machine(inventory),
        section("Engines", &ENGINES, engines(inventory), style),
        section("Builders", &BUILDERS, builders(inventory, style), style),
        section("Builds that run", &RUNNING, running(inventory), style),
        section("Other daemons", &DAEMONS, daemons(inventory), style),
        section("Contexts", &CONTEXTS, contexts(inventory), style),
        section("Caches", &CACHES, caches(inventory), style),
        section("Files", &FILES, files(inventory), style),
        section(
            "Left over",
            &leftovers::HEADS,
            leftovers::rows(inventory, style),
            style,
        ),
        section(
            "Could not be read",
            &UNREADABLE,
            unreadable(inventory),
            style,
        ),
    ];
    let shown: Vec<String> = sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect();
    shown.join("\n")
}

fn machine(inventory: &Inventory) -> String {
    let machine = &inventory.machine;
    let wsl = if machine.wsl { " (WSL)" } else { "" };
    let tools: Vec<String> = inventory
        .tools
        .iter()
        .filter(|tool| tool.in_force)
        .filter_map(|tool| Some(format!("{} {}", tool.name, tool.version.known()?)))
        .collect();
    let selection = &inventory.selection;
    let builder = match &selection.builder {
        Some(builder) => format!("builder {builder} (from {})", selection.builder_from),
        None => "the context's own builder".to_owned(),
    };
    let emulated: Vec<&str> = inventory
        .emulators
        .known()
        .into_iter()
        .flatten()
        .filter(|emulator| emulator.enabled)
        .filter_map(|emulator| Some(emulator.platform.as_ref()?.as_str()))
        .collect();
    let mut text = format!(
        "Machine    {}/{}{wsl}, kernel {}, {}, {} memory, user {}\n",
        machine.os,
        machine.architecture,
        machine.kernel,
        counted(machine.processors as usize, "processor"),
        bytes(machine.memory_bytes),
        machine.user
    );
    let rows = [
        ("Programs", tools.join(", ")),
        (
            "In force",
            format!(
                "context {} (from {}), {builder}",
                selection.context, selection.context_from
            ),
        ),
        ("Emulates", emulated.join(", ")),
    ];
    for (label, value) in rows {
        if !value.is_empty() {
            text.extend([&format!("{label:<11}"), value.as_str(), "\n"]);
        }
    }
    clean(&text)
}

type Row = Vec<String>;

/// Returns a titled table that fits the terminal; nothing for no rows.
fn section(title: &str, heads: &[&str], rows: Vec<Row>, style: &Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let title = style.paint(Tone::Heading, title);
    let rows = table(heads, rows, style);
    let rows: Vec<_> = rows.lines().map(|line| format!(" {line}\n")).collect();
    format!("{title}\n{}", rows.concat())
}

const ENGINES: [&str; 6] = [
    "HOST",
    "ENGINE",
    "IMAGE STORE",
    "BUILDKIT",
    "CONTAINERS",
    "VOLUMES",
];

fn engines(inventory: &Inventory) -> Vec<Row> {
    let hosts = inventory.hosts.iter();
    hosts
        .filter_map(|host| {
            let engine = host.engine.known()?;
            let store = match engine.image_store {
                ImageStore::Graphdriver => "classic",
                ImageStore::Containerd => "containerd",
            };
            let rootless = if engine.rootless { " rootless" } else { "" };
            Some(vec![
                host.id.to_string(),
                format!(
                    "{}{rootless}, {}/{}",
                    engine.version, engine.os, engine.architecture
                ),
                format!("{store}, {}", engine.storage_driver),
                version(&engine.embedded),
                engine.containers.len().to_string(),
                engine.volumes.len().to_string(),
            ])
        })
        .collect()
}

fn version(daemon: &Fact<Daemon>) -> String {
    match daemon {
        Fact::Known(daemon) => daemon.version.clone(),
        Fact::Unreadable { .. } => "no answer".to_owned(),
    }
}

const BUILDERS: [&str; 7] = [
    "BUILDER", "DRIVER", "NODE", "STATUS", "BUILDKIT", "CACHE", "LAST USE",
];

fn builders(inventory: &Inventory, style: &Style) -> Vec<Row> {
    let mut rows = Vec::new();
    for builder in inventory.stores.iter().flat_map(|store| &store.builders) {
        let selected = inventory.selection.builder.as_ref() == Some(&builder.name);
        let name = format!("{}{}", builder.name, if selected { " *" } else { "" });
        let last = builder
            .last_activity
            .as_ref()
            .map_or_else(|| "-".to_owned(), |last| style.ago_text(last));
        rows.extend(builder_rows(builder, name, &last));
    }
    rows
}

fn builder_rows(builder: &BuilderRecord, name: String, last: &str) -> Vec<Row> {
    let dash = || "-".to_owned();
    let Some(record) = builder.record.known() else {
        let broken = "cannot be read".to_owned();
        return vec![vec![
            name,
            dash(),
            dash(),
            broken,
            dash(),
            dash(),
            last.to_owned(),
        ]];
    };
    if record.nodes.is_empty() {
        let none = "no nodes".to_owned();
        return vec![vec![
            name,
            record.driver.clone(),
            dash(),
            none,
            dash(),
            dash(),
            last.to_owned(),
        ]];
    }
    let mut rows = Vec::new();
    for (number, node) in record.nodes.iter().enumerate() {
        let mut row = if number == 0 {
            vec![name.clone(), record.driver.clone()]
        } else {
            vec![String::new(), String::new()]
        };
        row.extend(node_cells(node));
        row.push(if number == 0 {
            last.to_owned()
        } else {
            String::new()
        });
        rows.push(row);
    }
    rows
}

fn node_cells(node: &NodeRecord) -> Row {
    let cache = node
        .daemon
        .known()
        .and_then(|daemon| daemon.cache.known())
        .map_or_else(
            || "-".to_owned(),
            |cache| {
                format!(
                    "{} in {}",
                    bytes(cache.bytes),
                    counted(
                        usize::try_from(cache.records).unwrap_or(usize::MAX),
                        "record"
                    )
                )
            },
        );
    let building = node
        .daemon
        .known()
        .and_then(|daemon| daemon.active.known())
        .map_or(0, Vec::len);
    let status = match building {
        0 => node.status.clone(),
        _ => format!("{}, {}", node.status, counted(building, "build")),
    };
    let version = match &node.daemon {
        Fact::Known(daemon) => daemon.version.clone(),
        Fact::Unreadable { .. } => "-".to_owned(),
    };
    vec![node.name.to_string(), status, version, cache]
}

const RUNNING: [&str; 2] = ["NODE", "BUILD"];

fn running(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, _, _, node) in inventory.nodes() {
        let daemon = node.daemon.known();
        let active = daemon.and_then(|daemon| daemon.active.known());
        let builds = active.into_iter().flatten();
        rows.extend(builds.map(|build| vec![node.name.to_string(), build.told()]));
    }
    rows
}

const DAEMONS: [&str; 4] = ["KNOWN BY", "ADDRESS", "ROOT", "BUILDKIT"];

fn daemons(inventory: &Inventory) -> Vec<Row> {
    let all = inventory.standalone.iter();
    all.map(|standalone| {
        vec![
            standalone.known_by.join(", "),
            standalone.address.clone().unwrap_or_else(|| "-".to_owned()),
            standalone
                .root
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            version(&standalone.daemon),
        ]
    })
    .collect()
}

const CONTEXTS: [&str; 3] = ["CONTEXT", "ENDPOINT", "STATE"];

fn contexts(inventory: &Inventory) -> Vec<Row> {
    let all = inventory.contexts.iter();
    all.map(|context| {
        let name = format!(
            "{}{}",
            context.name,
            if context.current { " *" } else { "" }
        );
        match context.state.known() {
            Some(state) => {
                let usable = state
                    .unusable
                    .clone()
                    .unwrap_or_else(|| "usable".to_owned());
                vec![name, state.endpoint.clone(), usable]
            }
            None => vec![name, "-".to_owned(), "cannot be read".to_owned()],
        }
    })
    .collect()
}

const CACHES: [&str; 5] = ["CACHE", "KIND", "USED BY", "SIZE", "DISK FREE"];

fn caches(inventory: &Inventory) -> Vec<Row> {
    let all = inventory.caches.iter();
    all.map(|cache| {
        let kind = match cache.kind {
            PlaceKind::StateVolume => "state volume",
            PlaceKind::OrphanVolume => "orphan volume",
            PlaceKind::Embedded => "in the engine",
            PlaceKind::StandaloneRoot => "standalone root",
            PlaceKind::LocalExport => "local export",
        };
        let used_by = match cache.used_by.as_slice() {
            [] => "nobody".to_owned(),
            users => users.join(", "),
        };
        vec![
            cache.name.clone(),
            kind.to_owned(),
            used_by,
            size(&cache.size_bytes),
            size(&cache.free_bytes),
        ]
    })
    .collect()
}

fn size(size: &Fact<u64>) -> String {
    match size {
        Fact::Known(size) => bytes(*size),
        Fact::Unreadable { .. } => "?".to_owned(),
    }
}

const FILES: [&str; 3] = ["FILE", "SIZE", "STEERS OR VERDICT"];

fn files(inventory: &Inventory) -> Vec<Row> {
    let all = inventory.files.iter();
    all.map(|file| {
        let verdict = match &file.verdict {
            None => file.keys.join(", "),
            Some(ConfigVerdict::Accepted {}) => "taken by buildkitd".to_owned(),
            Some(ConfigVerdict::Ignored { keys }) => format!("not read: {}", keys.join(", ")),
            Some(ConfigVerdict::Refused {
                line,
                column,
                reason,
                ..
            }) => {
                format!("refused at {line}:{column}: {reason}")
            }
            Some(ConfigVerdict::Unreadable { reason }) => format!("cannot be read: {reason}"),
        };
        vec![
            file.file.path.to_string(),
            bytes(file.file.size_bytes),
            verdict,
        ]
    })
    .collect()
}

const UNREADABLE: [&str; 2] = ["WHAT", "WHY"];

fn unreadable(inventory: &Inventory) -> Vec<Row> {
    let row = |what: String, reason: Option<&str>| reason.map(|why| vec![what, why.to_owned()]);
    let hosts = inventory.hosts.iter();
    let engines = hosts
        .clone()
        .filter_map(|host| row(format!("engine {}", host.id), host.engine.reason()));
    let embedded = hosts.filter_map(|host| {
        let daemon = &host.engine.known()?.embedded;
        row(format!("BuildKit in {}", host.id), daemon.reason())
    });
    let contexts = inventory
        .contexts
        .iter()
        .filter_map(|context| row(format!("context {}", context.name), context.state.reason()));
    let stores = inventory.stores.iter();
    let records = stores
        .clone()
        .flat_map(|store| &store.builders)
        .filter_map(|builder| row(format!("builder {}", builder.name), builder.record.reason()));
    let parts = stores
        .flat_map(|store| &store.unreadable)
        .map(|(path, reason)| vec![path.to_string(), reason.clone()]);
    let nodes = inventory
        .nodes()
        .filter_map(|(_, _, _, node)| row(format!("node {}", node.name), node.daemon.reason()));
    let emulators = row("emulators".to_owned(), inventory.emulators.reason());
    engines
        .chain(embedded)
        .chain(contexts)
        .chain(records)
        .chain(parts)
        .chain(nodes)
        .chain(emulators)
        .collect()
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(width: usize, expected: &Expect) {
        let sample: Inventory = serde_json::from_str(include_str!("sample.json")).unwrap();
        let style = Style {
            colour: false,
            width,
            now: sample.taken,
        };
        expected.assert_eq(&inventory(&sample, &style));
    }

    #[test]
    fn on_a_wide_terminal() {
        check(
            120,
            &expect![[r#"
                Machine    linux/amd64, kernel 6.18.0, 8 processors, 31.2 GiB memory, user 1000
                Programs   docker 28.5.2, buildx v0.36.1
                In force   context default (from default), builder team (from current)
                Emulates   linux/arm64

                Engines
                  HOST                         ENGINE               IMAGE STORE        BUILDKIT  CONTAINERS  VOLUMES
                  unix:///var/run/docker.sock  28.5.2, linux/amd64  classic, overlay2  v0.25.1   0           0

                Builders
                  BUILDER  DRIVER            NODE   STATUS            BUILDKIT  CACHE                    LAST USE
                  team *   docker-container  team0  running, 1 build  v0.32.2   5.0 GiB in 1234 records  3 hours ago
                                             team1  stopped           -         -
                  ci       -                 -      cannot be read    -         -                        -

                Builds that run
                  NODE   BUILD
                  team0  build r (target .)

                Other daemons
                  KNOWN BY    ADDRESS                              ROOT               BUILDKIT
                  process 77  unix:///run/buildkit/buildkitd.sock  /var/lib/buildkit  v0.17.3

                Contexts
                  CONTEXT        ENDPOINT                                   STATE
                  default *      unix:///var/run/docker.sock                usable
                  desktop-linux  npipe:////./pipe/dockerDesktopLinuxEngine  protocol not available

                Caches
                  CACHE                        KIND           USED BY     SIZE     DISK FREE
                  buildx_buildkit_team0_state  state volume   team/team0  6.0 GiB  100 GiB
                  buildx_buildkit_old0_state   orphan volume  nobody      ?        100 GiB

                Files
                  FILE                          SIZE   STEERS OR VERDICT
                  /etc/buildkit/buildkitd.toml  812 B  refused at 2:19: invalid disk space `20 gigs`
                  /home/u/.docker/config.json   812 B  currentContext

                Could not be read
                  WHAT                             WHY
                  engine ssh://far                 timed out after 2 s
                  builder ci                       unexpected end of JSON input
                  /home/u/.docker/buildx/activity  permission denied
                  node team1                       not running
            "#]],
        );
    }

    #[test]
    fn on_a_narrow_terminal() {
        check(
            60,
            &expect![[r#"
                Machine    linux/amd64, kernel 6.18.0, 8 processors, 31.2 GiB memory, user 1000
                Programs   docker 28.5.2, buildx v0.36.1
                In force   context default (from default), builder team (from current)
                Emulates   linux/arm64

                Engines
                  HOST       ENGINE    IMAGE     BUILDKIT  CONTAINE  VOLUMES
                                       STORE               RS
                  unix:///v  28.5.2,   classic,  v0.25.1   0         0
                  ar/run/do  linux/am  overlay2
                  cker.sock  d64

                Builders
                  BUILDER  DRIVER   NODE   STATUS   BUILDKI  CACHE    LAST
                                                    T                 USE
                  team *   docker-  team0  running  v0.32.2  5.0 GiB  3
                           contain         , 1               in 1234  hours
                           er              build             records  ago
                                    team1  stopped  -        -
                  ci       -        -      cannot   -        -        -
                                           be read

                Builds that run
                  NODE   BUILD
                  team0  build r (target .)

                Other daemons
                  KNOWN BY    ADDRESS            ROOT               BUILDKIT
                  process 77  unix:///run/build  /var/lib/buildkit  v0.17.3
                              kit/buildkitd.soc
                              k

                Contexts
                  CONTEXT        ENDPOINT                       STATE
                  default *      unix:///var/run/docker.sock    usable
                  desktop-linux  npipe:////./pipe/dockerDeskto  protocol not
                                 pLinuxEngine                   available

                Caches
                  CACHE         KIND          USED BY     SIZE     DISK FREE
                  buildx_build  state volume  team/team0  6.0 GiB  100 GiB
                  kit_team0_st
                  ate
                  buildx_build  orphan        nobody      ?        100 GiB
                  kit_old0_sta  volume
                  te

                Files
                  FILE                       SIZE   STEERS OR VERDICT
                  /etc/buildkit/buildkitd.t  812 B  refused at 2:19: invalid
                  oml                               disk space `20 gigs`
                  /home/u/.docker/config.js  812 B  currentContext
                  on

                Could not be read
                  WHAT                          WHY
                  engine ssh://far              timed out after 2 s
                  builder ci                    unexpected end of JSON input
                  /home/u/.docker/buildx/activ  permission denied
                  ity
                  node team1                    not running
            "#]],
        );
    }
}
