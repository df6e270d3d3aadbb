//! Where taking a step back can fail, and what to do then.

use crate::undo::Undo;

/// A point at which a step of the way back can fail: what is seen, and what helps.
pub(super) type Pitfall = (&'static str, &'static str);

const ENGINE_SILENT: Pitfall = (
    "`Cannot connect to the Docker daemon`",
    "start the engine (`systemctl start docker`, or Docker Desktop) and run the step again; what it did before stays done",
);
const ARCHIVE_DAMAGED: Pitfall = (
    "`sha256sum` names a file that does not match",
    "the archive is damaged: nothing was removed by this step. Take the same archive from where a copy of it is kept (`rekit backup export`), \
     put it in this place and run the step again; without a copy, leave this step out: the builder then begins with an empty cache",
);
const DISK_FULL: Pitfall = (
    "`No space left on device`",
    "make room on that disk, other than in rekit's own directory, and run the step again from its first line",
);
const NOT_ALLOWED: Pitfall = (
    "`Permission denied` or `Operation not permitted`",
    "run the step as the account that ran rekit, or as root; the owner of what is put back is then to be set as its neighbours have it",
);
const BLOB_GONE: Pitfall = (
    "a file below `blobs/` is missing or of another size",
    "the same bytes lie in this run's archive whose name ends in `-configuration`: its `RESTORE.md` says how one file is taken out of it",
);
const SOMEBODYS_VOLUME: Pitfall = (
    "a volume of that name is there already",
    "look whose it is (`docker volume inspect`): where somebody made it since, rename or remove it first, or the archive would be unpacked over it",
);

/// Returns the points at which an undo can fail.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of undo")]
pub(super) fn pitfalls(undo: &Undo) -> &'static [Pitfall] {
    match undo {
        Undo::Nothing {} => &[],
        Undo::DropPartialArchive { .. } => &[NOT_ALLOWED],
        Undo::RestoreFile { .. } => &[
            (
                "`STOP: somebody changed this file since`",
                "keep a copy of the file as it is and compare it with the blob that the command names. Where that change may go, remove the file and \
                 run the step again; where it must stay, put it into the blob's content by hand",
            ),
            BLOB_GONE,
            NOT_ALLOWED,
        ],
        Undo::RestoreTree { .. } => &[
            (
                "`tar -d` tells of a difference in time or owner alone",
                "the content is back; set what differs by hand if it matters",
            ),
            BLOB_GONE,
            NOT_ALLOWED,
        ],
        Undo::RemoveTree { .. } | Undo::RemoveSocket { .. } => &[
            (
                "somebody uses it by now",
                "leave it where it is: it harms nothing that the other steps bring back",
            ),
            NOT_ALLOWED,
        ],
        Undo::RestoreSocket { .. } => &[
            (
                "`perl` is not found, or `Address already in use`",
                "leave this step out: nobody listened on this socket, and a daemon that needs one makes it",
            ),
            NOT_ALLOWED,
        ],
        Undo::RemoveNode { .. } => &[
            (
                "the container does not stop",
                "a build still runs on it: wait for its end, or cut it with `docker kill` once its owner agrees. Its cache stays in its volume",
            ),
            ENGINE_SILENT,
        ],
        Undo::RestoreContainerState { .. } => &[
            (
                "the container starts and ends again, or the proof does not end with 0 within a minute",
                "`docker logs` of it says why. A configuration that the daemon refuses comes back with an earlier step: see that none was left out; \
                 a lock of its state (`buildkitd.lock`) means that another daemon still runs on the same volume: stop that one first",
            ),
            (
                "`No such container`",
                "it was removed since: where a step below makes it again, take that one first; else boot the builder anew with \
                 `docker buildx inspect --bootstrap`, which finds its volume by name",
            ),
            ENGINE_SILENT,
        ],
        Undo::RecreateContainer { .. } => &[
            (
                "`curl: (22)` with 404: the image is not there",
                "load it from this run's archive of the image, or pull it; then run the step again",
            ),
            (
                "`jq` or `curl` is not found",
                "install it; or let `docker buildx inspect --bootstrap` make the container, which finds its volume by name",
            ),
            ENGINE_SILENT,
        ],
        Undo::RestoreVolume { .. } => &[
            ARCHIVE_DAMAGED,
            SOMEBODYS_VOLUME,
            (
                "`tar` cannot set attributes, or the volume's folder is not there",
                "work as root on the engine's own machine, with GNU tar: else the cache would build wrong images. Empty the volume and run the step \
                 again from its first line",
            ),
            DISK_FULL,
            ENGINE_SILENT,
        ],
        Undo::RecreateVolume { .. } => &[SOMEBODYS_VOLUME, ENGINE_SILENT],
        Undo::RemoveRecreatedVolume { .. } | Undo::RemoveRecreated { .. } => &[
            (
                "it is in use",
                "stop the container that uses it and run the step again",
            ),
            ENGINE_SILENT,
        ],
        Undo::RemoveRestored { .. } | Undo::EmptyFolder { .. } => {
            &[ARCHIVE_DAMAGED, NOT_ALLOWED, ENGINE_SILENT]
        }
        Undo::ForgetMounts { .. } => &[
            (
                "a cache mount stays in use",
                "wait for the builds that use it and run the step again",
            ),
            ENGINE_SILENT,
        ],
        Undo::StartEngine { .. } => &[(
            "the engine does not answer within a minute",
            "its own log says why (`journalctl -u docker`); nothing of this run keeps it from starting but a step below that is still to be taken",
        )],
        Undo::StopEngine { .. } => &[(
            "the engine still answers",
            "something starts it again: a socket unit (`systemctl stop docker.socket`) or a supervisor; stop that first",
        )],
        Undo::RestoreEngine { .. } | Undo::RestoreState { .. } => {
            &[ARCHIVE_DAMAGED, DISK_FULL, NOT_ALLOWED]
        }
        Undo::StartDaemon { .. } => &[
            (
                "the daemon ends again at once",
                "its log, or `journalctl` of its service, says why; a lock of its state (`buildkitd.lock`) means that another daemon still runs on it: \
                 stop that one first",
            ),
            BLOB_GONE,
            NOT_ALLOWED,
        ],
        Undo::StopDaemon { .. } => &[
            (
                "the daemon does not end",
                "a build still runs on it: wait for its end, then run the step again",
            ),
            NOT_ALLOWED,
        ],
        Undo::UnparkState { .. } | Undo::ParkState { .. } => &[
            (
                "`mv` says that the place is taken, or that it is busy",
                "a daemon works there: stop it first. Never merge the two folders: each is one whole cache",
            ),
            NOT_ALLOWED,
        ],
    }
}
