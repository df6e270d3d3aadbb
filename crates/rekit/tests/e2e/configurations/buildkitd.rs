//! buildkitd.toml against each pinned buildkitd.

use super::{Answer, Question, Tally, real, toml, wanted};
use crate::support::{Dice, set_by};
use rekit_core::{
    config::{Release, gc_rules, judge_buildkitd_as},
    inventory::ConfigVerdict,
};
use rekit_lab::{Lab, LabOptions, versions};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[test]
fn verdicts_on_buildkitd_toml_are_those_of_real_daemons() {
    let began = Instant::now();
    let lab = Lab::up(LabOptions::default()).unwrap();
    let count = wanted(12);
    let mut dice = Dice::new(set_by("SEED", 24301));
    let mut questions: Vec<Question> = (0..count).map(|_| toml::question(&mut dice)).collect();
    let real = real::buildkitd();
    let every = if count > real.len() { 1 } else { 7 };
    questions.extend(real.into_iter().step_by(every));
    let mut tally = Tally::default();
    // In memory: hundreds of daemons would wait for their databases' disk.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    for version in versions::versions_of("buildkit") {
        let programs = lab.buildctl(version).unwrap();
        let release = Release::of_version(version).unwrap();
        // Daemons wait for their own start most of the time.
        let part = questions.len().div_ceil(set_by("AT_ONCE", 3));
        let parts: Vec<_> = questions.chunks(part).enumerate().collect();
        let answers = thread::scope(|scope| {
            let workers = parts.iter().map(|(number, part)| {
                let asked = Asked {
                    folder: folder.path().join(format!("{version}-{number}")),
                    programs: programs.parent().unwrap().to_owned(),
                };
                scope.spawn(move || {
                    let both = |question| {
                        let did = asked.about(question);
                        let said = said(question, release, &did, &asked.folder);
                        (did, said)
                    };
                    part.iter().map(both).collect::<Vec<_>>()
                })
            });
            let workers: Vec<_> = workers.collect();
            let ended = workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap());
            ended.collect::<Vec<_>>()
        });
        println!("buildkitd {version}: {} s", began.elapsed().as_secs());
        for (question, (did, said)) in questions.iter().zip(&answers) {
            tally.add(&format!("buildkitd {version}"), question, did, said);
        }
    }
    tally.is_good(questions.len() * 2);
}

/// Returns what rekit says, as far as the daemon's answer goes.
fn said(question: &Question, release: Release, did: &Answer, folder: &Path) -> Answer {
    match judge_buildkitd_as(&question.text, release) {
        ConfigVerdict::Refused { reason, line, .. } => {
            Answer::Refused(format!("line {line}: {reason}"))
        }
        _ if matches!(did, Answer::Rules(_)) => {
            match gc_rules(&question.text, release, disk_bytes(folder)) {
                Some(rules) => Answer::Rules(
                    rules
                        .iter()
                        .map(|rule| {
                            line(&[
                                rule.all.to_string(),
                                format!("{:?}", rule.filters),
                                rule.keep_seconds.to_string(),
                                rule.reserved_bytes.to_string(),
                                rule.max_used_bytes.to_string(),
                                rule.min_free_bytes.to_string(),
                            ])
                        })
                        .collect(),
                ),
                None => Answer::Accepted,
            }
        }
        _ => Answer::Accepted,
    }
}

fn line(parts: &[String]) -> String {
    parts.join(" ") + "\n"
}

