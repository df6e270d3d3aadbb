//! Every mode: its name in the catalogue, what is wrong then, the variables that are part of it, and the function that plants it.

use super::{
    Mode, client, configuration, contexts, daemons, disks, endpoints, first_user, network, objects,
    permissions, selection, store,
};
use crate::lab::Lab;
use anyhow::Result;

const fn mode(slug: &'static str, summary: &'static str, plant: fn(&Lab) -> Result<()>) -> Mode {
    Mode {
        slug,
        summary,
        variables: &[],
        plant,
    }
}

const fn with(mode: Mode, variables: &'static [(&'static str, Option<&'static str>)]) -> Mode {
    Mode { variables, ..mode }
}

pub(super) static MODES: &[Mode] = &[
    mode(
        "npipe-context-ghost",
        "context `desktop-linux` names a Windows pipe",
        contexts::npipe_context_ghost,
    ),
    with(
        mode(
            "dead-current-context",
            "config.json selects a context that is gone",
            contexts::dead_current_context,
        ),
        &[("DOCKER_HOST", None)],
    ),
    mode(
        "context-metadata-garbage",
        "a context's meta.json is empty",
        contexts::context_metadata_garbage,
    ),
    mode(
        "instance-file-corrupt",
        "the record of builder `cut` ends half-way; its container and volume live",
        store::instance_file_corrupt,
    ),
    mode(
        "stray-file-in-instances",
        "an editor's backup and a folder lie in instances/",
        store::stray_file_in_instances,
    ),
    mode(
        "selection-silently-reset",
        "`current` names a builder that is gone",
        store::selection_silently_reset,
    ),
    mode("many-records", "500 builder records", store::many_records),
    mode(
        "refs-and-activity-leftovers",
        "refs/ and activity/ of a builder that is gone",
        store::refs_and_activity_leftovers,
    ),
    mode(
        "root-owned-store",
        "the home is a user's, files of buildx's store in it are root's",
        permissions::root_owned_store,
    ),
    mode(
        "unreadable-directory",
        "the home is a user's, folders of BuildKit's configuration can't be read",
        permissions::unreadable_directory,
    ),
    mode(
        "orphan-state-volume",
        "the state volume of builder `orphan`, its container and record gone",
        objects::orphan_state_volume,
    ),
    mode(
        "foreign-container-under-our-name",
        "a container that is no BuildKit bears the name of builder `cf`'s",
        objects::foreign_container,
    ),
    mode(
        "hung-daemon",
        "the daemon of builder `hung` is stopped by SIGSTOP",
        objects::hung_daemon,
    ),
    mode(
        "rootless-daemon-json-gc",
        "the daemon.json of an engine without root has a rule that no engine takes",
        configuration::rootless_engine_gc,
    ),
    mode(
        "gc-keys-renamed-or-partial",
        "builder `gc` runs with one of three limits",
        configuration::gc_keys,
    ),
    mode(
        "toml-keys-ignored",
        "builder `typo` runs with keys that nobody reads",
        configuration::toml_keys_ignored,
    ),
    mode(
        "standalone-config-invalid",
        "a buildkitd.toml in the home that buildkitd refuses",
        configuration::standalone_config_invalid,
    ),
    mode(
        "unreachable-node",
        "three remote builders: closed port, no listener, no answer",
        endpoints::unreachable_node,
    ),
    mode(
        "builder-selection-split-brain",
        "builder `sel` is selected, and `docker build` builds elsewhere",
        selection::selected,
    ),
    mode(
        "rm-exit-code-misleads",
        "a builder was removed, the default that names it was not",
        selection::removed_default,
    ),
    mode(
        "driver-not-available",
        "the record of a cloud builder, whose driver is not here",
        selection::cloud,
    ),
    with(
        mode(
            "wsl-two-stores",
            "two stores name the same container; BUILDX_CONFIG leads to the second",
            selection::two_stores,
        ),
        &[("BUILDX_CONFIG", Some("{home}/.windows/buildx"))],
    ),
    mode(
        "store-lock-stall",
        "another process holds the store's lock",
        client::store_lock,
    ),
    mode(
        "buildx-plugin-missing",
        "docker without its buildx plugin",
        client::plugin_missing,
    ),
    mode(
        "buildx-plugin-broken-file",
        "the plugin is a downloaded error page",
        client::plugin_is_a_page,
    ),
    mode(
        "buildx-plugin-other-machine",
        "the plugin is a program of another processor",
        client::plugin_of_another_machine,
    ),
    mode(
        "buildx-plugin-not-executable",
        "the plugin may not be executed",
        client::plugin_not_executable,
    ),
    mode(
        "buildx-plugin-dangling-link",
        "the plugin is a link into a program that was removed",
        client::plugin_dangling_link,
    ),
    mode(
        "version-skew",
        "an old buildx that Compose refuses",
        client::old_plugin,
    ),
    with(
        mode(
            "version-skew-api",
            "DOCKER_API_VERSION is older than what the engine takes",
            client::only_variables,
        ),
        &[("DOCKER_API_VERSION", Some("1.20"))],
    ),
    mode(
        "credential-helper-missing",
        "config.json names the program of a Desktop that is gone",
        client::credential_helper,
    ),
    with(
        mode(
            "builder-env-names-missing-builder",
            "BUILDX_BUILDER names no builder",
            client::only_variables,
        ),
        &[("BUILDX_BUILDER", Some("ghost"))],
    ),
    mode(
        "profile-names-missing-builder",
        "a shell's profile names no builder and turns BuildKit off",
        client::profile,
    ),
    with(
        mode(
            "legacy-builder-forced",
            "DOCKER_BUILDKIT=0",
            client::only_variables,
        ),
        &[("DOCKER_BUILDKIT", Some("0"))],
    ),
    mode(
        "orphan-container-adopted-with-old-config",
        "builder `orc` adopted a container that was left behind",
        daemons::adopted,
    ),
    mode(
        "settings-change-not-applied",
        "builder `upd` has a setting that its container has not",
        daemons::not_applied,
    ),
    mode(
        "toml-or-flag-crash-loop",
        "the daemon of builder `loop` refuses a flag for ever",
        daemons::bad_flag,
    ),
    mode(
        "stored-toml-blocks-rm",
        "the record of builder `stored` holds a configuration that does not parse",
        daemons::stored_configuration,
    ),
    mode(
        "buildkit-image-unavailable",
        "builder `bare` cannot boot: no image, no network",
        daemons::no_image,
    ),
    mode(
        "stopped-builder-commands-fail",
        "builder `idle` is stopped",
        daemons::stopped,
    ),
    mode(
        "daemon-killed-mid-build",
        "a build on builder `lean` ran out of memory",
        daemons::out_of_memory,
    ),
    mode(
        "binfmt-lost-after-reboot",
        "builder `wide` promises a platform without an emulator",
        daemons::lost_platform,
    ),
    mode(
        "cachedb-reset",
        "the daemon of builder `index` put its damaged cache index aside",
        daemons::cache_index,
    ),
    mode(
        "metadata-db-crash-loop",
        "a damaged database keeps the daemon of builder `meta` from starting",
        daemons::metadata,
    ),
    mode(
        "containerdmeta-lost",
        "the daemon of builder `names` has lost the names of its layers",
        daemons::layer_names,
    ),
    mode(
        "snapshot-directories-missing",
        "somebody deleted the layers of builder `layers`",
        daemons::layer_folders,
    ),
    mode(
        "blob-missing",
        "the packed files of builder `blobs` are gone",
        daemons::blobs,
    ),
    mode(
        "cache-fills-disk",
        "the limits of builder `tight` are larger than its disk",
        disks::small,
    ),
    mode(
        "prune-deadlock-on-full-disk",
        "the disk under builder `full` is full",
        disks::full,
    ),
    mode(
        "image-store-switch",
        "the engine was switched to containerd's store while builder `mig` ran",
        disks::switched,
    ),
    mode(
        "daemon-json-gc-kills-engine",
        "the engine does not start with its daemon.json",
        disks::engine_down,
    ),
    mode(
        "gc-keepduration-pins-everything",
        "each rule of builder `young` spares what was used lately",
        configuration::gc_keep_duration,
    ),
    mode(
        "daemon-settings-not-inherited",
        "builder `plain` lacks the engine's mirror and registry without TLS",
        network::daemon_settings,
    ),
    mode(
        "corporate-ca-missing",
        "builder `trust` lacks the authority of a registry",
        network::authority,
    ),
    mode(
        "proxy-only-half-set",
        "builder `direct` lacks the proxy that RUN has",
        network::proxy,
    ),
    mode(
        "remote-tls-paths",
        "the certificates of remote builder `far` are gone",
        network::certificates,
    ),
    mode(
        "kubernetes-pods",
        "the cluster of builder `kube` cannot be reached: no configuration",
        network::cluster,
    ),
    with(
        mode(
            "desktop-leftovers",
            "what a removed Docker Desktop leaves: context, selection, plugin, helper",
            network::desktop_leftovers,
        ),
        &[("DOCKER_HOST", None)],
    ),
    mode(
        "first-user",
        "the whole machine of the first user (--cache small|full)",
        first_user::plant_small,
    ),
];
