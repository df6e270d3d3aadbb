//! Where the tests' engine comes from, and names that no two tests share.
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rekit_buildkit::{Control, Daemon, Engine, Timeouts};
use rekit_lab::{Lab, LabOptions};
use serde_json::{Value, json};

/// The image of a BuildKit with busybox beside it, as the lab builds it.
pub(crate) const IMAGE: &str = "moby/buildkit:buildx-stable-1";
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

thread_local! {
    /// The private engine of the test on this thread; it ends with the thread, also when the test panics.
    static LAB: Lab = {
        let lab = Lab::up(LabOptions::default()).expect("a private engine (`rekit-lab setup` installs what is missing)");
        lab.buildkit_image("0.32.2").expect("the BuildKit image");
        lab
    };
}

/// A private engine that holds [`IMAGE`].
pub(crate) async fn engine() -> Engine {
    let host = LAB.with(|lab| format!("unix://{}", lab.socket().display()));
    Engine::connect(host.parse().unwrap(), None, Timeouts::default())
        .await
        .unwrap()
}

/// The daemon's program, for tests that start it themselves.
pub(crate) fn buildkitd() -> PathBuf {
    LAB.with(|lab| lab.buildctl("0.32.2").unwrap().with_file_name("buildkitd"))
}

/// A name and nonce that is new in this engine.
pub(crate) fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t{}n{next}x{}", std::process::id(), "0".repeat(8))
}

/// A container that is removed, with its anonymous volumes, by [`Container::remove`]. (`Drop` cannot wait for the engine; the lab ends the
/// whole engine when a test panics.)
pub(crate) struct Container {
    pub(crate) engine: Engine,
    pub(crate) name: String,
}

impl Container {
    pub(crate) async fn create(engine: &Engine, mut body: Value) -> Self {
        body["Image"] = json!(IMAGE);
        let name = fresh();
        engine.container_create(&name, &body).await.unwrap();
        Self {
            engine: engine.clone(),
            name,
        }
    }

    /// A BuildKit daemon in a container, as buildx's docker-container driver makes it.
    pub(crate) async fn builder(engine: &Engine) -> (Self, Daemon) {
        let this = Self::create(
            engine,
            json!({"HostConfig": {"Privileged": true, "NetworkMode": "none"}}),
        )
        .await;
        engine.container_start(&this.name).await.unwrap();
        let daemon = Daemon::InContainer {
            engine: engine.clone(),
            container: this.name.clone(),
        };
        (this, daemon)
    }

    pub(crate) async fn remove(self) {
        self.engine
            .container_remove(&self.name, true, true)
            .await
            .unwrap();
    }
}

/// Connects to a daemon that may still be starting.
pub(crate) async fn connect(daemon: &Daemon) -> Control {
    let mut last = None;
    for _ in 0..100 {
        match daemon.connect(Duration::from_secs(5)).await {
            Ok(control) => return control,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the daemon never answered: {last:?}");
}