/// Returns how large the disk below a folder is, as a daemon asks for it.
pub(super) fn disk_bytes(folder: &Path) -> i64 {
    let mut stat = Command::new("stat");
    let output = stat
        .args(["-f", "-c", "%S %b"])
        .arg(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (size, blocks) = text.trim().split_once(' ').unwrap();
    size.parse::<i64>().unwrap() * blocks.parse::<i64>().unwrap()
}

/// One version of buildkitd, and a folder for what it leaves.
struct Asked {
    folder: PathBuf,
    programs: PathBuf,
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has answered, or has nothing to lose.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Asked {
    fn about(&self, question: &Question) -> Answer {
        let _absent = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder).unwrap();
        fs::write(self.folder.join("buildkitd.toml"), &question.text).unwrap();
        if question.text.contains("gc") {
            let answer = self.with_worker();
            if answer != Answer::Unasked {
                return answer;
            }
        }
        self.without_workers()
    }

    /// Starts the daemon without any worker: one that takes its configuration then says that it has none.
    fn without_workers(&self) -> Answer {
        let no_worker = ["--oci-worker=false", "--containerd-worker=false"];
        let output = self.daemon(&no_worker).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if text.contains("buildkitd: no worker found") {
            return Answer::Accepted;
        }
        let no_file = ["no such file or directory", "no such device or address"];
        if no_file.iter().any(|words| text.contains(words)) {
            return Answer::Unasked;
        }
        refusal(&text).unwrap_or_else(|| panic!("an unexpected end: {text}"))
    }

    /// Starts the daemon with a worker and asks for the rules that it collects garbage by.
    fn with_worker(&self) -> Answer {
        let worker = [
            "--oci-worker=true",
            "--containerd-worker=false",
            "--oci-worker-net=host",
            "--oci-worker-snapshotter=native",
            "--oci-worker-binary=/usr/sbin/runc",
        ];
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let started = self
            .daemon(&worker)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn();
        let mut daemon = Running(started.unwrap());
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            let mut ask = Command::new(self.programs.join("buildctl"));
            ask.args([
                "--addr",
                &self.address(),
                "debug",
                "workers",
                "--format",
                "{{json .}}",
            ]);
            let answer = ask.output().unwrap();
            if answer.status.success() {
                return Answer::Rules(rules(&answer.stdout));
            }
            if daemon.0.try_wait().unwrap().is_some() {
                let text = fs::read_to_string(self.folder.join("log")).unwrap();
                // What stops the worker itself is not the question.
                let about_text = |line: &str| {
                    ["config", "toml", "TOML", "panic", "unsupported log"]
                        .iter()
                        .any(|word| line.contains(word))
                };
                return match refusal(&text) {
                    Some(Answer::Refused(line)) if about_text(&line) => Answer::Refused(line),
                    _ => Answer::Unasked,
                };
            }
            thread::sleep(Duration::from_millis(30));
        }
        Answer::Unasked
    }

    fn address(&self) -> String {
        format!("unix://{}", self.folder.join("s").display())
    }

    /// Returns the daemon's command; whatever its `--addr`, it leaves a socket in `/run/buildkit`, so it has one of its own.
    fn daemon(&self, flags: &[&str]) -> Command {
        let script = r#"mkdir -p /run/buildkit && mount -t tmpfs lab /run/buildkit && exec "$@""#;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", script, "sh"])
            .arg(self.programs.join("buildkitd"))
            .arg("--config")
            .arg(self.folder.join("buildkitd.toml"))
            .arg("--root")
            .arg(self.folder.join("root"))
            .args(["--addr", &self.address()])
            .args(flags);
        command
    }
}

/// Returns the daemon's last words before it ended.
fn refusal(log: &str) -> Option<Answer> {
    let mut lines = log.lines();
    let line = lines.find(|line| line.starts_with("buildkitd: ") || line.starts_with("panic: "))?;
    Some(Answer::Refused(line.to_owned()))
}

/// Returns the rules of the first worker, one a line.
fn rules(workers: &[u8]) -> String {
    let workers: Value = serde_json::from_slice(workers).unwrap();
    let rules = workers[0]["gcPolicy"].as_array().cloned();
    let number = |rule: &Value, names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| rule[*name].as_i64())
            .unwrap_or_default()
    };
    let told = |rule: Value| {
        let filters: Vec<String> =
            serde_json::from_value(rule["filter"].clone()).unwrap_or_default();
        line(&[
            rule["all"].as_bool().unwrap_or_default().to_string(),
            format!("{filters:?}"),
            (number(&rule, ["keepDuration"; 2]) / 1_000_000_000).to_string(),
            number(&rule, ["reservedSpace", "keepBytes"]).to_string(),
            number(&rule, ["maxUsedSpace"; 2]).to_string(),
            number(&rule, ["minFreeSpace"; 2]).to_string(),
        ])
    };
    rules.into_iter().flatten().map(told).collect()
}
