//! The archive side by side with `tar --xattrs --xattrs-include='*' --sparse | zstd -T0 -3`, restic and borg: all in turn in each round, medians.
//!
//! ```text
//! cargo run --release -p rekit-archive --example bench -- [MEGABYTES] [FILES] [ROUNDS]
//! cargo run --release -p rekit-archive --example bench -- FOLDER [ROUNDS]
//! cargo run --release -p rekit-archive --example bench -- restore [MEGABYTES] [FILES] [ROUNDS]   unpack and restic restore alone
//! cargo run --release -p rekit-archive --example bench -- memory [FILES]                         the peak of each step on empty files
//! ```
//! `SCRATCH` names the folder in which all of it happens, `/var/tmp` if it is not set. With `REMOVE`, `restore` removes after each round what was
//! restored, and so measures what a restore beside removed files costs; see `unpack_both`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a measurement for people"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rekit_archive::{
    Archive, ArchiveWriter, Consistency, Digest, MetadataOfArchive, PackOptions, UnpackOptions,
    buildkit_state_rules, open, unpack, verify,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let part = words
        .first()
        .filter(|word| ["restore", "memory"].contains(&&word[..]));
    let part = part.cloned();
    if part.is_some() {
        words.remove(0);
    }
    let given = words.first().filter(|word| word.starts_with('/'));
    let number = |at: usize, default: u64| {
        let word = words.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or(default)
    };
    let (megabytes, files) = (number(0, 500), number(1, 10_000));
    let rounds = number(if given.is_some() { 1 } else { 2 }, 5);
    let place = std::env::var_os("SCRATCH").unwrap_or_else(|| "/var/tmp".into());
    let scratch = Path::new(&place).join(format!("rekit-bench-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let source = scratch.join("source");
    if part.as_deref() == Some("memory") {
        plant_empty(&source, number(0, 1_000_000))?;
    } else if let Some(folder) = given {
        // A copy: a part of it is written to.
        shell(&format!("cp -a {folder} {}", source.display()))?;
    } else {
        plant(&source, megabytes << 20, files)?;
    }
    let outcome = match part.as_deref() {
        Some("restore") => restore(&source, &scratch, rounds),
        Some(_) => memory(&source, &scratch),
        None => compare(&source, &scratch, rounds),
    };
    fs::remove_dir_all(&scratch)?;
    outcome
}

/// Seconds of each round, by what was done.
#[derive(Debug, Default)]
struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Times {
    fn clock<T>(&mut self, what: &'static str, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let begun = Instant::now();
        let done = act()?;
        self.add(what, begun.elapsed());
        Ok(done)
    }

    fn add(&mut self, what: &'static str, time: Duration) {
        self.0.entry(what).or_default().push(time.as_secs_f64());
    }

    fn median(&self, what: &str) -> f64 {
        median(self.0.get(what).map_or(&[], |values| &values[..]))
    }

    /// Prints what we take beside what others take, and the ratio with what is promised.
    fn compare(&self, ours: &[&str], theirs: &str, promised: f64) {
        let own: f64 = ours.iter().map(|what| self.median(what)).sum();
        let other = self.median(theirs);
        let what = ours.join(" + ");
        println!(
            "{what} {own:.2} s, {theirs} {other:.2} s: ratio {:.2} (promised: at most {promised})",
            own / other
        );
    }
}

/// Packed bytes.
#[derive(Clone, Copy, Default)]
struct Sizes {
    ours: u64,
    tar: u64,
    restic: u64,
}

/// Runs all of them in turn in each round, so that what else the machine does falls on all alike.
fn compare(source: &Path, scratch: &Path, rounds: u64) -> Outcome<()> {
    let mut times = Times::default();
    let (mut sizes, mut again) = (Sizes::default(), (0, 0));
    for round in 0..=rounds {
        if round == 1 {
            times = Times::default(); // The first round warmed the page cache.
        }
        sizes.tar = times.clock("tar | zstd", || tar_zstd(source, scratch))?;
        let home = scratch.join("archives");
        let (path, size) = times.clock("pack", || pack(source, &home, "one"))?;
        sizes.ours = size;
        let archive = open(&path)?;
        times.clock("verify", || Ok(verify(&archive, &mut |_| {})?))?;
        unpack_both(&archive, scratch, &mut times)?;
        let before = bytes_below(&home)?;
        change_some(source, round)?;
        let (path, _) = times.clock("second pack", || pack(source, &home, "two"))?;
        again = (before, bytes_below(&home)? - before);
        times.clock("second verify", || Ok(verify(&open(&path)?, &mut |_| {})?))?;
        fs::remove_dir_all(home)?;
        sizes.restic = restic(source, scratch, &mut times)?;
        borg(source, scratch, &mut times)?;
    }
    report(&times, sizes, again)
}

/// Unpacks with and without a sync at the end.
///
/// What is restored stays until all is measured: for five minutes ext4 passes over each inode that was removed, one by one, and so a
/// file made beside removed ones takes ten times as long, whoever makes it.
fn unpack_both(archive: &Archive, scratch: &Path, times: &mut Times) -> Outcome<()> {
    for (what, durable) in [("unpack", true), ("unpack without sync", false)] {
        let target = fresh(scratch)?;
        let options = UnpackOptions {
            durable,
            ..UnpackOptions::default()
        };
        quiet()?;
        times.clock(what, || {
            Ok(unpack(archive, "state", &target, &options, &mut |_| {})?)
        })?;
    }
    Ok(())
}

/// Returns a folder in which nothing was restored yet.
fn fresh(scratch: &Path) -> Outcome<PathBuf> {
    let restored = scratch.join("restored");
    fs::create_dir_all(&restored)?;
    let number = fs::read_dir(&restored)?.count();
    Ok(restored.join(number.to_string()))
}

/// Waits for what was written before, so that nobody pays for another one's bytes.
fn quiet() -> Outcome<()> {
    shell("sync")
}

/// Compares what brings a state back, and nothing else.
fn restore(source: &Path, scratch: &Path, rounds: u64) -> Outcome<()> {
    let mut times = Times::default();
    let (path, _) = pack(source, &scratch.join("archives"), "one")?;
    let archive = open(&path)?;
    let repository = Restic::backup(source, scratch, &mut times)?;
    for round in 0..=rounds {
        if round == 1 {
            times = Times::default(); // The first round warmed the page cache.
        }
        unpack_both(&archive, scratch, &mut times)?;
        repository.restore(&mut times)?;
        if std::env::var_os("REMOVE").is_some() {
            fs::remove_dir_all(scratch.join("restored"))?;
        }
    }
    times.compare(&["unpack"], "restic restore", 0.6);
    times.compare(&["unpack without sync"], "restic restore without sync", 0.6);
    println!("{times:?}");
    Ok(())
}

/// Prints the peak of memory of each step.
fn memory(source: &Path, scratch: &Path) -> Outcome<()> {
    let mut times = Times::default();
    let forget = || fs::write("/proc/self/clear_refs", "5");
    let told = |what: &str, times: &Times| -> Outcome<()> {
        let (seconds, peak) = (times.median(what), peak()? >> 10);
        println!("{what}: {seconds:.1} s, peak {peak} MiB (promised: at most 100 MB)");
        Ok(())
    };
    forget()?;
    let packed = times.clock("pack", || pack(source, &scratch.join("archives"), "one"))?;
    told("pack", &times)?;
    forget()?;
    let archive = open(&packed.0)?;
    times.clock("verify", || Ok(verify(&archive, &mut |_| {})?))?;
    told("verify", &times)?;
    forget()?;
    let options = UnpackOptions::default();
    let target = scratch.join("target");
    times.clock("unpack", || {
        Ok(unpack(&archive, "state", &target, &options, &mut |_| {})?)
    })?;
    told("unpack", &times)?;
    println!("{} entries", archive.manifest().trees[0].counts.files);
    Ok(())
}

/// Empty files, a thousand in a directory.
fn plant_empty(root: &Path, files: u64) -> Outcome<()> {
    for file in 0..files {
        let folder = root.join((file / 1000).to_string());
        if file % 1000 == 0 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(file.to_string()), "")?;
    }
    Ok(())
}

