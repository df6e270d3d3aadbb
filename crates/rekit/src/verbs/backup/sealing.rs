//! Who can open an exported file: recipients and identities from the command line.

use std::path::{Path, PathBuf};

use rekit_run::{
    sealing::{Identities, Recipients, SealingError},
    world::host::{self, Outlet},
};

use crate::{call::Call, exit::Exit, failure::Failure};

/// For whom a file is encrypted; nobody named: everybody can open it.
#[derive(Debug, clap::Args)]
pub(crate) struct Sealing {
    /// Encrypt for this age recipient (`age1…`); may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Encrypt for the age recipients in this file, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    recipients_file: Vec<PathBuf>,
}

impl Sealing {
    /// Returns the recipients; `None` for none.
    pub(super) fn recipients(&self, call: &Call<'_>) -> Result<Option<Recipients>, Failure> {
        let named = self.recipient.iter().enumerate();
        let mut texts: Vec<_> = named
            .map(|(number, text)| (format!("`--recipient` number {}", number + 1), text.clone()))
            .collect();
        for file in &self.recipients_file {
            let path = call.surroundings.working_folder().join(file);
            let text = host::read_text(&path);
            let text = text.map_err(|error| unreadable(&path, &error))?;
            texts.push((format!("`{}`", path.display()), text));
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let recipients = Recipients::parse(&texts).map_err(|error| failed(&error))?;
        Ok(Some(recipients))
    }
}

/// Returns the outlet, encrypting if there are recipients.
pub(super) fn sealed(
    recipients: Option<&Recipients>,
    out: Box<dyn Outlet>,
) -> Result<Box<dyn Outlet>, Failure> {
    match recipients {
        None => Ok(out),
        Some(recipients) => recipients.seal(out).map_err(|error| failed(&error)),
    }
}

/// Returns the identities in a file.
pub(super) fn identities(call: &Call<'_>, file: &Path) -> Result<Identities, Failure> {
    let path = call.surroundings.working_folder().join(file);
    let bytes = host::read(&path, host::READ_LIMIT).map_err(|error| unreadable(&path, &error))?;
    Identities::parse(&format!("`{}`", path.display()), &bytes).map_err(|error| failed(&error))
}

fn unreadable(path: &Path, error: &host::ReadError) -> Failure {
    let message = format!("`{}` cannot be read", path.display());
    Failure::new(Exit::Misuse, "no-file", message).because(error.to_string())
}

/// Says why a file cannot be encrypted or opened, and what to do. Keys are never in it.
pub(super) fn failed(error: &SealingError) -> Failure {
    let of = |exit, code| Failure::of(exit, code, error);
    match error {
        SealingError::Locked => of(Exit::Misuse, "encrypted")
            .then("`--identity FILE` with the private key of one of its recipients")
            .then("or, with age itself: `age -d -i KEY FILE | rekit backup import -`"),
        SealingError::OfOthers => of(Exit::Misuse, "encrypted")
            .then("ask whoever exported it for whom it is encrypted")
            .then("a key that age opens and rekit does not (SSH, plugin, passphrase): `age -d -i KEY FILE | rekit backup import -`"),
        SealingError::Recipient { .. } | SealingError::NoRecipient { .. } => {
            of(Exit::Misuse, "no-recipient")
                .then("`age-keygen -y KEYFILE` prints the recipient of a private key; other kinds (SSH, plugins): `rekit backup export ARCHIVE - | age -r …`")
        }
        SealingError::Identity { .. } => of(Exit::Misuse, "no-identity").then(
            "`age-keygen -o FILE` writes such a file; one with a passphrase: `age -d FILE | rekit backup import -`",
        ),
        SealingError::Damaged => of(Exit::Refused, "archive-faulty")
            .then("export the archive again where it came from, and compare the `sha256sum` of both files"),
        SealingError::Broken(_) => of(Exit::Failed, "world"),
        SealingError::NotBuiltIn => of(Exit::Misuse, "not-built-in")
            .then("pipe through age itself: `rekit backup export ARCHIVE - | age -r …`, `age -d … | rekit backup import -`"),
    }
}
