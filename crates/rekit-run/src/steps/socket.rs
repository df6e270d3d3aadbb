//! Steps that remove a socket on which nobody listens, or make it again.

use rekit_core::{name::HostPath, next::Observed, socket::DeadSocket, step::Action, undo::Undo};

use crate::world::{ReadWorld, SocketState, WorldError};

/// A new socket of that name is somebody's: the one that was meant is gone, and there is nothing to do.
pub(super) async fn observe_removal<W: ReadWorld>(
    path: &HostPath,
    socket: &DeadSocket,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.socket(path).await? {
        SocketState::Dead(found) if found == *socket => Observed::Before,
        _ => Observed::After,
    })
}

/// Whatever lies there by now stays.
pub(super) async fn observe_restoring<W: ReadWorld>(
    path: &HostPath,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.socket(path).await? {
        SocketState::Absent => Observed::Before,
        _ => Observed::After,
    })
}

pub(super) fn prepare_undo(action: &Action) -> Undo {
    match action {
        Action::RemoveSocket { path, socket } => Undo::RestoreSocket {
            path: path.clone(),
            socket: socket.clone(),
        },
        Action::RestoreSocket { path, socket } => Undo::RemoveSocket {
            path: path.clone(),
            socket: socket.clone(),
        },
        other => unreachable!("BUG: `{}` is no socket step", other.kind()),
    }
}