/// Prints what was measured: the bytes that rekit, tar and restic took, and those of the first archive and of the second beside it.
fn report(times: &Times, sizes: Sizes, again: (u64, u64)) -> Outcome<()> {
    let mebi = |bytes: u64| bytes >> 20;
    println!(
        "packed: rekit {} MiB, tar | zstd -T0 -3 {} MiB, restic {} MiB",
        mebi(sizes.ours),
        mebi(sizes.tar),
        mebi(sizes.restic)
    );
    times.compare(&["pack", "verify"], "tar | zstd", 1.0);
    times.compare(&["pack", "verify"], "restic backup + check", 0.4);
    times.compare(&["pack", "verify"], "borg create + check", 0.4);
    times.compare(&["unpack"], "restic restore", 0.6);
    times.compare(&["unpack without sync"], "restic restore without sync", 0.6);
    times.compare(&["second pack"], "pack", 0.3);
    println!(
        "the second archive, a twentieth changed: {} of {} MiB more",
        mebi(again.1),
        mebi(again.0)
    );
    println!(
        "pack {:.2} s, verify {:.2} s, second verify {:.2} s, unpack {:.2} s ({:.2} s of it before the sync)",
        times.median("pack"),
        times.median("verify"),
        times.median("second verify"),
        times.median("unpack"),
        times.median("unpack without sync")
    );
    println!(
        "peak memory {} MiB (promised: at most 100 MB)",
        peak()? >> 10
    );
    Ok(())
}

