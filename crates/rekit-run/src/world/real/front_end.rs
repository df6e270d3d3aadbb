//! The real front ends, on a copy of the store: the user's own store keeps no trace of a proof.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rekit_buildkit::{
    Engine, Filters,
    probe::{
        self, Nonce,
        elf::{Architecture, program},
    },
};
use rekit_core::step::Claim;

use super::{
    Answer, RealWorld, WorldError,
    docker::{Docker, last_words},
    proof,
};

/// The name of the images that trials make; each has a tag of its own.
pub(super) const IMAGE: &str = "rekit-probe";
/// How long one build may take.
const BUILD: Duration = Duration::from_mins(5);

/// A folder with a copy of the store and a small project, and the builder to try.
pub(super) struct FrontEnd<'a> {
    world: &'a RealWorld<'a>,
    claim: &'a Claim,
    docker: Docker,
    folder: tempfile::TempDir,
    nonce: Nonce,
    words: String,
}

impl<'a> FrontEnd<'a> {
    pub(super) fn new(
        world: &'a RealWorld<'a>,
        store: &Path,
        claim: &'a Claim,
        variables: &BTreeMap<String, String>,
    ) -> Answer<Self> {
        let failed = |error: std::io::Error| {
            WorldError::failed("a folder for the trial build cannot be made", error)
        };
        let folder = tempfile::Builder::new()
            .prefix("rekit-validate-")
            .tempdir()
            .map_err(failed)?;
        let nonce = proof::nonce()?;
        let words = format!("rekit {nonce}");
        let project = folder.path().join("project");
        let copy = folder.path().join("buildx");
        std::fs::create_dir_all(&project).map_err(failed)?;
        let native = claim
            .platforms
            .first()
            .and_then(|platform| platform.as_str().parse().ok());
        let architecture = native.and_then(|platform| Architecture::of(&platform));
        let architecture = architecture.ok_or_else(|| WorldError::Refused {
            why: format!(
                "builder `{}` claims no platform that rekit can try",
                claim.builder
            ),
        })?;
        let binary = format!("probe-{nonce}");
        std::fs::write(project.join(&binary), program(architecture, &words)).map_err(failed)?;
        let dockerfile =
            format!("FROM scratch\nCOPY --chmod=755 {binary} /{binary}\nRUN [\"/{binary}\"]\n");
        std::fs::write(project.join("Dockerfile"), dockerfile).map_err(failed)?;
        let compose = format!("services:\n  probe:\n    image: {IMAGE}:{nonce}\n    build: .\n");
        std::fs::write(project.join("compose.yaml"), compose).map_err(failed)?;
        let mut docker = Docker::new(store, &copy, variables).map_err(failed)?;
        let is_context = claim
            .daemons
            .iter()
            .all(|daemon| daemon.container.is_none());
        if is_context && claim.builder != "default" {
            docker.enter(&claim.builder);
        } else {
            docker.select(&claim.builder);
        }
        Ok(Self {
            world,
            claim,
            docker,
            folder,
            nonce,
            words,
        })
    }

    /// Builds with `docker buildx build` and reads what the build printed.
    pub(super) async fn buildx(&self) -> Answer<String> {
        let project = self.project();
        let out = self.folder.path().join("out").display().to_string();
        let output = format!("type=local,dest={out}");
        let said = self
            .docker(&[
                "buildx",
                "build",
                "--progress=plain",
                "--provenance=false",
                "--output",
                &output,
                &project,
            ])
            .await?;
        if !said.contains(&self.words) {
            return Err(self.failure(
                "docker buildx build",
                "the build did not run its own program",
            ));
        }
        Ok("docker buildx build builds".to_owned())
    }

    /// Builds with `docker compose build`.
    pub(super) async fn compose(&self) -> Answer<String> {
        let file = format!("{}/compose.yaml", self.project());
        let project = format!("rekit-{}", self.nonce);
        self.docker(&[
            "compose",
            "--progress=plain",
            "--project-name",
            &project,
            "--file",
            &file,
            "build",
        ])
        .await?;
        Ok("docker compose build builds".to_owned())
    }

    /// Removes what the trial left: cache records, and the image that Compose loads.
    pub(super) async fn forget(&self) -> Answer<()> {
        for daemon in &self.claim.daemons {
            let engine = self.world.engine(&daemon.host).await?;
            let image = format!("{IMAGE}:{}", self.nonce);
            match engine.image_remove(&image, true).await {
                Err(error) if !error.is_not_found() => {
                    return Err(WorldError::failed(
                        format!("image `{image}` of the trial build cannot be removed"),
                        error,
                    ));
                }
                _ => {}
            }
            let control = proof::connect(engine, daemon.container.as_ref()).await?;
            let forgotten = probe::forget(&control, &self.nonce).await;
            forgotten.map_err(|error| {
                WorldError::failed(
                    "what the trial build left in the cache cannot be removed",
                    error,
                )
            })?;
        }
        Ok(())
    }

    fn project(&self) -> String {
        self.folder.path().join("project").display().to_string()
    }

    async fn docker(&self, arguments: &[&str]) -> Answer<String> {
        let shown = format!("docker {}", arguments[..2].join(" "));
        let docker = self
            .docker
            .program()
            .ok_or_else(|| self.failure(&shown, "there is no docker on the search path"))?;
        let output = self.docker.run(&docker, arguments, BUILD).await;
        let output = output.map_err(|error| {
            WorldError::failed(format!("builder `{}`: {shown}", self.claim.builder), error)
        })?;
        let said = output.stderr + &output.stdout;
        if output.code == Some(0) {
            return Ok(said);
        }
        Err(self.failure(&shown, &last_words(&said, |_| false)))
    }

    fn failure(&self, what: &str, why: &str) -> WorldError {
        WorldError::failed(
            format!("builder `{}`: {what} fails", self.claim.builder),
            why.to_owned(),
        )
    }
}

/// Removes the images of trials that were broken off. What fails is tried again after the next run that goes on.
pub(super) async fn sweep(engine: &Engine) {
    let named = Filters::none().with("reference", IMAGE);
    let images = engine.images_list(false, &named).await.unwrap_or_default();
    for tag in images.iter().flat_map(|image| &image.repo_tags) {
        drop(engine.image_remove(tag, true).await);
    }
}
