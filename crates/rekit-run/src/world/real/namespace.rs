//! The way of an account without root to the state of its own rootless daemon, whose files belong to subordinate ids: rekit's static helper
//! inside a user namespace, the daemon's own while that runs.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use rekit_archive::{Archive, ArchiveWriter, Progress, buildkit_state_rules, wire};
use rekit_core::event::Event;
use tempfile::TempPath;

use super::{
    Answer, WorldError,
    archive::{STATE_TREE, on_thread},
    helper::HELPER,
};

/// A program inside a user namespace in which this account is root.
pub(super) struct Inside {
    child: Child,
    /// Goes when the program has ended.
    _program: Option<TempPath>,
}

impl Inside {
    /// Starts the helper: in the namespace of the daemon of this number, else in one of its own.
    pub(super) fn helper(home: &Path, daemon: Option<u32>, arguments: &[&str]) -> Answer<Self> {
        let failed = |error| WorldError::failed("rekit's helper cannot be written", error);
        let mut file = tempfile::Builder::new()
            .prefix(".helper-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempfile_in(home)
            .map_err(failed)?;
        file.write_all(HELPER).map_err(failed)?;
        // A file that is open for writing cannot be run.
        let program = file.into_temp_path();
        let path = program.display().to_string();
        let words = [&[path.as_str()], arguments].concat();
        Self::start(daemon, &words, Some(program))
    }

    fn start(daemon: Option<u32>, words: &[&str], program: Option<TempPath>) -> Answer<Self> {
        let pid = daemon.map(|pid| pid.to_string());
        let entry = match &pid {
            Some(pid) => vec![
                "nsenter",
                "--user",
                "--preserve-credentials",
                "--target",
                pid,
            ],
            None => vec!["unshare", "--user", "--map-root-user", "--map-auto"],
        };
        let name = entry[0];
        let child = Command::new(name)
            .args(&entry[1..])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.map_err(|error| {
            let what = format!(
                "`{name}` does not start (it is in the package util-linux; the state of a rootless daemon is reached through it, or as root)"
            );
            WorldError::failed(what, error)
        })?;
        Ok(Self {
            child,
            _program: program,
        })
    }

    /// Waits for the end; what the program said is the error if it failed.
    fn end(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // Without its words there is still its exit code.
            stderr.read_to_string(&mut said).ok();
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(super::docker::last_words(&said, |_| false))
        }
    }

    /// Packs the state as the helper sends it.
    pub(super) async fn pack(
        mut self,
        mut writer: ArchiveWriter,
        listener: &dyn Fn(Event),
    ) -> Answer<ArchiveWriter> {
        let work = move |progress: &mut dyn FnMut(Progress)| {
            let ends = self.child.stdout.take().zip(self.child.stdin.take());
            let (mut stdout, mut stdin) = ends.ok_or("its pipes are gone")?;
            let ends: (&mut dyn Read, &mut dyn Write) = (&mut stdout, &mut stdin);
            let received = writer.receive_tree(STATE_TREE, &buildkit_state_rules(), ends, progress);
            let received = received.map(drop);
            drop(stdin);
            self.end()?;
            received.map_err(|error| rekit_core::fact::chain(&error))?;
            Ok(writer)
        };
        let packed: Result<_, String> = on_thread(listener, 0, work).await?;
        packed.map_err(|why| WorldError::failed("the rootless state cannot be archived", why))
    }

    /// Unpacks an archived state through the helper.
    pub(super) async fn unpack(mut self, archive: Archive, listener: &dyn Fn(Event)) -> Answer<()> {
        let work = move |progress: &mut dyn FnMut(Progress)| {
            let ends = self.child.stdout.take().zip(self.child.stdin.take());
            let (mut stdout, mut stdin) = ends.ok_or("its pipes are gone")?;
            let (sent, answered) = std::thread::scope(|scope| {
                let sending = scope.spawn(move || wire::send(&archive, STATE_TREE, &mut stdin));
                let answered = wire::answer(&mut stdout, progress);
                (sending.join(), answered)
            });
            let ended = self.end();
            answered.map_err(|error| rekit_core::fact::chain(&error))?;
            ended?;
            match sent {
                Ok(sent) => sent.map_err(|error| rekit_core::fact::chain(&error)),
                Err(_) => Err("sending broke off".to_owned()),
            }
        };
        let unpacked: Result<(), String> = on_thread(listener, 0, work).await?;
        unpacked.map_err(|why| WorldError::failed("the rootless state cannot be brought back", why))
    }
}

/// Empties a folder of a rootless state.
pub(super) fn empty(folder: &Path) -> Answer<()> {
    let folder = folder.display().to_string();
    let words = ["find", folder.as_str(), "-mindepth", "1", "-delete"];
    let ended = Inside::start(None, &words, None)?.end();
    ended.map_err(|why| WorldError::failed(format!("`{folder}` cannot be emptied"), why))
}
