//! The Engine API: every call against a real engine.
use std::collections::BTreeMap;
use std::time::Duration;

use rekit_buildkit::{
    Endpoint, Engine, ExecLimit, ExecSpec, Filters, RestartPolicy, Timeouts, Upload,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

use crate::support::{Container, IMAGE, MINUTE, engine, fresh};

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let engine = engine().await;
    let version = engine.version().await.unwrap();
    assert_eq!(engine.ping().await.unwrap(), version.api_version);
    assert_eq!(engine.newest_api(), version.api_version);
    assert_eq!(version.os, "linux");
    assert!(engine.api_version().to_string() <= version.api_version);
    let (info, raw) = engine.info().await.unwrap();
    assert_eq!(raw["DockerRootDir"], json!(info.docker_root_dir));
    assert!(!info.id.is_empty() && !info.driver.is_empty());
    let networks = engine
        .networks_list(&Filters::none().with("name", "bridge"))
        .await
        .unwrap();
    assert!(networks.iter().any(|network| network.name == "bridge"));
}

#[tokio::test]
async fn a_container_lives_from_create_to_remove() {
    let engine = engine().await;
    let body = json!({"Image": IMAGE, "Entrypoint": ["/bin/sh", "-c", "echo out; echo err >&2; exec sleep 60"], "Labels": {"a": "b"}});
    let (first, second) = (fresh(), fresh());
    let policy = RestartPolicy {
        name: "unless-stopped".to_owned(),
        ..RestartPolicy::default()
    };
    let id = engine.container_create(&first, &body).await.unwrap();
    assert!(
        engine
            .container_create(&first, &body)
            .await
            .unwrap_err()
            .is_conflict()
    );
    engine.container_start(&first).await.unwrap();
    engine.container_start(&first).await.unwrap(); // 304
    engine.container_rename(&first, &second).await.unwrap();
    engine
        .container_set_restart(&second, &policy)
        .await
        .unwrap();
    let (detail, raw) = engine.container_inspect(&second).await.unwrap();
    assert_eq!(
        (detail.id.as_str(), detail.name),
        (id.as_str(), format!("/{second}"))
    );
    assert!(detail.state.running && detail.host_config.restart_policy.name == "unless-stopped");
    assert_eq!(raw["Id"], json!(id));
    let listed = engine
        .containers_list(true, &Filters::none().with("name", &second))
        .await
        .unwrap();
    assert_eq!((listed.len(), listed[0].labels["a"].as_str()), (1, "b"));
    check_logs(&engine, &second).await;
    engine
        .container_stop(&second, Duration::from_secs(0))
        .await
        .unwrap();
    engine
        .container_stop(&second, Duration::from_secs(0))
        .await
        .unwrap(); // 304
    assert!(
        engine
            .container_kill(&second, "SIGKILL")
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert_eq!(engine.container_wait(&second, MINUTE).await.unwrap(), 137);
    engine.container_remove(&second, false, true).await.unwrap();
    assert!(
        engine
            .container_inspect(&second)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn check_logs(engine: &Engine, container: &str) {
    // It writes when it is scheduled, which is after its start was answered.
    let deadline = Instant::now() + MINUTE;
    let mut logs = engine.container_logs(container, 10, 1024).await.unwrap();
    while (logs.stdout.is_empty() || logs.stderr.is_empty()) && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
        logs = engine.container_logs(container, 10, 1024).await.unwrap();
    }
    assert_eq!(
        (logs.stdout.as_slice(), logs.stderr.as_slice(), logs.cut),
        (&b"out\n"[..], &b"err\n"[..], false)
    );
    assert!(engine.container_logs(container, 10, 2).await.unwrap().cut);
}

#[tokio::test]
async fn exec_tells_outputs_and_exit_code_apart() {
    let engine = engine().await;
    let container = Container::create(&engine, json!({"Entrypoint": ["/bin/sleep", "60"]})).await;
    engine.container_start(&container.name).await.unwrap();
    let spec = ExecSpec {
        env: vec!["X=5".to_owned()],
        ..ExecSpec::new(["/bin/sh", "-c", "cat; echo \"e$X\" >&2; exit $X"])
    };
    let limit = ExecLimit::default();
    let said = engine
        .exec(&container.name, &spec, b"in\n", limit)
        .await
        .unwrap();
    assert_eq!(
        (
            said.stdout.as_slice(),
            said.stderr.as_slice(),
            said.exit_code
        ),
        (&b"in\n"[..], &b"e5\n"[..], 5)
    );
    // Every byte value and more than one frame, both ways.
    let data: Vec<u8> = (0..1_000_000_u32)
        .map(|i| u8::try_from(i * 7 % 251).unwrap())
        .collect();
    let said = engine
        .exec(&container.name, &ExecSpec::new(["/bin/cat"]), &data, limit)
        .await
        .unwrap();
    assert!(said.stdout == data);
    let missing = engine
        .exec(&container.name, &ExecSpec::new(["/nowhere"]), b"", limit)
        .await;
    assert!(
        missing.as_ref().is_err() || missing.is_ok_and(|said| [126, 127].contains(&said.exit_code))
    );
    let long = ExecLimit { bytes: 10, ..limit };
    let error = engine
        .exec(&container.name, &ExecSpec::new(["/bin/yes"]), b"", long)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer to `exec /bin/yes` is longer than 10 bytes"
    );
    let (id, mut io) = engine
        .exec_duplex(&container.name, &ExecSpec::new(["/bin/cat"]))
        .await
        .unwrap();
    io.write_all(b"ping").await.unwrap();
    let mut echo = [0; 4];
    io.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"ping");
    io.shutdown().await.unwrap();
    assert_eq!(io.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    drop(id);
    container.remove().await;
}

#[tokio::test]
async fn a_helper_is_attached_before_its_start() {
    let engine = engine().await;
    let body = json!({"Entrypoint": ["/bin/sh", "-c", "echo begin; cat"], "OpenStdin": true, "StdinOnce": true, "AttachStdin": true,
        "HostConfig": {"LogConfig": {"Type": "none"}}});
    let container = Container::create(&engine, body).await;
    let mut io = engine.container_attach(&container.name).await.unwrap();
    engine.container_start(&container.name).await.unwrap();
    io.write_all(b"data\n").await.unwrap();
    io.shutdown().await.unwrap();
    let mut said = Vec::new();
    io.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"begin\ndata\n");
    assert_eq!(
        engine
            .container_wait(&container.name, MINUTE)
            .await
            .unwrap(),
        0
    );
    container.remove().await;
}

