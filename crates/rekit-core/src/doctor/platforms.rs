//! RK5: platforms that are promised, and the emulators that keep the promise.

use super::{
    case::Case,
    check::Check,
    known::{Known, Node},
};
use crate::{finding::Severity, inventory::Emulator, name::Platform};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK501",
        title: "a builder promises a platform that it cannot run",
        severity: Severity::Warning,
        explain: "The record claims the platform, so buildx sends such builds there, but neither the machine nor an emulator runs \
            it: `exec format error`. Registrations of emulators are kernel state and are gone after a reboot, `wsl --shutdown`, \
            or a restart of Desktop.",
        find: lost,
    },
    Check {
        code: "RK502",
        title: "an emulator does not work inside containers",
        severity: Severity::Warning,
        explain: "Without the flag F the kernel looks for the emulator inside the container, where it is not. Distribution \
            packages may register without it.",
        find: without_flag,
    },
    Check {
        code: "RK503",
        title: "an emulator is turned off",
        severity: Severity::Warning,
        explain: "It is registered with the kernel but disabled, so its platform cannot run.",
        find: disabled,
    },
];

const INSTALL: &str = "docker run --privileged --rm tonistiigi/binfmt --install all";

fn emulators<'a>(known: &Known<'a>) -> &'a [Emulator] {
    known.inventory.emulators.known().map_or(&[], Vec::as_slice)
}

/// Returns whether two platforms are the same machine, whatever the variant.
fn same_machine(one: &Platform, other: &Platform) -> bool {
    let key = |platform: &Platform| {
        let mut parts = platform.as_str().split('/').map(str::to_owned);
        (parts.next(), parts.next())
    };
    key(one) == key(other)
}

/// Returns whether an engine of this architecture runs the platform by itself.
fn is_native(platform: &Platform, os: &str, architecture: &str) -> bool {
    let mut parts = platform.as_str().split('/');
    let same_os = parts.next() == Some(os);
    let wanted = parts.next().unwrap_or_default();
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    same_os
        && (wanted == architecture
            || matches!((architecture, wanted), ("amd64", "386") | ("arm64", "arm")))
}

/// Returns whether the node can run the platform; `None`: nobody knows.
fn runs(known: &Known<'_>, node: Node<'_>, platform: &Platform) -> Option<bool> {
    if let Some(daemon) = node.facts.daemon.known() {
        let mut all = daemon
            .workers
            .iter()
            .flat_map(|worker| &worker.platforms)
            .peekable();
        all.peek()?;
        return Some(all.any(|other| same_machine(other, platform)));
    }
    let engine = known.engine(node)?;
    if is_native(platform, &engine.os, &engine.architecture) {
        return Some(true);
    }
    // Emulators were looked up on this machine only.
    node.facts
        .host
        .as_ref()
        .filter(|host| host.as_str().starts_with("unix:"))?;
    known.inventory.emulators.known()?;
    let helps = |emulator: &Emulator| {
        emulator.enabled
            && emulator
                .platform
                .as_ref()
                .is_some_and(|other| same_machine(other, platform))
    };
    Some(emulators(known).iter().any(helps))
}

fn lost(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for node in known.nodes() {
        let missing: Vec<&Platform> = node
            .facts
            .platforms
            .iter()
            .filter(|platform| runs(known, node, platform) == Some(false))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let list: Vec<String> = missing
            .iter()
            .map(|platform| format!("`{platform}`"))
            .collect();
        cases.push(
            Case::of("node", &node.facts.name)
                .store(&node.store.path)
                .cause(format!(
                    "Builder `{}` promises {}, which nothing on this node can run.",
                    node.builder.name,
                    list.join(", ")
                ))
                .seen(format!(
                    "{}: Platforms of node `{}`",
                    node.builder.file.path, node.facts.name
                ))
                .seen("not among the platforms of its daemon or the kernel's emulators")
                .by_hand("register the emulators again, then restart the builder")
                .run(INSTALL),
        );
    }
    cases
}

fn about(emulator: &Emulator, platform: &Platform) -> Case {
    Case::of("emulator", &emulator.name).seen(format!(
        "/proc/sys/fs/binfmt_misc/{}: {platform}, flags `{}`, interpreter {}",
        emulator.name, emulator.flags, emulator.interpreter
    ))
}

fn without_flag(known: &Known<'_>) -> Vec<Case> {
    let all = emulators(known).iter();
    all.filter(|emulator| emulator.enabled && !emulator.flags.contains('F'))
        .filter_map(|emulator| {
            let platform = emulator.platform.as_ref()?;
            Some(
                about(emulator, platform)
                    .cause(format!("The emulator for {platform} is registered without the flag F, so containers cannot use it."))
                    .by_hand("register it again with the flag F")
                    .run(INSTALL),
            )
        })
        .collect()
}

fn disabled(known: &Known<'_>) -> Vec<Case> {
    let all = emulators(known).iter();
    all.filter(|emulator| !emulator.enabled)
        .filter_map(|emulator| {
            let platform = emulator.platform.as_ref()?;
            Some(
                about(emulator, platform)
                    .cause(format!("The emulator for {platform} is turned off."))
                    .by_hand("turn it on")
                    .run(format!(
                        "echo 1 | sudo tee /proc/sys/fs/binfmt_misc/{}",
                        emulator.name
                    )),
            )
        })
        .collect()
}
