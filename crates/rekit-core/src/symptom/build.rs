//! What a build says while it runs.

use super::Symptom;

pub(super) const SYMPTOMS: &[Symptom] = &[
    Symptom {
        name: "foreign-program",
        says: &[&["exec format error"]],
        cause: "A step ran a program of another platform, and no emulator serves it inside containers: emulators are registered in the kernel and gone after a reboot.",
        next: "`rekit doctor` tells which platforms are emulated; register the emulators again, so that they last (flag F)",
        codes: &["RK501", "RK502", "RK503"],
    },
    Symptom {
        name: "emulator-crashes",
        says: &[
            &["qemu: uncaught target signal"],
            &["exit status 139"],
            &["exit code: 139"],
        ],
        cause: "The emulator of another platform crashed in a step; which programs do so depends on its version.",
        next: "take another version of the emulator, or a node of that platform",
        codes: &["RK502"],
    },
    Symptom {
        name: "driver-cannot-do-it",
        says: &[
            &["Multi-platform build is not supported"],
            &["Multiple platforms feature is currently not supported"],
            &["Cache export is not supported"],
            &["OCI exporter is not supported"],
            &["does not currently support exporting manifest lists"],
        ],
        cause: "The engine's own builder cannot do this on the classic image store.",
        next: "build with a builder in a container (`rekit install` makes one), or turn the containerd image store on",
        codes: &[],
    },
    Symptom {
        name: "image-store-switched",
        says: &[
            &["platform unknown not supported"],
            &["content digest sha256", "not found"],
        ],
        cause: "The engine changed its image store: images, containers and caches of the other one are out of sight, not lost.",
        next: "switch back to see them again; never switch in the middle of a reinstall",
        codes: &[],
    },
    Symptom {
        name: "step-out-of-memory",
        says: &[
            &["did not complete successfully: exit code: 137"],
            &["signal: killed"],
        ],
        cause: "A step was killed, most often because memory ran out.",
        next: "give the builder or Docker Desktop more memory, or lower `max-parallelism`",
        codes: &["RK308"],
    },
    Symptom {
        name: "not-in-the-context",
        says: &[
            &["failed to compute cache key", "not found"],
            &["failed to calculate checksum", "not found"],
        ],
        cause: "A file that COPY or ADD names is not in the build's context: another folder was given, or .dockerignore leaves it out.",
        next: "look at the path from the context's root, and at .dockerignore",
        codes: &[],
    },
    Symptom {
        name: "no-dockerfile",
        says: &[
            &["failed to read dockerfile", "no such file"],
            &["the Dockerfile", "cannot be empty"],
        ],
        cause: "There is no Dockerfile where the build looks for it.",
        next: "name it with `--file`, from the folder where the command is run",
        codes: &[],
    },
    Symptom {
        name: "no-such-target",
        says: &[&["target stage", "could not be found"]],
        cause: "The Dockerfile has no stage of the name that was asked for.",
        next: "look at `--target`, or at `target:` in the compose or bake file; names are compared without case",
        codes: &[],
    },
    Symptom {
        name: "dockerfile-error",
        says: &[&["dockerfile parse error"], &["unknown instruction"]],
        cause: "The Dockerfile has a line that its syntax does not know.",
        next: "the error names the line; `docker build --check .` finds more",
        codes: &[],
    },
    Symptom {
        name: "platform-not-in-image",
        says: &[
            &["no match for platform in manifest"],
            &["no matching manifest for"],
        ],
        cause: "The base image does not exist for a platform that is built for.",
        next: "`docker buildx imagetools inspect IMAGE` lists its platforms; take another base, or build for fewer",
        codes: &[],
    },
    Symptom {
        name: "entitlement-missing",
        says: &[
            &["granting entitlement", "is not allowed"],
            &["entitlement", "is not allowed"],
        ],
        cause: "The build asks for more than the daemon allows, such as the host's network or security.insecure.",
        next: "allow it in the builder's flags (`--allow-insecure-entitlement`) and in the build (`--allow`)",
        codes: &[],
    },
    Symptom {
        name: "solver-at-fault",
        says: &[
            &["failed to get state for index"],
            &["inconsistent graph state"],
        ],
        cause: "A known class of errors inside BuildKit, not damage of the state: many targets that share stages, or cache sources of which one is missing.",
        next: "try again, and take a newer BuildKit",
        codes: &[],
    },
];

/// What is said besides whatever else went wrong.
pub(super) const GENERAL: &[Symptom] = &[
    Symptom {
        name: "image-not-loaded",
        says: &[
            &["No output specified with", "driver"],
            &["result will only remain in the build cache"],
        ],
        cause: "A builder in a container keeps what it builds to itself: nothing was loaded into the engine, although the build succeeded.",
        next: "build with `--load` or `--push`, or select the engine's own builder with `docker buildx use default`",
        codes: &[],
    },
    Symptom {
        name: "own-command-failed",
        says: &[&["did not complete successfully: exit code"]],
        cause: "A command of the Dockerfile itself failed. BuildKit only reports it; the lines before say why.",
        next: "read the step's own output: `docker buildx history logs` shows it again",
        codes: &[],
    },
];