#[tokio::test]
async fn files_go_into_a_container_that_never_ran_and_come_back() {
    let engine = engine().await;
    let container = Container::create(&engine, json!({})).await;
    let tar = tar_of("hello.txt", b"hello");
    engine
        .put_archive(
            &container.name,
            "/tmp",
            Upload::stream(std::io::Cursor::new(tar.clone())),
        )
        .await
        .unwrap();
    engine
        .put_archive(&container.name, "/tmp", tar.into())
        .await
        .unwrap();
    let (stat, mut stream) = engine
        .get_archive(&container.name, "/tmp/hello.txt")
        .await
        .unwrap();
    assert_eq!(
        (stat.name.as_str(), stat.size, stat.mode),
        ("hello.txt", 5, 0o640)
    );
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(&back[512..517], b"hello");
    assert!(
        engine
            .get_archive(&container.name, "/nowhere")
            .await
            .unwrap_err()
            .is_not_found()
    );
    container.remove().await;
}

#[tokio::test]
async fn volumes_and_images_are_made_and_removed() {
    let engine = engine().await;
    let name = fresh();
    let labels = BTreeMap::from([("who".to_owned(), "test".to_owned())]);
    let volume = engine.volume_create(&name, &labels).await.unwrap();
    assert_eq!(volume.labels, labels);
    assert_eq!(
        engine
            .volumes_list(&Filters::none().with("name", &name))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        engine.volume_inspect(&name).await.unwrap().0.driver,
        "local"
    );
    engine.volume_remove(&name).await.unwrap();
    assert!(
        engine
            .volume_inspect(&name)
            .await
            .unwrap_err()
            .is_not_found()
    );

    engine.image_tag(IMAGE, &name, "one").await.unwrap();
    let tagged = format!("{name}:one");
    let (detail, _) = engine.image_inspect(&tagged).await.unwrap();
    assert_eq!(detail.os, "linux");
    let saved = engine.image_save(&tagged).await.unwrap();
    let report = engine.image_load(Upload::stream(saved)).await.unwrap();
    assert_eq!(report, [format!("Loaded image: {tagged}")]);
    assert!(
        engine
            .images_list(false, &Filters::none().with("reference", &tagged))
            .await
            .unwrap()
            .len()
            == 1
    );
    engine.image_remove(&tagged, false).await.unwrap();
    assert!(
        engine
            .image_inspect(&tagged)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        engine
            .build_prune(false, &Filters::none().with("id", "nothing"))
            .await
            .unwrap()
            .caches_deleted
            .is_empty()
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_or_hangs_ends_in_time() {
    let folder = std::env::temp_dir().join(fresh());
    let listener = tokio::net::UnixListener::bind(&folder).unwrap();
    let timeouts = Timeouts {
        connect: Duration::from_millis(200),
        look: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let error = Engine::connect(Endpoint::Unix(folder.clone()), None, timeouts)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no answer to `GET /_ping` within 200ms");
    drop(listener);
    let error = Engine::connect(Endpoint::Unix(folder), None, timeouts)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "could not reach the engine");
}

/// A tar with one file: ustar header, content, two empty blocks.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000640\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = [&header[..], content].concat();
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}
