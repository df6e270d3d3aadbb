//! Builds with the real buildx, and the file systems that come out of them.

use super::{Answer, Machine, differences};
use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

/// The team's image as the old builder's cache has it: what was built, and every file to the last attribute.
#[derive(Debug)]
pub(crate) struct Export {
    log: String,
    digest: String,
    files: BTreeMap<String, String>,
}

impl Machine {
    /// Builds a target of the team's project with plain progress.
    pub(crate) fn build(&self, target: &str, arguments: &[&str]) -> Answer {
        let fixed = ["buildx", "build", "--progress=plain", "--target", target];
        self.docker(&[&fixed[..], arguments, &["."]].concat())
    }

    /// Makes a builder of a daemon that runs already.
    pub(crate) fn remote(&self, name: &str, address: &str, options: &[&str]) {
        let create = ["buildx", "create", "--driver", "remote", "--name", name];
        self.docker(&[&create[..], options, &[address]].concat())
            .good();
    }

    /// Builds the team's image with its own script and unpacks it.
    pub(crate) fn export(&self) -> Export {
        self.export_of("team")
    }

    /// The same with another builder.
    pub(crate) fn export_of(&self, builder: &str) -> Export {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let place = self.lab.root().join("tmp").join(format!("export{number}"));
        fs::create_dir(&place).unwrap();
        let archive = place.with_extension("tar");
        let script = self.lab.home().join("project/build.sh");
        let output = format!("type=tar,dest={}", archive.display());
        let script = script.display().to_string();
        let log = Answer::of(&mut self.command(
            &script,
            &[
                "--builder",
                builder,
                "--progress=plain",
                "--output",
                &output,
            ],
        ))
        .good()
        .text();
        let mut unpack = self.lab.command("tar");
        unpack.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
        Answer::of(unpack.arg(&archive).arg("-C").arg(&place)).good();
        let digest = Answer::of(self.lab.command("sha256sum").arg("-b").arg(&archive)).good();
        let export = Export {
            log,
            digest: digest.stdout[..64].to_owned(),
            files: rekit_lab::tree(&place).unwrap(),
        };
        fs::remove_dir_all(place).unwrap();
        fs::remove_file(archive).unwrap();
        export
    }
}

impl Export {
    /// Returns in which ways this build, made later, is not the warm twin of `earlier`: steps that ran, files that differ.
    pub(crate) fn differs_from(&self, earlier: &Self) -> Vec<String> {
        let mut found: Vec<String> = cold_steps(&self.log)
            .into_iter()
            .map(|step| format!("not cached: {step}"))
            .collect();
        found.extend(differences(&earlier.files, &self.files));
        if found.is_empty() && earlier.digest != self.digest {
            found.push("the exported tar files differ, though no file in them does".to_owned());
        }
        found
    }

    /// Fails unless this build, made later, is the warm twin of `earlier`.
    #[track_caller]
    pub(crate) fn is_warm_twin_of(&self, earlier: &Self) {
        let found = self.differs_from(earlier);
        assert!(found.is_empty(), "\n{}\n{}", found.join("\n"), self.log);
    }
}

impl Answer {
    /// Returns the steps of a build with plain progress that were not answered from the cache.
    pub(crate) fn cold_steps(&self) -> Vec<String> {
        cold_steps(&self.text())
    }
}

/// Returns the steps of a build's plain progress that were not answered from the cache.
fn cold_steps(log: &str) -> Vec<String> {
    let is_step = |line: &&str| line.contains("] RUN ") || line.contains("] COPY ");
    let number = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let steps: BTreeMap<String, &str> = log
        .lines()
        .filter(is_step)
        .map(|line| (number(line), line))
        .collect();
    assert!(
        !steps.is_empty(),
        "no step of the build can be seen:\n{log}"
    );
    steps
        .into_iter()
        .filter(|(number, _)| !log.lines().any(|line| line == format!("{number} CACHED")))
        .map(|(_, line)| line.to_owned())
        .collect()
}
