//! Archive + verify side by side with `tar --xattrs --xattrs-include='*' --sparse | zstd -T0 -3`, alternating, medians.
//!
//! ```text
//! cargo run --release -p rekit-archive --example bench -- [MEGABYTES] [FILES] [ROUNDS]
//! cargo run --release -p rekit-archive --example bench -- FOLDER [ROUNDS]
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a measurement for people"
)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rekit_archive::{
    ArchiveWriter, Consistency, Digest, MetadataOfArchive, PackOptions, UnpackOptions,
    buildkit_state_rules, open, unpack, verify,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let given = words.first().filter(|word| word.starts_with('/'));
    let number = |at: usize, default: u64| {
        let word = words.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or(default)
    };
    let (megabytes, files) = (number(0, 500), number(1, 10_000));
    let rounds = number(if given.is_some() { 1 } else { 2 }, 5);
    let scratch = std::path::PathBuf::from(format!("/var/tmp/rekit-bench-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let source = if let Some(folder) = given {
        folder.into()
    } else {
        let source = scratch.join("source");
        plant(&source, megabytes << 20, files)?;
        source
    };
    let outcome = compare(&source, &scratch, rounds);
    fs::remove_dir_all(&scratch)?;
    outcome
}

fn compare(source: &Path, scratch: &Path, rounds: u64) -> Outcome<()> {
    let (mut tar, mut packs, mut verifies, mut unpacks, mut again) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut sizes = (0, 0);
    for round in 0..=rounds {
        let begun = Instant::now();
        sizes.0 = tar_zstd(source, scratch)?;
        let tar_seconds = begun.elapsed().as_secs_f64();
        let home = scratch.join("archives");
        let (pack_seconds, path, size) = pack(source, &home, "one")?;
        sizes.1 = size;
        let begun = Instant::now();
        let archive = open(&path)?;
        verify(&archive, &mut |_| {})?;
        let verify_seconds = begun.elapsed().as_secs_f64();
        let (again_seconds, _, _) = pack(source, &home, "two")?;
        let begun = Instant::now();
        unpack(
            &archive,
            "state",
            &scratch.join("target"),
            &UnpackOptions::default(),
            &mut |_| {},
        )?;
        let unpack_seconds = begun.elapsed().as_secs_f64();
        fs::remove_dir_all(scratch.join("target"))?;
        fs::remove_dir_all(home)?;
        if round == 0 {
            continue; // Warms the page cache.
        }
        tar.push(tar_seconds);
        packs.push(pack_seconds);
        verifies.push(verify_seconds);
        unpacks.push(unpack_seconds);
        again.push(again_seconds);
    }
    let both: Vec<f64> = packs
        .iter()
        .zip(&verifies)
        .map(|(pack, verify)| pack + verify)
        .collect();
    let ratio = median(&both) / median(&tar);
    println!(
        "tar | zstd -T0 -3   {:.2} s, {} MiB",
        median(&tar),
        sizes.0 >> 20
    );
    println!(
        "pack                {:.2} s, {} MiB",
        median(&packs),
        sizes.1 >> 20
    );
    println!("verify              {:.2} s", median(&verifies));
    println!(
        "pack + verify       {:.2} s, ratio {ratio:.2}",
        median(&both)
    );
    println!("pack into a full pool {:.2} s", median(&again));
    println!("unpack              {:.2} s", median(&unpacks));
    println!("peak memory         {} MiB", peak()? >> 10);
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Packs and brings to the disk; returns the seconds, the archive, and its bytes.
fn pack(source: &Path, home: &Path, id: &str) -> Outcome<(f64, std::path::PathBuf, u64)> {
    let begun = Instant::now();
    let mut writer = ArchiveWriter::create(home, id)?;
    let mut options = PackOptions::with(buildkit_state_rules());
    if let Some(level) = std::env::var_os("LEVEL") {
        options.level = level.to_string_lossy().parse()?;
    }
    let size = writer
        .add_tree("state", source, &options, &mut |_| {})?
        .packed_bytes();
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    };
    let path = writer.finish(metadata)?.path;
    Ok((begun.elapsed().as_secs_f64(), path, size))
}

/// Does the same as people do it, and brings it to the disk as we do.
fn tar_zstd(source: &Path, scratch: &Path) -> Outcome<u64> {
    let out = scratch.join("plain.tar.zst");
    let script = format!(
        "set -o pipefail; tar --xattrs --xattrs-include='*' --sparse -C {0} -cf - . | zstd -q -T0 -3 -f -o {1} && sync -f {1}",
        source.display(),
        out.display(),
    );
    let status = Command::new("bash").args(["-c", &script]).status()?;
    if !status.success() {
        return Err("tar failed".into());
    }
    Ok(fs::metadata(&out)?.len())
}

fn peak() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("0")
        .parse()?)
}

/// A state of snapshots with files of a half random, half repeating content, and a quarter of the bytes as blobs.
fn plant(root: &Path, bytes: u64, files: u64) -> Outcome<()> {
    let worker = root.join("runc-overlayfs");
    let blobs = worker.join("content/blobs/sha256");
    fs::create_dir_all(&blobs)?;
    fs::write(root.join("cache.db"), vec![7; 1 << 20])?;
    let size = (bytes * 3 / 4 / files).max(16) as usize;
    let mut seed = 1_u64;
    for file in 0..files {
        let directory = worker.join(format!(
            "snapshots/snapshots/{}/fs/usr/{}",
            file / 200,
            file / 20 % 10
        ));
        if file % 20 == 0 {
            fs::create_dir_all(&directory)?;
        }
        // From a tenth to twice the mean.
        let length = size / 10 + (file as usize * 7919) % (size * 19 / 10).max(1);
        fs::write(
            directory.join(format!("file{file}")),
            content(length, &mut seed),
        )?;
    }
    let mut left = bytes / 4;
    while left > 0 {
        let length = left.min(8 << 20);
        let blob = content(length as usize, &mut seed);
        fs::write(blobs.join(Digest::of(&blob).to_string()), &blob)?;
        left -= length;
    }
    Ok(())
}

/// Words drawn from a small set, with random bytes between: compresses to about a half, as binaries and text do.
fn content(length: usize, seed: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = (*seed >> 16).to_le_bytes();
        bytes.extend_from_slice(&random[..6]);
        let word = (*seed >> 40) % 2000;
        bytes.extend_from_slice(format!("fn word_{word}(a: usize)").as_bytes());
    }
    bytes.truncate(length);
    bytes
}
