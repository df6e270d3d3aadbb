//! Errors as programs really print them, and the cause that must come first. From reproductions on engine 28.5, buildx 0.29 and 0.36.

use rekit_core::symptom::{recognise, symptoms};

const SEEN: &[(&str, &str)] = &[
    (
        "image-not-loaded",
        "WARNING: No output specified with docker-container driver. Build result will only remain in the build cache. To push result image into registry use --push or to load image into docker use --load",
    ),
    (
        "plugin-missing",
        "docker: unknown command: docker buildx\n\nRun 'docker --help' for more information",
    ),
    (
        "plugin-missing",
        "Docker Compose is configured to build using Bake, but buildx isn't installed",
    ),
    (
        "plugin-cannot-run",
        "WARNING: Plugin \"/root/.docker/cli-plugins/docker-buildx\" is not valid: failed to fetch metadata: fork/exec /root/.docker/cli-plugins/docker-buildx: exec format error",
    ),
    (
        "plugin-cannot-run",
        "failed to fetch metadata: exit status 127",
    ),
    (
        "plugin-cannot-run",
        "panic: runtime error: slice bounds out of range [:-1]",
    ),
    (
        "versions-apart",
        "compose build requires buildx 0.17 or later",
    ),
    (
        "versions-apart",
        "Error response from daemon: client version 1.20 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
    ),
    (
        "store-of-another-user",
        "ERROR: open /home/u/.docker/buildx/current: permission denied",
    ),
    (
        "credential-helper-missing",
        "error getting credentials - err: exec: \"docker-credential-desktop.exe\": executable file not found in $PATH, out: ``",
    ),
    (
        "context-of-windows",
        "Cannot load builder desktop-linux: protocol not available",
    ),
    (
        "context-gone",
        "unable to resolve docker endpoint: context \"gone\": context not found: open /root/.docker/contexts/meta/ab/meta.json: no such file or directory",
    ),
    (
        "context-unreadable",
        "ERROR: docker endpoint for \"default\" not found",
    ),
    (
        "engine-does-not-answer",
        "Cannot connect to the Docker daemon at unix:///home/u/.docker/desktop/docker.sock. Is the docker daemon running?",
    ),
    ("builder-missing", "ERROR: no builder \"ghost\" found"),
    ("record-damaged", "ERROR: unexpected end of JSON input"),
    (
        "record-damaged",
        "ERROR: invalid character '\\x00' looking for beginning of value",
    ),
    (
        "stray-record",
        "ERROR: invalid name mybuilder.bak~, name needs to start with a letter and may not contain symbols, except ._-",
    ),
    ("driver-unknown", "ERROR: failed to find driver \"cloud\""),
    (
        "removal-half-done",
        "ERROR: failed to remove one or more builders",
    ),
    (
        "disk-full",
        "ERROR: failed to build: ResourceExhausted: failed to read dockerfile: write /var/lib/buildkit/runc-overlayfs/snapshots/snapshots/6/fs/Dockerfile: no space left on device",
    ),
    (
        "disk-full-at-prune",
        "failed to delete metadata of a1: write /var/lib/buildkit/runc-overlayfs/metadata_v2.db: no space left on device",
    ),
    (
        "engine-refuses-its-collection",
        "error initializing buildkit: error creating buildkit instance: could not get builder GC policy: filters expect only one value: [a b]",
    ),
    (
        "configuration-refused",
        "buildkitd: failed to load config from /etc/buildkit/buildkitd.toml: invalid disk space 20 gigs",
    ),
    ("configuration-refused", "unhandled kv part: bool"),
    (
        "crash-loop",
        "Error response from daemon: Container a2ace666 is restarting, wait until the container is running",
    ),
    (
        "stopped-builder",
        "Error response from daemon: container 03e33d is not running",
    ),
    (
        "database-damaged",
        "panic: invalid freelist page: 3, page type is leaf",
    ),
    (
        "snapshots-lost",
        "failed to prepare bsu as xjk: parent snapshot bsu does not exist: not found",
    ),
    (
        "snapshots-lost",
        "ERROR: failed to walk: resolve : lstat /var/lib/docker/volumes/v/_data/runc-overlayfs/snapshots/snapshots/1: no such file or directory",
    ),
    (
        "blob-lost",
        "blob sha256:aaaa expected at /var/lib/buildkit/content/blobs/sha256/aaaa: blob not found: not found",
    ),
    (
        "cache-index-reset",
        "level=error msg=\"failed to open database file /var/lib/buildkit/cache.db, resetting to empty. Old database is backed up to /var/lib/buildkit/cache.db.0.bak\"",
    ),
    (
        "daemon-ended-in-a-build",
        "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
    ),
    (
        "daemon-does-not-answer",
        "ERROR: listing workers: failed to list workers: context deadline exceeded",
    ),
    (
        "foreign-program",
        "#6 0.102 exec /bin/sh: exec format error",
    ),
    (
        "driver-cannot-do-it",
        "ERROR: Multi-platform build is not supported for the docker driver.",
    ),
    (
        "step-out-of-memory",
        "ERROR: process \"/bin/sh -c npm run build\" did not complete successfully: exit code: 137",
    ),
    (
        "own-command-failed",
        "ERROR: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1",
    ),
    (
        "emulator-crashes",
        "qemu: uncaught target signal 11 (Segmentation fault) - core dumped",
    ),
    (
        "not-in-the-context",
        "ERROR: failed to compute cache key: failed to calculate checksum of ref x::y: \"/package.json\": not found",
    ),
    (
        "no-dockerfile",
        "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
    ),
    (
        "solver-at-fault",
        "failed to get state for index 0 on [build 3/7] RUN make",
    ),
    (
        "legacy-builder",
        "COPY failed: file not found in build context or excluded by .dockerignore: stat busybox-: file does not exist",
    ),
    (
        "registry-is-plain",
        "failed to do request: Head \"https://127.0.0.1:5000/v2/x/manifests/latest\": http: server gave HTTP response to HTTPS client",
    ),
    (
        "authority-unknown",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    (
        "proxy-option-cut",
        "ERROR: invalid value \"b\", expecting k=v",
    ),
    (
        "pull-limit",
        "toomanyrequests: You have reached your unauthenticated pull rate limit.",
    ),
    (
        "client-keys-misplaced",
        "ERROR: non-absolute path \"ca.pem\" provided for cacert",
    ),
    (
        "kubernetes-not-reached",
        "expected 1 replicas to be ready, got 0",
    ),
];

#[test]
fn errors_as_they_are_printed_name_their_cause_first() {
    let mut wrong = Vec::new();
    for (name, text) in SEEN {
        let causes = recognise(text, &[]);
        let first = causes.likely.first().map(|cause| cause.name.as_str());
        if first != Some(name) {
            wrong.push(format!("{name}: {first:?} first\n  {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_output_of_a_build_that_went_well_names_nothing() {
    let text = "#0 building with \"team\" instance using docker-container driver\n\
                #1 [internal] load build definition from Dockerfile\n#1 transferring dockerfile: 154B done\n#1 DONE 0.0s\n\
                #5 [1/2] FROM docker.io/library/node:22@sha256:5145c882f9e32f07dd7593962045d97f221d57a1b609f5bf7a807eb89deff9d6\n\
                #5 CACHED\n#6 [2/2] RUN npm ci --no-audit\n#6 4.2 added 812 packages in 4s\n#6 DONE 4.4s\n#7 exporting to image\n#7 DONE 0.1s\n";
    assert_eq!(recognise(text, &[]).likely, []);
    assert!(symptoms().count() >= 50);
}
