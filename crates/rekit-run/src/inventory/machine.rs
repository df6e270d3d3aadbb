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

/// Returns Docker's word for an architecture, from the kernel's or Rust's.
pub(super) fn docker_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        "x86" | "i386" | "i486" | "i586" | "i686" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other if other.starts_with("arm") => "arm",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_2_architectures_have_dockers_names() {
        for (kernel, docker) in [
            ("x86_64", "amd64"),
            ("aarch64", "arm64"),
            ("armv7l", "arm"),
            ("armv6l", "arm"),
            ("i686", "386"),
            ("s390x", "s390x"),
            ("riscv64", "riscv64"),
            ("ppc64le", "ppc64le"),
        ] {
            assert_eq!(docker_architecture(kernel), docker);
        }
    }
}
