//! The nouns: front ends, what each of them takes, and the document that holds all of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trial::Trial;

/// A way to begin a build. Each picks its builder by a rule of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FrontEnd {
    /// `docker build`.
    DockerBuild,
    /// `docker builder build`.
    DockerBuilderBuild,
    /// `docker image build`.
    DockerImageBuild,
    /// `docker buildx build`.
    BuildxBuild,
    /// `docker buildx bake`.
    BuildxBake,
    /// `docker bake`.
    DockerBake,
    /// `docker compose build`.
    ComposeBuild,
    /// The command line of dev containers, as editors and CI call it.
    DevContainer,
}

impl FrontEnd {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::DockerBuild,
        Self::DockerBuilderBuild,
        Self::DockerImageBuild,
        Self::DockerBake,
        Self::BuildxBuild,
        Self::BuildxBake,
        Self::ComposeBuild,
        Self::DevContainer,
    ];

    /// Returns what a person types.
    pub fn command(self) -> &'static str {
        match self {
            Self::DockerBuild => "docker build",
            Self::DockerBuilderBuild => "docker builder build",
            Self::DockerImageBuild => "docker image build",
            Self::BuildxBuild => "docker buildx build",
            Self::BuildxBake => "docker buildx bake",
            Self::DockerBake => "docker bake",
            Self::ComposeBuild => "docker compose build",
            Self::DevContainer => "devcontainer build",
        }
    }
}

/// What a front end builds with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Choice {
    /// A builder of BuildKit.
    Builder {
        /// Its name, as the front end says it.
        name: String,
        /// Its driver.
        driver: String,
        /// Whether it is the BuildKit inside the engine of the context in force, which has no record.
        engine: bool,
    },
    /// The engine's builder from before BuildKit.
    Legacy {},
    /// Nothing: the front end ends with an error.
    Nothing {
        /// Why.
        why: String,
    },
}

impl Choice {
    /// Returns whether builds of both go to one place. The engine's own builder is one place under any name.
    pub fn is_one_place_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Builder { engine: true, .. }, Self::Builder { engine: true, .. })
            | (Self::Legacy {}, Self::Legacy {}) => true,
            (
                Self::Builder { name, engine, .. },
                Self::Builder {
                    name: others_name,
                    engine: others_engine,
                    ..
                },
            ) => engine == others_engine && name.eq_ignore_ascii_case(others_name),
            _ => false,
        }
    }

    /// Returns whether a build begins at all.
    pub fn builds(&self) -> bool {
        !matches!(self, Self::Nothing { .. })
    }
}

/// One front end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Which.
    pub front_end: FrontEnd,
    /// What a person types.
    pub command: String,
    /// What it builds with, by rule.
    pub choice: Choice,
    /// The setting that decided, in a word: a variable, a file of the store, `aliases.builder`, `context`, or a program.
    pub from: String,
    /// What decided, and where it stands.
    pub decided_by: String,
    /// Whether a build that names no output puts its image into the engine.
    pub loads: bool,
    /// Why, or why not.
    pub loads_because: String,
    /// What would make it choose another builder.
    pub change: String,
    /// Whether it builds elsewhere than `docker buildx build`, or not at all.
    pub odd: bool,
    /// What a real build showed, where one was made.
    pub trial: Option<Trial>,
    /// In what the trial differs from the rule.
    pub differences: Vec<String>,
}

/// All front ends of one machine, as one account sees them from one shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrontEnds {
    /// Always `rekit/front-ends`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// The Docker context in force.
    pub context: String,
    /// One row for each front end.
    pub rows: Vec<Row>,
    /// Whether all that build, build in one place.
    pub agree: bool,
    /// One sentence: how to make all agree, or that they do.
    pub advice: String,
    /// Whether each front end was tried by a real build.
    pub tried: bool,
}

impl FrontEnds {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/front-ends";

    /// Returns the row of a front end.
    pub fn row(&self, front_end: FrontEnd) -> Option<&Row> {
        self.rows.iter().find(|row| row.front_end == front_end)
    }

    /// Returns whether trial and rule differ anywhere.
    pub fn differs(&self) -> bool {
        self.rows.iter().any(|row| !row.differences.is_empty())
    }
}