/// Writes to a twentieth of the snapshots.
fn change_some(source: &Path, round: u64) -> Outcome<()> {
    let snapshots = source.join("runc-overlayfs/snapshots/snapshots");
    let mut folders: Vec<_> = fs::read_dir(snapshots)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    for folder in folders.iter().step_by(20) {
        fs::write(folder.join("fs/changed"), round.to_string())?;
    }
    // Times are rounded: what was written just now might change again without a trace.
    thread::sleep(Duration::from_millis(50));
    Ok(())
}

fn restic(source: &Path, scratch: &Path, times: &mut Times) -> Outcome<u64> {
    let restic = Restic::backup(source, scratch, times)?;
    restic.restore(times)?;
    let bytes = bytes_below(&restic.repository)?;
    for folder in [restic.repository, scratch.join("cache")] {
        fs::remove_dir_all(folder)?;
    }
    Ok(bytes)
}

/// A repository of restic with one backup.
struct Restic {
    scratch: PathBuf,
    repository: PathBuf,
}

impl Restic {
    fn backup(source: &Path, scratch: &Path, times: &mut Times) -> Outcome<Self> {
        let restic = Self {
            scratch: scratch.to_owned(),
            repository: scratch.join("restic"),
        };
        restic.run("init")?;
        times.clock("restic backup + check", || {
            restic.run(&format!("backup {}", source.display()))?;
            restic.run("check --read-data")
        })?;
        Ok(restic)
    }

    /// Restores, and brings it to the disk, as we do; restic itself does not.
    fn restore(&self, times: &mut Times) -> Outcome<()> {
        let target = fresh(&self.scratch)?;
        let to = target.display();
        quiet()?;
        let begun = Instant::now();
        self.run(&format!("restore latest --target {to}"))?;
        times.add("restic restore without sync", begun.elapsed());
        shell(&format!("sync -f {to}"))?;
        times.add("restic restore", begun.elapsed());
        Ok(())
    }

    fn run(&self, arguments: &str) -> Outcome<()> {
        shell(&format!(
            "export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR={}/cache; restic -q -r {} {arguments}",
            self.scratch.display(),
            self.repository.display()
        ))
    }
}

fn borg(source: &Path, scratch: &Path, times: &mut Times) -> Outcome<()> {
    let repository = scratch.join("borg");
    let run = |arguments: &str| -> Outcome<()> {
        let script = format!(
            "export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR={}; borg {arguments}",
            scratch.display()
        );
        shell(&script)
    };
    let (from, to) = (source.display(), repository.display());
    run(&format!("init -e none {to}"))?;
    times.clock("borg create + check", || {
        run(&format!("create {to}::one {from}"))?;
        run(&format!("check --verify-data {to}"))
    })?;
    fs::remove_dir_all(repository)?;
    Ok(())
}

fn shell(script: &str) -> Outcome<()> {
    let script = format!("set -euo pipefail; {script} > /dev/null");
    let status = Command::new("bash").args(["-c", &script]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("failed: {script}").into())
    }
}

/// Returns the bytes of all files, each once whatever its names.
fn bytes_below(folder: &Path) -> Outcome<u64> {
    let output = Command::new("du").args(["-sB1"]).arg(folder).output()?;
    let text = String::from_utf8(output.stdout)?;
    let bytes = text.split_whitespace().next().unwrap_or_default();
    Ok(bytes.parse()?)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Packs and brings to the disk; returns the archive and its bytes.
fn pack(source: &Path, home: &Path, id: &str) -> Outcome<(PathBuf, u64)> {
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
    Ok((writer.finish(metadata)?.path, size))
}

/// Does the same as people do it, and brings it to the disk as we do.
fn tar_zstd(source: &Path, scratch: &Path) -> Outcome<u64> {
    let out = scratch.join("plain.tar.zst");
    shell(&format!(
        "tar --xattrs --xattrs-include='*' --sparse -C {0} -cf - . | zstd -q -T0 -3 -f -o {1}; sync -f {1}",
        source.display(),
        out.display(),
    ))?;
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
