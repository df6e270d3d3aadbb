//! The machine, its tools and what steers them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FileFacts;
use crate::{
    fact::Fact,
    name::{BuilderName, HostPath, Platform},
};

/// The machine and the account that looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// For example `linux`.
    pub os: String,
    /// In Docker's words, for example `amd64`.
    pub architecture: String,
    /// The kernel's release.
    pub kernel: String,
    /// Whether this is Windows Subsystem for Linux.
    pub wsl: bool,
    /// Processors that can be used.
    pub processors: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Numeric user id.
    pub user: u32,
    /// The account's home.
    pub home: HostPath,
    /// rekit's own directory.
    pub rekit_home: HostPath,
}

/// A variable that steers docker, buildx or BuildKit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; `***` where the name or shape says secret.
    pub value: String,
}

/// One copy of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `docker`, `buildx`, `compose`, `buildctl`, `buildkitd`.
    pub name: String,
    /// Where it lies.
    pub path: HostPath,
    /// What it says of itself.
    pub version: Fact<String>,
    /// Whether it only took too long to answer, which on a busy machine tells nothing of the program.
    #[serde(default)]
    pub silent: bool,
    /// Whether this copy is the one that runs.
    pub in_force: bool,
}

/// A program that keeps passwords for the docker CLI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialHelper {
    /// Its name in config.json; the program is `docker-credential-NAME`.
    pub name: String,
    /// The key that names it: `credsStore` or `credHelpers`.
    pub key: String,
    /// Where the program lies; `None`: it is not on the search path.
    pub program: Option<HostPath>,
}

/// What is in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// The Docker context.
    pub context: String,
    /// What decided the context: `DOCKER_HOST`, `DOCKER_CONTEXT`, `config.json` or `default`.
    pub context_from: String,
    /// The key under which buildx keeps the choice: the context's name, or the endpoint for `default`.
    pub key: String,
    /// The builder that `docker buildx build` uses; `None`: the context's own.
    pub builder: Option<BuilderName>,
    /// What decided the builder: `BUILDX_BUILDER`, `current`, `defaults` or `context`.
    pub builder_from: String,
    /// The plugin that `aliases.builder` of the docker CLI's config.json names.
    #[serde(default)]
    pub builder_alias: Option<String>,
    /// That config.json, whether it is there or not.
    #[serde(default)]
    pub cli_config: Option<HostPath>,
}

/// An emulator registered with the kernel (`binfmt_misc`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Emulator {
    /// The kernel's entry, for example `qemu-aarch64`.
    pub name: String,
    /// The platform it makes runnable, where rekit knows it.
    pub platform: Option<Platform>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The kernel's flags; without `F` it does not work inside containers.
    pub flags: String,
    /// The emulator program.
    pub interpreter: HostPath,
    /// What the emulator program says of itself.
    pub version: Fact<String>,
}

/// What is there of Docker Desktop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Desktop {
    /// Its settings file.
    pub settings: Option<FileFacts>,
    /// BuildKit's keys among the settings, as JSON text, or why they could not be read.
    pub build_settings: Fact<std::collections::BTreeMap<String, String>>,
    /// Sockets that Desktop offers on this machine, and whether each answers.
    pub sockets: Vec<(HostPath, Fact<String>)>,
    /// Names of contexts that Desktop made.
    pub contexts: Vec<String>,
    /// Whether an engine of Desktop answers here.
    pub running: bool,
    /// Which of the parts disagree, in words.
    pub disagreements: Vec<String>,
}

/// A file of the project that calls buildx or buildctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Script {
    /// The file.
    pub file: FileFacts,
    /// Lines that call it, counted from 1.
    pub lines: Vec<u32>,
    /// Builders that it names.
    pub builders: Vec<String>,
}
