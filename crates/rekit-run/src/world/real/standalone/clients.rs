//! Who is connected to a daemon: the sockets that it accepted, by the kernel's own tables.

use std::collections::BTreeSet;

use procfs::{
    ProcResult,
    net::{TcpState, UnixState},
    process::{FDTarget, Process},
};

/// Returns the sockets through which somebody is connected to one on which the process listens.
pub(super) fn of(pid: u32) -> ProcResult<BTreeSet<u64>> {
    let process = Process::new(pid.cast_signed())?;
    let mut own = BTreeSet::new();
    for file in process.fd()? {
        if let Ok(FDTarget::Socket(inode)) = file.map(|file| file.target) {
            own.insert(inode);
        }
    }
    // An accepted socket bears the path of the one that listened, a socket that the process connected itself bears none.
    let is_client = |state: &UnixState| *state == UnixState::CONNECTED;
    let sockets = process.unix()?.into_iter();
    let sockets = sockets.filter(|it| is_client(&it.state) && it.path.is_some());
    let unix = sockets.map(|it| it.inode);
    let mut sockets = process.tcp()?;
    sockets.extend(process.tcp6().unwrap_or_default()); // Not every kernel has it.
    sockets.retain(|it| own.contains(&it.inode));
    let listens = sockets.iter().filter(|it| it.state == TcpState::Listen);
    let ports: BTreeSet<u16> = listens.map(|it| it.local_address.port()).collect();
    let is_client = |state: &TcpState| *state == TcpState::Established;
    sockets.retain(|it| is_client(&it.state) && ports.contains(&it.local_address.port()));
    let tcp = sockets.iter().map(|it| it.inode);
    Ok(unix
        .chain(tcp)
        .filter(|inode| own.contains(inode))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{TcpListener, TcpStream},
        os::{
            fd::AsFd,
            unix::net::{UnixListener, UnixStream},
        },
    };

    /// Returns whether a socket of this process is one of a client.
    fn is_of_a_client(socket: &impl AsFd) -> bool {
        let inode = rustix::fs::fstat(socket).unwrap().st_ino;
        of(std::process::id()).unwrap().contains(&inode)
    }

    #[test]
    fn who_is_connected_is_seen_and_whom_the_process_itself_calls_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        let called = UnixStream::connect(&path).unwrap();
        let accepted = unix.accept().unwrap().0;
        assert!(is_of_a_client(&accepted));
        assert!(!is_of_a_client(&called) && !is_of_a_client(&unix));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let called = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let accepted = tcp.accept().unwrap().0;
        assert!(is_of_a_client(&accepted));
        assert!(!is_of_a_client(&called) && !is_of_a_client(&tcp));
        drop(called);
        // The other end is gone, which the kernel says at once.
        assert!(!is_of_a_client(&accepted));
    }
}
