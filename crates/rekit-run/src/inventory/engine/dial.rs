//! From an endpoint as docker writes it to a connection.

use std::path::Path;

use rekit_buildkit::TlsMaterial;
use rekit_core::{fact, mask};

use crate::{inventory::endpoints::TlsFiles, world::host};

/// The largest certificate or key.
const PEM_LIMIT: u64 = 1 << 20;

/// Reads the TLS files of an endpoint, or says which cannot be read.
pub(in crate::inventory) fn tls_material(files: &TlsFiles) -> Result<TlsMaterial, String> {
    let read = |path: &Path| {
        host::read(path, PEM_LIMIT).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let identity = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    Ok(TlsMaterial {
        ca: files
            .authority
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default(),
        identity,
        skip_verify: files.skip_verify,
        server_name: files.server_name.clone(),
    })
}

/// Says why something did not answer, in one line without secrets.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    mask::text(&fact::chain(error))
}
