//! The control API of every kind of daemon that one engine gives: its own, one in a container, and that one's socket directly.
use std::path::PathBuf;
use std::time::Duration;

use rekit_buildkit::llb::{Builder, Cache, File, Step};
use rekit_buildkit::probe::elf::{Architecture, program};
use rekit_buildkit::{
    BuildEvent, BuildRef, ConnectError, Control, ControlError, ControlTimeouts, Daemon,
    HistoryFilter, PruneScope, SolveRequest,
};

use crate::support::{Container, MINUTE, connect, engine, fresh};

async fn check_all_calls(control: &Control) {
    let look = ControlTimeouts::LOOK;
    let (info, workers, history) = tokio::join!(
        control.info(look),
        control.list_workers(look),
        control.history(HistoryFilter::All, look)
    );
    assert!(info.unwrap().version.starts_with('v'));
    history.unwrap();
    let workers = workers.unwrap();
    assert!(workers.iter().any(|worker| {
        worker
            .platforms
            .iter()
            .any(|platform| platform.to_string() == "linux/amd64")
    }));
    // An engine 26.1 reports no rules at all, unless its configuration sets some.
    assert!(workers.iter().all(|worker| !worker.id.is_empty()));

    check_a_build(control).await;
}

async fn check_a_build(control: &Control) {
    let look = ControlTimeouts::LOOK;
    let reference = BuildRef(fresh());
    let path = format!("/{}", reference.0);
    let mut builder = Builder::new("linux/amd64".parse().unwrap());
    let first = write(&mut builder, None, &path);
    let second = write(&mut builder, Some(&first), "/second");
    let request = SolveRequest {
        reference: reference.clone(),
        definition: builder.finish(&second),
        internal: false,
    };
    let report = control.solve_and_watch(request, MINUTE).await.unwrap();
    assert_eq!(report.failure, None);
    let vertex = |step| report.vertex(step).unwrap();
    assert_eq!(vertex(&second).inputs, [vertex(&first).digest.clone()]);

    let builds = control.history(HistoryFilter::All, look).await.unwrap();
    let build = builds
        .iter()
        .find(|build| build.reference == reference)
        .unwrap();
    assert_eq!(
        (build.event, build.total_steps, build.error.as_deref()),
        (BuildEvent::Complete, 2, None)
    );
    assert!(
        control
            .active_builds(look)
            .await
            .unwrap()
            .iter()
            .all(|build| build.reference != reference)
    );

    let usage = control
        .disk_usage(&[], ControlTimeouts::DISK_USAGE)
        .await
        .unwrap();
    let mine: Vec<_> = usage
        .iter()
        .filter(|record| record.description == format!("write {path}"))
        .collect();
    assert_eq!(mine.len(), 1);
    assert!(mine[0].kind == "regular" && !mine[0].mutable && mine[0].created.is_some());
    assert!(PruneScope::records(Vec::<String>::new()).is_none());
}

fn write(builder: &mut Builder, base: Option<&Step>, path: &str) -> Step {
    let file = File {
        path,
        mode: 0o644,
        data: path.as_bytes(),
    };
    builder.file(base, &file, &format!("write {path}"))
}

#[tokio::test]
async fn the_engines_own_daemon_answers_every_call() {
    let control = Daemon::EngineEmbedded(engine().await)
        .connect(ControlTimeouts::CONNECT)
        .await
        .unwrap();
    check_all_calls(&control).await;
}

#[tokio::test]
async fn a_daemon_in_a_container_answers_through_exec_and_through_its_socket() {
    let engine = engine().await;
    let (container, daemon) = Container::builder(&engine).await;
    let control = connect(&daemon).await;
    check_all_calls(&control).await;
    let workers = control.list_workers(ControlTimeouts::LOOK).await.unwrap();
    assert!(workers.iter().all(|worker| !worker.gc_policy.is_empty()));
    let pid = engine
        .container_inspect(&container.name)
        .await
        .unwrap()
        .0
        .state
        .pid;
    let socket = PathBuf::from(format!("/proc/{pid}/root/run/buildkit/buildkitd.sock"));
    let direct = connect(&Daemon::Unix(socket)).await;
    check_all_calls(&direct).await;
    let removed = control
        .prune(&PruneScope::everything(), MINUTE)
        .await
        .unwrap();
    assert!(!removed.is_empty());
    assert!(control.disk_usage(&[], MINUTE).await.unwrap().is_empty());
    container.remove().await;
}

