//! Reads another Debian suite or architecture through a private apt state; the machine's own sources stay as they are.

use crate::process::{text, words};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A private apt state: one suite, one architecture.
pub(crate) struct PrivateApt {
    folder: PathBuf,
    options: Vec<String>,
}

impl PrivateApt {
    /// Reads the package lists of `suite` for `architecture` into `folder`.
    pub(crate) fn read(folder: &Path, suite: &str, architecture: &str) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "debs"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("status"), "")?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let sources = folder.join("sources.list");
        fs::write(
            &sources,
            format!(
                "deb [signed-by={keyring} arch={architecture}] {} {suite} main\n",
                mirror()?
            ),
        )?;
        let place = |part: &str| folder.join(part).display().to_string();
        let options = [
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", place("lists")),
            format!("Dir::State::status={}", place("status")),
            format!("Dir::Cache={}", place("cache")),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::Languages=none".to_owned(),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
        ];
        let apt = Self {
            folder: folder.to_owned(),
            options: options.to_vec(),
        };
        text(apt.command("apt-get").arg("update"))
            .with_context(|| format!("could not read Debian's {suite}"))?;
        Ok(apt)
    }

    /// Unpacks `packages` into `prefix`, installing nothing.
    pub(crate) fn unpack(&self, packages: &[&str], prefix: &Path) -> Result<()> {
        let debs = self.folder.join("debs");
        text(
            self.command("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(&debs),
        )?;
        for entry in fs::read_dir(&debs)? {
            text(words("dpkg", ["-x"]).arg(entry?.path()).arg(prefix))?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = words(program, ["-qq"]);
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// Returns the Debian mirror of the machine's own apt configuration.
fn mirror() -> Result<String> {
    let read = || {
        text(&mut words(
            "apt-get",
            [
                "indextargets",
                "--format",
                "$(REPO_URI) $(CODENAME)",
                "Origin: Debian",
            ],
        ))
    };
    let mut known = read()?;
    if known.trim().is_empty() {
        text(&mut words("apt-get", ["-qq", "update"]))?;
        known = read()?;
    }
    let own = known
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, name)| !name.contains('-'));
    own.map(|(mirror, _)| mirror.to_owned())
        .context("the machine's apt configuration names no Debian mirror")
}
