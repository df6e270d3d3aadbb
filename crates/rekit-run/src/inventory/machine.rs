//! The machine and the account that looks.

use rekit_core::inventory::Machine;

use crate::world::{environment::Surroundings, host};

/// Describes this machine; what cannot be read is empty or 0.
pub(super) fn machine(surroundings: &Surroundings) -> Machine {
    let kernel = host::read_text(&surroundings.system("/proc/sys/kernel/osrelease"))
        .map(|release| release.trim().to_owned())
        .unwrap_or_default();
    let memory = host::read_text(&surroundings.system("/proc/meminfo")).unwrap_or_default();
    Machine {
        os: std::env::consts::OS.to_owned(),
        architecture: docker_architecture(std::env::consts::ARCH).to_owned(),
        wsl: kernel.to_ascii_lowercase().contains("microsoft"),
        kernel,
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory_total(&memory),
        user: surroundings.user(),
        home: host::host_path(surroundings.home()),
        rekit_home: host::host_path(&surroundings.rekit_home()),
    }
}

/// Returns the bytes of memory that `/proc/meminfo` names.
fn memory_total(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes * 1024)
}

/// Returns Docker's word for an architecture.
fn docker_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}
