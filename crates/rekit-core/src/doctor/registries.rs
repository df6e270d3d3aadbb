//! RK7: what an engine or a client knows of registries, proxies and passwords, and a builder does not.

use std::collections::BTreeMap;

use super::{
    case::{Case, quoted},
    check::Check,
    known::{Known, Node},
    remedy::{Change, Remedy},
};
use crate::{
    finding::Severity,
    inventory::{ConfigFile, ConfigKind, CredentialHelper, Engine, EngineRegistry, NodeRegistry},
    mask::MASK,
    step::JsonEdit,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK701",
        title: "a builder lacks the engine's registry settings",
        severity: Severity::Warning,
        explain: "Builders in containers read their own buildkitd.toml alone; daemon.json never reaches them. Mirrors are not used, and \
            a registry without TLS fails with `server gave HTTP response to HTTPS client`. The name of a registry must be the same to \
            the port.",
        find: not_inherited,
    },
    Check {
        code: "RK702",
        title: "a builder lacks the certificates of a registry",
        severity: Severity::Warning,
        explain: "The engine finds the authority of a registry in certs.d; a builder in a container does not look there: `x509: \
            certificate signed by unknown authority`. `ca` in its buildkitd.toml names the file, which buildx copies into the container \
            when it makes it.",
        find: no_authority,
    },
    Check {
        code: "RK703",
        title: "a builder does not use the machine's proxy",
        severity: Severity::Warning,
        explain: "Three programs need the proxy, each by a setting of its own: the client for tokens (its environment), the daemon for \
            images and sources (the builder's `env.` options), and RUN (`proxies` of config.json). Where only some have it, images \
            time out while RUN works, or the other way round.",
        find: proxy,
    },
    Check {
        code: "RK704",
        title: "a program that keeps passwords is missing",
        severity: Severity::Error,
        explain: "config.json names it, often since a Docker Desktop that is gone. As soon as a registry asks for a password or a token \
            every build fails with `error getting credentials`, those of public images too; builds that ask nobody pass.",
        find: helper_missing,
    },
];

/// Returns the nodes that live in containers with what their records' buildkitd.toml says of registries, and their engines.
fn nodes<'a>(known: &Known<'a>) -> Vec<(Node<'a>, &'a [NodeRegistry], &'a Engine)> {
    let nodes = known.nodes().filter(Node::in_container);
    nodes
        .filter_map(|node| {
            let config = node.facts.config.as_ref();
            let registries = config.map_or(&[][..], |config| &config.registries);
            Some((node, registries, known.engine(node)?))
        })
        .collect()
}

fn about(node: Node<'_>) -> Case {
    Case::of("builder", &node.builder.name).store(&node.store.path)
}

fn not_inherited(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (node, own, engine) in nodes(known) {
        let said = |name: &str| own.iter().find(|own| own.name.eq_ignore_ascii_case(name));
        let (mut missing, mut change) = (Vec::new(), Some(Change::default()));
        for registry in &engine.registries {
            let own = said(&registry.name);
            if registry.mirrors > 0 && !own.is_some_and(|own| own.mirrored) {
                missing.push(format!("mirrors of `{}`", registry.name));
                change = change.and_then(|change| with_mirrors(change, registry));
            }
            if registry.insecure && !own.is_some_and(|own| own.insecure) {
                missing.push(format!("`{}` without checked TLS", registry.name));
                change = change.map(|change| with_insecure(change, &registry.name));
            }
        }
        if missing.is_empty() {
            continue;
        }
        let missing = missing.join(", ");
        cases.push(
            about(node)
                .cause(format!(
                    "The engine was told of {missing}; node `{}` was not.",
                    node.facts.name
                ))
                .seen(format!("engine {}: {missing}", engine.version))
                .seen(format!("{}: no such section `[registry.…]` in its buildkitd.toml", node.builder.file.path))
                .with_consent(
                    change.map(|change| Remedy::Renew(node.owner(), change)),
                    "write the same into the builder's buildkitd.toml, and make its container anew with its cache kept",
                ),
        );
    }
    cases
}

