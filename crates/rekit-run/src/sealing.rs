//! Exported files that only some can open: encrypted with age, as `age -d` opens it. What passes is never on a disk in the clear.
//!
//! Invariant: no message holds a recipient or an identity, since one may be given in the place of the other.

#[cfg(feature = "age")]
mod age;
#[cfg(not(feature = "age"))]
#[path = "sealing/without.rs"]
mod age;

use std::io::{self, Chain, Cursor, Read};

pub use self::age::{Identities, Recipients};

/// How age files begin: as bytes, and as text.
const MAGIC: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED"];

/// A file cannot be encrypted or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// What should be a recipient is none.
    #[error("{place} is no age recipient: one begins with `age1`")]
    Recipient {
        /// Where it stands, without what it is.
        place: String,
    },
    /// A file names no recipient.
    #[error("{place} names no recipient")]
    NoRecipient {
        /// The file.
        place: String,
    },
    /// What should be a file of identities is none.
    #[error("{place} holds no age identity that can be used")]
    Identity {
        /// The file.
        place: String,
        /// Which line is wrong.
        source: io::Error,
    },
    /// The file is encrypted.
    #[error("the file is encrypted, and no identity was named that opens it")]
    Locked,
    /// The file is for others.
    #[error("none of the identities opens the file")]
    OfOthers,
    /// It begins like an encrypted file and is none.
    #[error("the encrypted file is damaged, or of a newer age")]
    Damaged,
    /// The bytes could not be read or written.
    #[error("the encrypted stream broke off")]
    Broken(#[source] io::Error),
    /// The program cannot do it.
    #[error("this rekit was built without encryption (feature `age`)")]
    NotBuiltIn,
}

/// Returns the bytes of an exported file, decrypted if it is encrypted.
pub(crate) fn opened(
    mut input: Box<dyn Read + Send>,
    identities: Option<&Identities>,
) -> Result<Box<dyn Read + Send>, SealingError> {
    let longest = MAGIC.map(<[u8]>::len).into_iter().max().unwrap_or(0);
    let mut head = Vec::new();
    let first = Read::take(&mut input, longest as u64).read_to_end(&mut head);
    first.map_err(SealingError::Broken)?;
    let is_sealed = MAGIC.iter().any(|magic| head.starts_with(magic));
    let whole: Chain<_, _> = Cursor::new(head).chain(input);
    match identities {
        _ if !is_sealed => Ok(Box::new(whole)),
        Some(identities) => identities.open(Box::new(whole)),
        None => Err(SealingError::Locked),
    }
}