#[tokio::test]
async fn a_failed_build_is_a_report_and_a_bad_filter_an_error() {
    let engine = engine().await;
    let (container, daemon) = Container::builder(&engine).await;
    let control = connect(&daemon).await;
    let mut builder = Builder::new("linux/amd64".parse().unwrap());
    let base = write(&mut builder, None, "/x");
    let run = builder.run(&base, &["/nowhere"], "fails", Cache::Use);
    let request = SolveRequest {
        reference: BuildRef(fresh()),
        definition: builder.finish(&run),
        internal: false,
    };
    let report = control.solve_and_watch(request, MINUTE).await.unwrap();
    assert!(report.failure.unwrap().contains("exit code"));
    let error = control
        .prune(
            &PruneScope {
                filters: vec!["=bad=".to_owned()],
                ..PruneScope::default()
            },
            MINUTE,
        )
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("`Prune` failed: "), "{error}");
    container.remove().await;
}

#[tokio::test]
async fn a_container_without_a_daemon_says_why() {
    let engine = engine().await;
    let container = Container::create(
        &engine,
        serde_json::json!({"Entrypoint": ["/bin/sleep", "60"]}),
    )
    .await;
    let daemon = Daemon::InContainer {
        engine: engine.clone(),
        container: container.name.clone(),
    };
    let stopped = daemon.connect(Duration::from_secs(5)).await.unwrap_err();
    assert!(
        matches!(&stopped, ConnectError::Engine(error) if error.is_conflict()),
        "{stopped:?}"
    );
    engine.container_start(&container.name).await.unwrap();
    let silent = daemon.connect(Duration::from_secs(5)).await.unwrap_err();
    assert!(
        silent.to_string().contains("buildkitd.sock"),
        "{silent} {silent:?}"
    );
    container.remove().await;
    let gone = daemon.connect(Duration::from_secs(5)).await.unwrap_err();
    assert!(
        matches!(&gone, ConnectError::Engine(error) if error.is_not_found()),
        "{gone:?}"
    );
}

#[tokio::test]
async fn a_running_build_is_listed_and_a_timeout_cancels_it() {
    let engine = engine().await;
    let (container, daemon) = Container::builder(&engine).await;
    let control = connect(&daemon).await;
    let mut spinning = program(Architecture::Amd64, "never said");
    spinning[120..122].copy_from_slice(&[0xeb, 0xfe]); // jmp to itself
    let mut builder = Builder::new("linux/amd64".parse().unwrap());
    let file = File {
        path: "/spin",
        mode: 0o755,
        data: &spinning,
    };
    let base = builder.file(None, &file, "write /spin");
    let run = builder.run(&base, &["/spin"], "spin", Cache::Use);
    let reference = BuildRef(fresh());
    let request = SolveRequest {
        reference: reference.clone(),
        definition: builder.finish(&run),
        internal: false,
    };
    let look = ControlTimeouts::LOOK;
    let solve = control.solve(request, Duration::from_secs(2));
    let seen = async {
        loop {
            let active = control.active_builds(look).await.unwrap();
            if !active.is_empty() {
                break active;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (solved, seen) = tokio::join!(solve, seen);
    assert!(
        matches!(solved, Err(ControlError::TimedOut { call: "Solve", .. })),
        "{solved:?}"
    );
    assert_eq!(
        (seen.len(), &seen[0].reference, seen[0].event),
        (1, &reference, BuildEvent::Started)
    );
    assert!(seen[0].completed.is_none());
    for _ in 0..100 {
        if control.active_builds(look).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(control.active_builds(look).await.unwrap(), []);
    let ended = control.history(HistoryFilter::All, look).await.unwrap();
    assert!(
        ended
            .iter()
            .any(|build| build.reference == reference && build.error.is_some())
    );
    container.remove().await;
}

#[tokio::test]
async fn a_frozen_daemon_ends_in_time() {
    let engine = engine().await;
    let (container, daemon) = Container::builder(&engine).await;
    let control = connect(&daemon).await;
    engine
        .container_kill(&container.name, "SIGSTOP")
        .await
        .unwrap();
    let after = Duration::from_millis(500);
    let error = control.list_workers(after).await.unwrap_err();
    assert!(
        matches!(
            error,
            ControlError::TimedOut {
                call: "ListWorkers",
                ..
            }
        ),
        "{error:?}"
    );
    let error = daemon.connect(after).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::TimedOut { .. } | ConnectError::FirstCall { .. }
        ),
        "{error:?}"
    );
    container.remove().await;
}
