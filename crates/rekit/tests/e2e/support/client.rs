//! A client that builds all the time and looks at what comes out.

use super::Machine;
use jiff::Timestamp;
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// What a client saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) good: u32,
    /// How long each good build took.
    pub(crate) took: Vec<Duration>,
    /// The good builds that took longer than [`SLOW`]: when they began, how long they took, what they printed.
    pub(crate) slow: Vec<(Timestamp, Duration, String)>,
    /// What went wrong, build by build.
    pub(crate) bad: Vec<String>,
}

/// A build that takes longer is worth a closer look.
const SLOW: Duration = Duration::from_secs(3);

/// Every build has a new file and a new argument, removes a file of the base, and writes to a cache mount.
const DOCKERFILE: &str = r#"FROM scratch AS base
COPY busybox /bin/busybox
ENV PATH=/bin
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS work
COPY data /data
ARG ROUND
RUN --mount=type=cache,id=client,target=/cache mkdir /out && cp /data /out/data && echo $ROUND > /out/round \
 && rm /bin/uuencode && i=0; while [ $i -lt 30 ]; do echo $ROUND $i > /out/$i; i=$((i + 1)); done; echo $ROUND >> /cache/log
FROM scratch
COPY --from=work /out /
"#;

impl Machine {
    /// Has `count` clients build with `builder` while `work` is done; returns what they saw.
    pub(crate) fn while_building<T>(
        &self,
        builder: &str,
        count: u32,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<Seen>) {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let clients: Vec<_> = (1..=count)
                .map(|number| {
                    let is_over = &is_over;
                    scope.spawn(move || self.client(builder, number, is_over))
                })
                .collect();
            // Also when `work` panics: the scope waits for the clients.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            is_over.store(true, Ordering::Relaxed);
            let seen = clients.into_iter().map(|client| client.join().unwrap());
            let seen = seen.collect();
            match done {
                Ok(done) => (done, seen),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn client(&self, builder: &str, number: u32, is_over: &AtomicBool) -> Seen {
        let folder = self.lab.root().join(format!("tmp/client{number}"));
        fs::create_dir_all(&folder).unwrap();
        let busybox = self.lab.home().join("project/base/amd64/bin/busybox");
        fs::copy(busybox, folder.join("busybox")).unwrap();
        fs::write(folder.join("Dockerfile"), DOCKERFILE).unwrap();
        let mut seen = Seen::default();
        while !is_over.load(Ordering::Relaxed) {
            let round = format!("{number}.{}", seen.good + 1);
            let (at, began) = (Timestamp::now(), Instant::now());
            match self.build_round(builder, &folder, &round) {
                Ok(said) => {
                    let took = began.elapsed();
                    seen.good += 1;
                    seen.took.push(took);
                    if took > SLOW {
                        seen.slow.push((at, took, said));
                    }
                }
                Err(why) => {
                    seen.bad.push(why);
                    if seen.bad.len() > 1_000 {
                        break;
                    }
                }
            }
        }
        seen
    }

    fn build_round(&self, builder: &str, folder: &Path, round: &str) -> Result<String, String> {
        let data = round.repeat(20_000);
        fs::write(folder.join("data"), &data).unwrap();
        let out = folder.join("out");
        // Nothing of an earlier build may pass for this one's.
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        let argument = format!("ROUND={round}");
        let output = format!("type=local,dest={}", out.display());
        let place = folder.display().to_string();
        let fixed = ["buildx", "build", "--builder", builder, "--build-arg"];
        let answer = self.docker(&[&fixed[..], &[&argument, "--output", &output, &place]].concat());
        if answer.code != Some(0) {
            return Err(answer.text());
        }
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
        if read("round").trim() == round && read("data") == data {
            Ok(answer.text())
        } else {
            Err(format!("round {round} came out wrong"))
        }
    }
}