/// Lets new nodes ask a registry's mirrors first; `None`: an address holds a password, and is for a person to write.
fn with_mirrors(mut change: Change, registry: &EngineRegistry) -> Option<Change> {
    let addresses = &registry.mirror_addresses;
    if u32::try_from(addresses.len()) != Ok(registry.mirrors) {
        return None;
    }
    for address in addresses {
        let (scheme, host) = address.split_once("://").unwrap_or(("https", address));
        let host = host.trim_end_matches('/').to_owned();
        if scheme == "http" {
            // Only the section of the mirror itself can say so.
            let name = host.split('/').next().unwrap_or_default();
            change = with_insecure(change, name);
        }
        let settings = change.registries.entry(registry.name.clone()).or_default();
        settings.mirrors.push(host);
    }
    Some(change)
}

/// Lets new nodes speak to a registry without TLS, or without checking it.
fn with_insecure(mut change: Change, name: &str) -> Change {
    let settings = change.registries.entry(name.to_owned()).or_default();
    settings.insecure = true;
    change
}

fn no_authority(known: &Known<'_>) -> Vec<Case> {
    let kept = &known.inventory.registry_authorities;
    let mut cases = Vec::new();
    for (node, own, _) in nodes(known) {
        // Certificates lie on this machine: engines elsewhere have their own.
        let is_here = node
            .facts
            .host
            .as_ref()
            .is_some_and(|host| host.as_str().starts_with("unix:"));
        let has = |name: &str| {
            let own = own.iter().find(|own| own.name.eq_ignore_ascii_case(name));
            own.is_some_and(|own| own.authorities || own.insecure)
        };
        let missing: Vec<_> = kept.iter().filter(|(name, _)| !has(name)).collect();
        if !is_here || missing.is_empty() {
            continue;
        }
        let list: Vec<String> = missing
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let files: Vec<String> = missing
            .iter()
            .flat_map(|(_, files)| files.iter().map(ToString::to_string))
            .collect();
        let mut change = Change::default();
        for (name, files) in missing {
            let settings = change.registries.entry(name.clone()).or_default();
            settings.authorities.clone_from(files);
        }
        cases.push(
            about(node)
                .cause(format!(
                    "This machine keeps certificates of authorities for {}; node `{}` was not told of them.",
                    list.join(", "),
                    node.facts.name
                ))
                .seen(format!("for the engine: {}", files.join(", ")))
                .seen(format!("{}: no `ca` for them in its buildkitd.toml", node.builder.file.path))
                .with_consent(
                    Remedy::Renew(node.owner(), change),
                    "name copies of the files as `ca` in the builder's buildkitd.toml, and make its container anew with its cache kept",
                ),
        );
    }
    cases
}

/// A place that says through which proxies to go.
struct Source {
    /// The place, in words.
    place: String,
    /// The proxies by variable, where they are known.
    proxies: BTreeMap<String, String>,
}

impl Source {
    /// Returns the builder's options for the same proxies; `None`: one holds a password, which is for a person to write, or leads to the
    /// machine itself, where no container gets by that name.
    fn options(&self) -> Option<BTreeMap<String, String>> {
        let is_loopback = |address: &str| {
            let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
            ["localhost", "127.", "[::1]", "::1"]
                .iter()
                .any(|name| rest.starts_with(name))
        };
        let mut options = BTreeMap::new();
        for (variable, address) in &self.proxies {
            let leads = variable != "no_proxy";
            if address.contains(MASK) || address.contains('@') || (leads && is_loopback(address)) {
                return None;
            }
            options.insert(format!("env.{variable}"), address.clone());
        }
        let has = |name: &str| options.contains_key(name);
        (has("env.http_proxy") || has("env.https_proxy")).then_some(options)
    }
}

