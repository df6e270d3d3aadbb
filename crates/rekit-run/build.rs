//! Builds the archive's static helper with a nested cargo, so that rekit can carry it into containers.
//!
//! `+crt-static` is for the helper alone: set globally it breaks proc-macros, and `build.target` would move the program.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is no part of the program"
)]

use std::{env, path::PathBuf, process::Command};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let archive = manifest.join("../rekit-archive");
    for watched in ["src", "Cargo.toml"] {
        println!(
            "cargo::rerun-if-changed={}",
            archive.join(watched).display()
        );
    }
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").expect("cargo sets it");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("helper");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets it"))
        .args([
            "build",
            "--release",
            "--package",
            "rekit-archive",
            "--bin",
            "rekit-archive-helper",
            "--locked",
        ])
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        .arg("--manifest-path")
        .arg(archive.join("Cargo.toml"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "the archive's helper does not build: {status}"
    );
    let helper = folder.join(&target).join("release/rekit-archive-helper");
    println!("cargo::rustc-env=REKIT_ARCHIVE_HELPER={}", helper.display());
}
