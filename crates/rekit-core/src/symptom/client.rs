//! What the docker command line, buildx and Compose say before any build begins.

use super::Symptom;

pub(super) const SYMPTOMS: &[Symptom] = &[
    Symptom {
        name: "plugin-missing",
        says: &[
            &["is not a docker command"],
            &["unknown command: docker buildx"],
            &["unknown command: docker compose"],
            &["buildx component is missing or broken"],
            &["DEPRECATED: The legacy builder"],
            &["buildx isn't installed"],
            &["unknown flag: --load"],
            &["unknown flag: --platform"],
        ],
        cause: "The docker command line finds no buildx: the plugin is not installed, lies under another name, or is a link into nowhere, which docker does not mention.",
        next: "install your distribution's buildx package, then look at `docker buildx version`",
        codes: &["RK110", "RK111"],
    },
    Symptom {
        name: "plugin-cannot-run",
        says: &[
            &["failed to fetch metadata", "exec format error"],
            &["failed to fetch metadata", "permission denied"],
            &["failed to fetch metadata", "no such file"],
            &["failed to fetch metadata: exit status"],
            &["Plugin", "is not valid"],
            &["panic: runtime error: slice bounds out of range"],
        ],
        cause: "A plugin's file is there but cannot run: another machine's program, a web page saved under its name, or without the execute bit. Compose panics on it.",
        next: "move that file aside and install the package again; keep the old file until the new one runs",
        codes: &["RK111"],
    },
    Symptom {
        name: "versions-apart",
        says: &[
            &["requires buildx 0."],
            &["client version", "is too old"],
            &["client version", "is too new"],
            &["Maximum supported API version"],
        ],
        cause: "Client and engine, or two plugins, are too far apart: an old copy in the home hides the packaged one, or DOCKER_API_VERSION pins a version.",
        next: "unset DOCKER_API_VERSION, move the old copy out of ~/.docker/cli-plugins, else update the older side",
        codes: &["RK112"],
    },
    Symptom {
        name: "store-of-another-user",
        says: &[
            &["/buildx/", "permission denied"],
            &["/.docker/", "permission denied"],
        ],
        cause: "Files of buildx's store belong to another user, usually root after one `sudo docker`.",
        next: "give just these files back with chown; do not delete them, they are the list of builders",
        codes: &["RK210", "RK209"],
    },
    Symptom {
        name: "credential-helper-missing",
        says: &[
            &["error getting credentials"],
            &["docker-credential-", "executable file not found"],
            &["docker-credential-", "Invalid argument"],
        ],
        cause: "config.json names a program that keeps registry passwords, and that program is not here: a rest of Docker Desktop, or a Windows one seen from WSL.",
        next: "remove `credsStore` (or the entry under `credHelpers`) from config.json and log in again",
        codes: &[],
    },
    Symptom {
        name: "context-of-windows",
        says: &[
            &["protocol not available"],
            &["Cannot load builder desktop-linux"],
        ],
        cause: "A Docker context names a Windows pipe, which cannot be dialled from here. Every listing of builders tries it, and some versions of the client crash on it.",
        next: "`rekit doctor --fix` removes the context after a backup; where the folder is shared with Windows, give WSL a DOCKER_CONFIG of its own",
        codes: &["RK101", "RK104"],
    },
    Symptom {
        name: "context-gone",
        says: &[
            &["unable to resolve docker endpoint"],
            &["is not found on the file system"],
            &["context not found"],
        ],
        cause: "The context in force does not exist: it was removed with Docker Desktop or another tool, and config.json or a variable still names it.",
        next: "`docker context use default`, and unset DOCKER_CONTEXT where it is set",
        codes: &["RK102", "RK105"],
    },
    Symptom {
        name: "context-unreadable",
        says: &[
            &["failed to read metadata: parsing"],
            &["docker endpoint for", "not found"],
        ],
        cause: "A context's meta.json is empty or damaged. buildx then blames the endpoint of `default`, which is a false lead.",
        next: "`rekit doctor` names the file; `rekit doctor --fix` moves it aside",
        codes: &["RK103"],
    },
    Symptom {
        name: "engine-does-not-answer",
        says: &[
            &["Cannot connect to the Docker daemon"],
            &["error during connect"],
            &["failed to connect to the docker API"],
        ],
        cause: "No engine answers at the endpoint in force: it is not started, the socket is another one, or the account may not open it.",
        next: "start the engine, look at `docker context ls` and DOCKER_HOST, and whether you are in the group `docker`",
        codes: &["RK105", "RK106"],
    },
    Symptom {
        name: "builder-missing",
        says: &[&["no builder", "found"]],
        cause: "Something names a builder that does not exist: BUILDX_BUILDER in the shell or a profile, `--builder` in a script, or the selection of a builder that was removed.",
        next: "unset BUILDX_BUILDER, `docker buildx use default`, or make the builder again under that name",
        codes: &["RK113", "RK204", "RK206"],
    },
    Symptom {
        name: "record-damaged",
        says: &[
            &["unexpected end of JSON input"],
            &["invalid character", "looking for beginning of value"],
        ],
        cause: "A JSON file of buildx or of the docker command line is empty or cut in half, after a power loss or on a full disk. One damaged record hides all builders.",
        next: "`rekit doctor` names the file; `rekit doctor --fix` moves it aside and keeps the cache",
        codes: &["RK201", "RK205", "RK103"],
    },
    Symptom {
        name: "stray-record",
        says: &[
            &["name needs to start with a letter"],
            &["/instances/", "is a directory"],
        ],
        cause: "A file or folder that is no builder lies among the builder records, such as an editor's backup.",
        next: "move it out of the folder `instances`; `rekit doctor --fix` does it",
        codes: &["RK202"],
    },
    Symptom {
        name: "driver-unknown",
        says: &[
            &["failed to find driver"],
            &["additional instances of driver", "cannot be created"],
            &["no valid drivers found"],
        ],
        cause: "A builder was made by another build of buildx, such as Docker Desktop's with its cloud builders; this one has no such driver.",
        next: "use the buildx that made it, or let `rekit doctor --fix` move the record aside: no data of it lies here",
        codes: &["RK212"],
    },
    Symptom {
        name: "removal-half-done",
        says: &[&["failed to remove one or more builders"]],
        cause: "buildx dropped the builder from its list and could not clean up after it: container or volume may be left.",
        next: "`rekit doctor` names what is left; `rekit clean` archives and removes it",
        codes: &["RK301", "RK302"],
    },
    Symptom {
        name: "stored-configuration-refused",
        says: &[&["failed to parse config"]],
        cause: "buildx parses the buildkitd.toml that a record holds, also before it removes the builder, and this one does not parse.",
        next: "`rekit doctor` underlines the place; `rekit reinstall` corrects it, with the old text kept",
        codes: &["RK401"],
    },
    Symptom {
        name: "stopped-builder",
        says: &[&["container", "is not running"]],
        cause: "The builder's container is stopped; listing or pruning its cache does not start it.",
        next: "`docker buildx inspect --bootstrap BUILDER`",
        codes: &["RK307"],
    },
    Symptom {
        name: "legacy-builder",
        says: &[
            &["COPY failed: file not found"],
            &["unknown flag: --secret"],
            &["unknown flag: --mount"],
        ],
        cause: "The legacy builder built, not BuildKit: DOCKER_BUILDKIT=0 is set somewhere, or buildx is missing.",
        next: "unset DOCKER_BUILDKIT in the shell, its profile and the CI settings",
        codes: &["RK114", "RK110"],
    },
    Symptom {
        name: "snap-confinement",
        says: &[&["/var/lib/snapd/void"]],
        cause: "Docker was installed as a snap, which sees nothing outside the home.",
        next: "build from a folder in the home, or install the engine from your distribution or Docker's packages",
        codes: &[],
    },
    Symptom {
        name: "kubernetes-not-reached",
        says: &[
            &["replicas to be ready"],
            &["cannot determine Kubernetes namespace"],
        ],
        cause: "A builder of the kubernetes driver has no cluster: the kubeconfig is gone, the quota is used up, or the deployment was deleted.",
        next: "look at the kubeconfig in force and at the deployments of the builder's namespace",
        codes: &[],
    },
];