/// Says where a proxy is set that pulls images over the network, other than in the builder; the engine's first, as a builder does its work.
fn proxy_sources(known: &Known<'_>, engine: &Engine) -> Vec<Source> {
    let mut sources = Vec::new();
    if engine.proxies.keys().any(|name| name != "no_proxy") {
        let names: Vec<&str> = engine.proxies.keys().map(String::as_str).collect();
        sources.push(Source {
            place: format!("engine {}: {}", engine.version, names.join(", ")),
            proxies: engine.proxies.clone(),
        });
    }
    let variable = |name: &str| {
        let value = known.variable(&name.to_ascii_uppercase());
        value.or_else(|| known.variable(name)).map(str::to_owned)
    };
    let names = ["http_proxy", "https_proxy", "no_proxy"];
    let own: BTreeMap<_, _> = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), variable(name)?)))
        .collect();
    if let Some(name) = own.keys().find(|name| *name != "no_proxy") {
        sources.push(Source {
            place: format!("environment: {name} is set"),
            proxies: own,
        });
    }
    let clients = known.inventory.files.iter().filter(|file| {
        file.kind == ConfigKind::Cli && file.keys.iter().any(|key| key == "proxies")
    });
    sources.extend(clients.map(|file| Source {
        place: format!("{}: proxies for RUN", file.file.path),
        proxies: known.inventory.client_proxies.clone(),
    }));
    sources
}

fn proxy(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (node, _, engine) in nodes(known) {
        let sources = proxy_sources(known, engine);
        let options = node
            .facts
            .driver_opts
            .keys()
            .filter_map(|option| option.strip_prefix("env."));
        let mut set: Vec<String> = options.map(str::to_ascii_lowercase).collect();
        let container = known.container(node);
        set.extend(
            container
                .iter()
                .flat_map(|container| &container.proxies)
                .map(|name| name.to_ascii_lowercase()),
        );
        let has = set
            .iter()
            .any(|name| matches!(name.as_str(), "http_proxy" | "https_proxy" | "all_proxy"));
        if sources.is_empty() || has {
            continue;
        }
        let case = about(node).cause(format!(
            "A proxy is set on this machine, the daemon of node `{}` has none: it goes to registries directly.",
            node.facts.name
        ));
        let options = sources.first().and_then(Source::options);
        let remedy = options.map(|options| {
            let change = Change {
                options,
                ..Change::default()
            };
            Remedy::Renew(node.owner(), change)
        });
        let case = sources
            .iter()
            .fold(case, |case, source| case.seen(&source.place));
        cases.push(
            case.seen(format!("node `{}`: no proxy among its `env.` options or in its container", node.facts.name))
                .with_consent(remedy, "make its container anew with the proxy, its cache kept; name local registries in no_proxy")
                .run("docker buildx create … --driver-opt env.https_proxy=… --driver-opt '\"env.no_proxy=a,b\"'"),
        );
    }
    cases
}

/// Takes the key out of config.json that names the helper of all registries; which of them have helpers of their own is not looked at.
fn forgotten(helper: &CredentialHelper, file: Option<&ConfigFile>) -> Option<Remedy> {
    let path = file?.file.path.clone();
    (helper.key == "credsStore").then(|| Remedy::EditJson {
        path,
        edit: JsonEdit::removal(&[&helper.key]),
        why: "it names a program that is not there; other logins stay",
    })
}

fn helper_missing(known: &Known<'_>) -> Vec<Case> {
    let helpers = known.inventory.credential_helpers.iter();
    let file = known
        .inventory
        .files
        .iter()
        .find(|file| file.kind == ConfigKind::Cli);
    let path = file.map_or("config.json".to_owned(), |file| file.file.path.to_string());
    helpers
        .filter(|helper| helper.program.is_none())
        .map(|helper| {
            let program = format!("docker-credential-{}", helper.name);
            Case::of("file", &path)
                .cause(format!(
                    "`{}` names the program `{program}`, which is not on the search path: registries that ask for a login cannot be used.",
                    helper.key
                ))
                .seen(format!("{path}: {}, `{}`", helper.key, helper.name))
                .seen(format!("no `{}` in any folder of PATH", quoted(&program)))
                .with_consent(
                    forgotten(helper, file),
                    "install the program, or keep a copy of config.json and drop this one key; other logins stay",
                )
        })
        .collect()
}
