//! Emulators that the kernel starts for foreign programs (`binfmt_misc`).

use std::path::PathBuf;

use rekit_core::{
    fact::Fact,
    inventory::Emulator,
    name::{HostPath, Platform},
};

use super::{Limits, together};
use crate::world::{environment::Surroundings, host};

/// The kernel's names of emulated architectures, and Docker's.
const PLATFORMS: &[(&str, &str)] = &[
    ("aarch64", "linux/arm64"),
    ("arm", "linux/arm/v7"),
    ("i386", "linux/386"),
    ("loongarch64", "linux/loong64"),
    ("mips64", "linux/mips64"),
    ("mips64el", "linux/mips64le"),
    ("ppc64le", "linux/ppc64le"),
    ("riscv64", "linux/riscv64"),
    ("s390x", "linux/s390x"),
    ("x86_64", "linux/amd64"),
];

/// Lists the kernel's emulators, without asking them for their versions.
pub(super) fn registered(surroundings: &Surroundings) -> Fact<Vec<Emulator>> {
    let folder = surroundings.system("/proc/sys/fs/binfmt_misc");
    let entries = match host::list(&folder, 1000) {
        Ok(entries) if entries.iter().any(|entry| entry.name == "status") => entries,
        Ok(_) => return unread("binfmt_misc is not mounted"),
        Err(error) if error.is_absent() => return unread("the kernel has no binfmt_misc"),
        Err(error) => return unread(&error.to_string()),
    };
    Fact::Known(
        entries
            .iter()
            .filter(|entry| entry.name != "status" && entry.name != "register")
            .filter_map(|entry| {
                let text = host::read_text(&entry.path).ok()?;
                Some(emulator(&entry.name, &text))
            })
            .collect(),
    )
}

/// Asks the emulators of known platforms for their versions, all at once.
pub(super) async fn with_versions(emulators: &mut Fact<Vec<Emulator>>, limits: Limits) {
    let Fact::Known(emulators) = emulators else {
        return;
    };
    let questions: Vec<_> = emulators
        .iter()
        .map(|emulator| {
            // A kernel may know dozens; builders use a few of them.
            let is_of_use = emulator.platform.is_some();
            let program = host::path_of(&emulator.interpreter);
            async move {
                if is_of_use {
                    version(program, limits).await
                } else {
                    unread("not asked: rekit knows no platform for it")
                }
            }
        })
        .collect();
    let versions = together::all(questions).await;
    for (emulator, version) in emulators.iter_mut().zip(versions) {
        emulator.version = version;
    }
}

/// Returns what an emulator says of its version: the first line's third word.
async fn version(program: PathBuf, limits: Limits) -> Fact<String> {
    // Debian registers a link whose name changes how the program reads its arguments.
    let Ok(program) = host::resolved(&program) else {
        return Fact::Unreadable {
            reason: "the program is not on this machine's file system; the kernel holds it open"
                .to_owned(),
        };
    };
    match host::run(&program, &["--version"], &[], limits.program).await {
        Ok(output) => {
            let line = output.stdout.lines().next().unwrap_or_default().to_owned();
            let version = line
                .split_once(" version ")
                .map(|(_, version)| version.to_owned());
            version.map_or_else(
                || Fact::Unreadable {
                    reason: "it says no version".to_owned(),
                },
                Fact::Known,
            )
        }
        Err(error) => Fact::from_result(Err(error)),
    }
}

/// Reads the kernel's entry of one emulator.
fn emulator(name: &str, text: &str) -> Emulator {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(str::trim)
            .unwrap_or_default()
    };
    let architecture = name.strip_prefix("qemu-").unwrap_or(name);
    Emulator {
        name: name.to_owned(),
        platform: PLATFORMS
            .iter()
            .find(|(kernel, _)| *kernel == architecture)
            .and_then(|(_, docker)| docker.parse::<Platform>().ok()),
        enabled: text.lines().any(|line| line.trim() == "enabled"),
        flags: value("flags:").to_owned(),
        interpreter: HostPath::from(value("interpreter ")),
        version: Fact::Unreadable {
            reason: "not asked".to_owned(),
        },
    }
}

fn unread<T>(reason: &str) -> Fact<T> {
    Fact::Unreadable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_2_the_kernels_entry_of_an_emulator_is_read() {
        let text = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\nmagic 7f\nmask ff\n";
        let emulator = emulator("qemu-aarch64", text);
        assert!(emulator.enabled);
        assert_eq!(emulator.flags, "POCF");
        assert_eq!(emulator.platform.unwrap().as_str(), "linux/arm64");
        assert_eq!(
            emulator.interpreter.as_str(),
            "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
        );
    }
}
