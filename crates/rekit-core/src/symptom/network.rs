//! What registries and the network say.

use super::Symptom;

pub(super) const SYMPTOMS: &[Symptom] = &[
    Symptom {
        name: "registry-is-plain",
        says: &[
            &["server gave HTTP response to HTTPS client"],
            &["first record does not look like a TLS handshake"],
        ],
        cause: "The registry speaks plain HTTP. The engine's `insecure-registries` reach only its own builder; others read their own buildkitd.toml.",
        next: "add `[registry.\"HOST:PORT\"]` with `http = true` to the builder's configuration; host and port must match exactly",
        codes: &[],
    },
    Symptom {
        name: "authority-unknown",
        says: &[
            &["certificate signed by unknown authority"],
            &["failed to read CA file"],
        ],
        cause: "A certificate's authority is not known inside the builder: the machine's trust store and /etc/docker/certs.d are not in its container.",
        next: "name the file with `ca = [\"…\"]` under the registry in buildkitd.toml; for ADD from the web, a builder image with the authority",
        codes: &[],
    },
    Symptom {
        name: "token-not-fetched",
        says: &[
            &["failed to fetch oauth token"],
            &["failed to fetch anonymous token"],
        ],
        cause: "The client, not the daemon, asks for the registry's token, and could not: a proxy that is set for one of them only, a wrong login, or no network.",
        next: "set the proxy for the shell too, log in again, and try the registry's address by hand",
        codes: &[],
    },
    Symptom {
        name: "proxy-option-cut",
        says: &[&["invalid value", "expecting k=v"]],
        cause: "A driver option with a comma was cut at it.",
        next: "quote the whole option inside: `--driver-opt '\"env.no_proxy=a,b\"'`",
        codes: &[],
    },
    Symptom {
        name: "pull-limit",
        says: &[&["toomanyrequests"], &["pull rate limit"]],
        cause: "The registry's limit of pulls is used up. A builder whose image is not here cannot be made meanwhile.",
        next: "log in, use a mirror, or wait; rekit keeps the builder's image in its archives",
        codes: &[],
    },
    Symptom {
        name: "builder-image-missing",
        says: &[
            &["failed to resolve reference", "moby/buildkit"],
            &["failed to verify image"],
        ],
        cause: "The image of the builder itself cannot be fetched or its signature not be checked.",
        next: "load it from an archive, or name a mirror with `--driver-opt image=…`",
        codes: &[],
    },
    Symptom {
        name: "access-denied",
        says: &[
            &["pull access denied"],
            &["requested access to the resource is denied"],
            &["insufficient_scope"],
            &["401 Unauthorized"],
        ],
        cause: "The registry does not let this account in, or the image exists only on the engine: a builder in a container cannot see the engine's images.",
        next: "`docker login`; for an image that was built here, push it or build with the engine's own builder",
        codes: &[],
    },
    Symptom {
        name: "large-packets-lost",
        says: &[&["TLS handshake timeout"]],
        cause: "Connections begin and then stall: often packets of the builder's network are larger than the way out takes (a VPN), or a proxy is missing.",
        next: "compare the MTU of the way out with the builder's; `--driver-opt network=` puts it on a network with a smaller one",
        codes: &[],
    },
    Symptom {
        name: "name-not-resolved",
        says: &[
            &["Temporary failure in name resolution"],
            &["no such host"],
            &["server misbehaving"],
        ],
        cause: "A name could not be resolved from inside the builder or the step.",
        next: "set `[dns]` in the builder's buildkitd.toml, or look at the machine's resolver (a VPN changes it)",
        codes: &[],
    },
    Symptom {
        name: "client-keys-misplaced",
        says: &[
            &["non-absolute path", "provided for"],
            &["certificate has expired"],
            &["tls: bad certificate"],
        ],
        cause: "The keys of a remote builder are not where its record says, have expired, or are for another name; a listing says only `inactive`.",
        next: "look at the paths and dates, and make the builder again with absolute paths",
        codes: &["RK312"],
    },
];
