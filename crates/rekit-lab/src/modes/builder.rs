//! Builders made by the real buildx, for modes to damage.

use crate::{
    lab::Lab,
    versions::{BUILDER_TAG, BUILDKIT_DEFAULT},
};
use anyhow::Result;

/// Creates and boots builder `name` with one node `<name>0`, with further arguments of `create`; the builder image is made if it is missing.
pub(crate) fn boot(lab: &Lab, name: &str, arguments: &[&str]) -> Result<()> {
    if lab.docker(&["image", "inspect", BUILDER_TAG]).is_err() {
        lab.buildkit_image(BUILDKIT_DEFAULT)?;
    }
    lab.docker(
        &[
            &[
                "buildx",
                "create",
                "--name",
                name,
                "--node",
                &format!("{name}0"),
                "--bootstrap",
            ],
            arguments,
        ]
        .concat(),
    )?;
    Ok(())
}

/// Returns the container's name of the only node of builder `name`.
pub(crate) fn container(name: &str) -> String {
    format!("buildx_buildkit_{name}0")
}

/// Returns the state volume's name of the only node of builder `name`.
pub(crate) fn volume(name: &str) -> String {
    format!("buildx_buildkit_{name}0_state")
}
