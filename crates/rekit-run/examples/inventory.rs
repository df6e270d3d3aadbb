//! Prints this machine's inventory as JSON: a debug entry until the program has its verb.

use std::io::Write as _;

use rekit_run::{
    inventory::{Limits, inventory},
    world::environment::Surroundings,
};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let surroundings = Surroundings::of_this_process();
    let found = runtime.block_on(inventory(&surroundings, Limits::default()));
    // A disk that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &found)?;
    out.write_all(b"\n")?;
    Ok(())
}
