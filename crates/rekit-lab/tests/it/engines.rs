//! Every engine, image store and buildx of the table really works, side by side.

use crate::{lab, run};
use rekit_lab::{ImageStore, LabOptions, versions};
use std::{fs, thread};

#[test]
fn every_engine_boots_a_builder_in_parallel_labs() {
    let mut kinds = Vec::new();
    for (number, engine) in versions::ENGINES.iter().enumerate() {
        for image_store in [ImageStore::Graphdriver, ImageStore::Containerd] {
            let buildx = versions::versions_of("buildx")
                .nth(number)
                .unwrap()
                .to_owned();
            kinds.push(LabOptions {
                engine: engine.version.to_owned(),
                buildx,
                image_store,
                desktop: false,
            });
        }
    }
    thread::scope(|scope| {
        for kind in kinds {
            scope.spawn(move || builds(&kind));
        }
    });
}

fn builds(options: &LabOptions) {
    let lab = lab(options.clone());
    assert!(
        lab.docker(&["version", "--format", "{{.Server.Version}}"])
            .unwrap()
            .starts_with(&options.engine)
    );
    assert!(
        lab.docker(&["buildx", "version"])
            .unwrap()
            .contains(&options.buildx)
    );
    let driver = lab.docker(&["info", "--format", "{{.Driver}}"]).unwrap();
    assert_eq!(
        driver.trim(),
        if options.image_store == ImageStore::Containerd {
            "overlayfs"
        } else {
            "overlay2"
        }
    );
    for version in versions::versions_of("buildkit") {
        lab.buildkit_image(version).unwrap();
        let name = format!("b{}", version.replace('.', "-"));
        lab.docker(&["buildx", "create", "--name", &name, "--bootstrap"])
            .unwrap();
        assert!(
            lab.docker(&["buildx", "inspect", &name])
                .unwrap()
                .contains(&format!("v{version}"))
        );
        fs::write(
            lab.home().join("project/Dockerfile"),
            "FROM scratch\nCOPY Dockerfile /\n",
        )
        .unwrap();
        let (good, text) = run(
            &lab,
            &[
                "docker",
                "buildx",
                "build",
                "--builder",
                &name,
                "--output",
                "type=cacheonly",
                ".",
            ],
        );
        assert!(good, "{text}");
    }
}

#[test]
fn desktop_is_a_second_engine() {
    let lab = lab(LabOptions {
        desktop: true,
        ..LabOptions::default()
    });
    let ids = [
        &["info", "--format", "{{.ID}}"][..],
        &["--context", "desktop-linux", "info", "--format", "{{.ID}}"],
    ]
    .map(|words| {
        let output = lab
            .command("docker")
            .args(words)
            .env_remove("DOCKER_HOST")
            .env(
                "DOCKER_HOST",
                if words.len() == 3 {
                    lab.env()["DOCKER_HOST"].as_str()
                } else {
                    ""
                },
            )
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert!(ids.iter().all(|id| !id.trim().is_empty()));
    assert_ne!(ids[0], ids[1]);
    assert!(
        lab.home()
            .join(".docker/desktop/settings-store.json")
            .exists()
    );
}

#[test]
fn an_engine_comes_back_with_its_files() {
    let lab = lab(LabOptions::default());
    lab.docker(&["volume", "create", "kept"]).unwrap();
    let before = lab.engine_pid().unwrap();
    lab.stop_engine().unwrap();
    assert!(!run(&lab, &["docker", "ps"]).0);
    lab.start_engine().unwrap();
    assert_ne!(lab.engine_pid().unwrap(), before);
    assert!(lab.volume("kept").unwrap().exists());
}

#[test]
fn a_wrong_version_is_named() {
    let wrong = LabOptions {
        engine: "19.03".to_owned(),
        ..LabOptions::default()
    };
    assert_eq!(
        rekit_lab::Lab::up(wrong).unwrap_err().to_string(),
        "the lab has no engine `19.03`; it has 28.5, 26.1"
    );
}
