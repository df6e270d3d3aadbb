//! One build with rekit's helper beside a cache mount.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_buildkit::CacheRecord;
use rekit_core::{mounts::CacheMount, step::BuildPlace};

use super::{
    super::{
        Answer, RealWorld, WorldError,
        docker::{Docker, last_words},
        helper::HELPER,
        proof::{self, failed},
    },
    MOUNT, PROGRAM,
    cache::{connect, mount_records, remove},
};
use crate::world::{host, path_of};

/// How long one build may take; it may wait for one of the user's that holds the mount.
const BUILD: Duration = Duration::from_hours(2);
/// How much of a Dockerfile is read.
const DOCKERFILE_BYTES: u64 = 4 << 20;

/// The beginning of the names of folders for builds, in rekit's own directory.
const FOLDER: &str = ".mounts-";

/// Removes the folders of builds that were killed. Whoever builds holds rekit's lock, so they are nobody's.
pub(super) fn sweep(home: &Path) {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let left = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(FOLDER.as_bytes())
    });
    // One that stays takes room, and is tried again the next time.
    left.for_each(|entry| drop(std::fs::remove_dir_all(entry.path())));
}

/// What becomes of a cache mount that a build of rekit's made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Keep,
    Remove,
}

/// One build with the helper beside a cache mount.
pub(super) struct Build<'a> {
    world: &'a RealWorld<'a>,
    place: &'a BuildPlace,
    mount: &'a CacheMount,
    nonce: String,
    pub(super) folder: tempfile::TempDir,
    pub(super) tools: PathBuf,
    docker: Docker,
}

impl<'a> Build<'a> {
    pub(super) fn new(
        world: &'a RealWorld<'a>,
        place: &'a BuildPlace,
        mount: &'a CacheMount,
    ) -> Answer<Self> {
        let what = "a folder for a build cannot be made".to_owned();
        let folder = tempfile::Builder::new()
            .prefix(FOLDER)
            .tempdir_in(&world.home)
            .map_err(failed(what.clone()))?;
        let copy = folder.path().join("buildx");
        let tools = folder.path().join("tools");
        let store = place.store.as_ref().map(path_of).unwrap_or_default();
        let made = std::fs::create_dir(&tools)
            .and_then(|()| std::fs::write(tools.join(PROGRAM), HELPER))
            .and_then(|()| {
                let mode = PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(tools.join(PROGRAM), mode)
            })
            .and_then(|()| Docker::new(&store, &copy, world.surroundings.variables()));
        let mut docker = made.map_err(failed(what))?;
        let is_context = place
            .daemon
            .as_ref()
            .is_some_and(|it| it.container.is_none());
        if is_context && place.builder != "default" {
            docker.enter(&place.builder);
        }
        Ok(Self {
            world,
            place,
            mount,
            nonce: proof::random_text(),
            folder,
            tools,
            docker,
        })
    }

    /// Gives the helper a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Answer<()> {
        let written = std::fs::write(self.tools.join(name), bytes);
        written.map_err(failed(format!("file `{name}` for a build")))
    }

    /// Returns where the build has a file that the helper is given.
    pub(super) fn tool(&self, name: &str) -> String {
        format!("/rekit/{}/{name}", self.nonce)
    }

    /// Runs the helper; the error is what the build says.
    pub(super) async fn run(&self, arguments: &[&str]) -> Answer<Result<(), String>> {
        let (before, context) = match self.ground()? {
            Ok(ground) => ground,
            Err(why) => return Ok(Err(why)),
        };
        let program = self.tool(PROGRAM);
        let words = [&[program.as_str()][..], arguments].concat();
        let words = serde_json::to_string(&words).map_err(failed("a command".to_owned()))?;
        let (nonce, mount) = (&self.nonce, self.mount.flag(MOUNT));
        let text = format!(
            "{before}FROM scratch AS rekit-{nonce}\nRUN --mount=type=bind,from=rekit-tools-{nonce},target=/rekit/{nonce} {mount} {words}\n"
        );
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let file = path("Dockerfile");
        std::fs::write(&file, text).map_err(failed("a Dockerfile".to_owned()))?;
        let tools = format!("rekit-tools-{nonce}={}", path("tools"));
        let output = format!("type=local,dest={}", path("out"));
        let target = format!("rekit-{nonce}");
        let namespace = format!("BUILDKIT_CACHE_MOUNT_NS={}", self.mount.parts().0);
        let arguments = [
            ["buildx", "build", "--builder", &self.place.builder],
            ["--progress=plain", "--provenance=false", "--file", &file],
            ["--target", &target, "--build-context", &tools],
            ["--build-arg", &namespace, "--output", &output],
        ];
        let mut arguments = arguments.concat();
        if self.mount.parts().0.is_empty() {
            arguments.retain(|argument| *argument != "--build-arg" && *argument != namespace);
        }
        arguments.push(&context);
        self.build(&arguments).await
    }

    /// Returns what stands before the build's own stage, and the context: those of the Dockerfile whose stage the mount begins with.
    fn ground(&self) -> Answer<Result<(String, String), String>> {
        let Some(dockerfile) = &self.mount.dockerfile else {
            let empty = self.folder.path().join("empty");
            std::fs::create_dir_all(&empty).map_err(failed("an empty context".to_owned()))?;
            return Ok(Ok((String::new(), empty.display().to_string())));
        };
        let path = path_of(dockerfile);
        let Ok(bytes) = host::read(&path, DOCKERFILE_BYTES) else {
            return Ok(Err(format!("`{dockerfile}` cannot be read")));
        };
        let text = String::from_utf8_lossy(&bytes) + "\n\n";
        let folder = path.parent().unwrap_or(Path::new("/"));
        Ok(Ok((text.into_owned(), folder.display().to_string())))
    }

    async fn build(&self, arguments: &[&str]) -> Answer<Result<(), String>> {
        let docker = self.docker.program().ok_or_else(|| WorldError::Refused {
            why: "there is no docker on the search path".to_owned(),
        })?;
        let output = self.docker.run(&docker, arguments, BUILD).await;
        let what = format!("builder `{}`: docker buildx build", self.place.builder);
        let output = output.map_err(failed(what))?;
        if output.code == Some(0) {
            return Ok(Ok(()));
        }
        let said = output.stderr + &output.stdout;
        let of_helper = format!("{PROGRAM}: ");
        let words = last_words(&said, |line| line.contains(&of_helper));
        Ok(Err(words.trim().to_owned()))
    }

    /// Removes what the build left in the cache; returns whether a cache mount is or was among what it made.
    pub(super) async fn forget(&self, made: Made) -> Answer<bool> {
        let Some(control) = connect(self.world, self.place).await? else {
            return Ok(false);
        };
        let is_ours = |record: &CacheRecord| record.description.contains(&self.nonce);
        let mounts = mount_records(&control, self.place).await?;
        let has_made = mounts.iter().any(is_ours);
        let is_left = |record: &CacheRecord| {
            is_ours(record) && (made == Made::Remove || record.kind != "exec.cachemount")
        };
        remove(&control, self.place, is_left).await?;
        Ok(has_made)
    }
}
