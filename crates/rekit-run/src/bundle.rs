//! `rekit doctor --bundle`: reads what a bundle wants, and writes it into one file. Looks only; needs no run and no home.

use std::{io, time::Duration};

use rekit_core::{
    bundle::{Bundle, RunLine, Source, Wanted, wanted},
    fact::chain,
    finding::Diagnosis,
    inventory::Inventory,
    next::RunEnd,
};

use crate::{
    journal::StoredRun,
    session::Session,
    world::{ForeignBytes, ReadWorld, WorldError, host::Outlet},
};

/// A file that is larger than this was not written by a person.
const LIMIT_BYTES: usize = 1 << 20;
/// How long a file or log is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The folder that all lies in once it is unpacked.
const FOLDER: &str = "rekit-bundle";

impl Session<'_> {
    /// Puts a bundle together for the machine of this inventory.
    pub async fn bundle(
        &self,
        program: &str,
        inventory: &Inventory,
        diagnosis: &Diagnosis,
    ) -> Bundle {
        let runs = match self.runs() {
            Ok(runs) if runs.is_empty() => None,
            Ok(runs) => Some(Ok(runs.iter().map(line).collect())),
            Err(error) => Some(Err(chain(&error))),
        };
        let mut bundle = Bundle::new((program, inventory), diagnosis, runs);
        collect(&self.world(), inventory, &mut bundle).await;
        bundle
    }
}

/// Reads all that is wanted, one after the other; what cannot be read is left out with its reason.
pub async fn collect(world: &impl ReadWorld, inventory: &Inventory, bundle: &mut Bundle) {
    for wanted in wanted(inventory) {
        let content = tokio::time::timeout(PATIENCE, read(world, &wanted)).await;
        let content = content.unwrap_or_else(|_| Err("it was not read in time".to_owned()));
        match content {
            Ok(content) => bundle.add(&wanted, Ok(content.expose())),
            Err(reason) => bundle.add(&wanted, Err(reason)),
        }
    }
}

async fn read(world: &impl ReadWorld, wanted: &Wanted) -> Result<ForeignBytes, String> {
    let why = |error: WorldError| chain(&error);
    let content = match &wanted.source {
        Source::Log(host, container) => world.last_lines(host, container).await.map_err(why)?,
        Source::File(path) => {
            let found = world.read_file(path).await.map_err(why)?;
            found.ok_or("it is not there any more")?.0
        }
    };
    if content.expose().len() > LIMIT_BYTES {
        return Err(format!("it is larger than {LIMIT_BYTES} bytes"));
    }
    Ok(content)
}

/// Tells a run in one line.
fn line(run: &StoredRun) -> RunLine {
    let state = match run.state().ended() {
        None => "open",
        Some(RunEnd::Done) => "done",
        Some(RunEnd::RolledBack) => "rolled back",
        Some(RunEnd::Stuck) => "stuck",
    };
    RunLine {
        run: run.plan.run.clone(),
        purpose: run.plan.purpose,
        began: run.began,
        steps: run.plan.steps.len(),
        state: state.to_owned(),
    }
}

/// Writes a bundle as a plain tar, every file readable by its owner alone.
pub fn write(bundle: &Bundle, mut out: Box<dyn Outlet>) -> io::Result<()> {
    let mut tar = tar::Builder::new(&mut out);
    for entry in bundle.entries() {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(entry.text.len() as u64);
        header.set_mtime(u64::try_from(bundle.taken().as_second()).unwrap_or_default());
        let path = format!("{FOLDER}/{}", entry.path);
        tar.append_data(&mut header, path, entry.text.as_bytes())?;
    }
    tar.finish()?;
    drop(tar);
    out.finish()
}
