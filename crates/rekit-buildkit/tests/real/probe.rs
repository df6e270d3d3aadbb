//! Probes on the engine's own daemon and on one in a container: every platform, the cache, and no trace left.
use rekit_buildkit::probe::elf::Architecture;
use rekit_buildkit::probe::{ProbeError, forget, run_cache_probe, run_probe};
use rekit_buildkit::{CacheRecord, Control, ControlTimeouts, Daemon, HistoryFilter, Platform};

use crate::support::{Container, connect, engine, fresh};

async fn check_probes(control: &Control) {
    for architecture in Architecture::ALL {
        let platform: Platform = format!("linux/{}", architecture.name()).parse().unwrap();
        let nonce = fresh().parse().unwrap();
        let outcome = run_probe(control, &platform, &nonce, ControlTimeouts::PROBE)
            .await
            .unwrap();
        assert_eq!(
            outcome.said,
            format!("probe {nonce} ran on {}", architecture.name())
        );
        assert_eq!(outcome.removed, 2, "the file and the run, {platform}");
    }
    let nonce = fresh().parse().unwrap();
    let report = run_cache_probe(
        control,
        &"linux/amd64".parse().unwrap(),
        &nonce,
        ControlTimeouts::PROBE,
    )
    .await
    .unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(forget(control, &nonce).await.unwrap(), 0);
    let unknown = run_probe(
        control,
        &"linux/sparc64".parse().unwrap(),
        &nonce,
        ControlTimeouts::PROBE,
    )
    .await
    .unwrap_err();
    assert!(matches!(unknown, ProbeError::NoProgram { .. }));
}

/// Ids of the probes' records: other tests may use the same engine.
fn probes(usage: &[CacheRecord]) -> Vec<&str> {
    usage
        .iter()
        .filter(|record| record.description.contains("/probe-"))
        .map(|record| record.id.as_str())
        .collect()
}

#[tokio::test]
async fn probes_run_on_the_engines_own_daemon_and_leave_nothing() {
    let control = Daemon::EngineEmbedded(engine().await)
        .connect(ControlTimeouts::CONNECT)
        .await
        .unwrap();
    check_probes(&control).await;
    let usage = control
        .disk_usage(&[], ControlTimeouts::DISK_USAGE)
        .await
        .unwrap();
    assert!(probes(&usage).is_empty());
    let history = control
        .history(HistoryFilter::All, ControlTimeouts::LOOK)
        .await
        .unwrap();
    assert!(
        history
            .iter()
            .all(|build| !build.reference.0.starts_with("probe-"))
    );
}

#[tokio::test]
async fn probes_run_on_a_daemon_in_a_container_and_leave_nothing() {
    let (container, daemon) = Container::builder(&engine().await).await;
    let control = connect(&daemon).await;
    check_probes(&control).await;
    assert_eq!(
        control
            .disk_usage(&[], ControlTimeouts::DISK_USAGE)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        control
            .history(HistoryFilter::All, ControlTimeouts::LOOK)
            .await
            .unwrap(),
        []
    );
    container.remove().await;
}
