//! age, by its own crate: recipients and identities of X25519, streams in chunks of 64 KiB.

use std::io::{self, BufReader, Read, Write};

use age::{
    DecryptError, Decryptor, EncryptError, Encryptor, IdentityFile, armor::ArmoredReader,
    stream::StreamWriter, x25519,
};

use super::SealingError;
use crate::world::host::Outlet;

/// Who can open what is exported. Public keys.
pub struct Recipients(Vec<x25519::Recipient>);

/// What opens files: private keys. Has no `Debug`.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Recipients {
    /// Reads texts with one recipient a line; each text has a name for messages. Empty lines and `#` say nothing.
    pub fn parse(texts: &[(String, String)]) -> Result<Self, SealingError> {
        let mut recipients = Vec::new();
        for (place, text) in texts {
            let before = recipients.len();
            for (number, line) in text.lines().map(str::trim).enumerate() {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let recipient = line.parse().map_err(|_| SealingError::Recipient {
                    place: format!("line {} of {place}", number + 1),
                })?;
                recipients.push(recipient);
            }
            if recipients.len() == before {
                return Err(SealingError::NoRecipient {
                    place: place.clone(),
                });
            }
        }
        Ok(Self(recipients))
    }

    /// Returns an outlet that encrypts what it is given.
    pub fn seal(&self, out: Box<dyn Outlet>) -> Result<Box<dyn Outlet>, SealingError> {
        let recipients = self.0.iter().map(|recipient| recipient as _);
        let encryptor = Encryptor::with_recipients(recipients).map_err(unsealed)?;
        let stream = encryptor.wrap_output(out).map_err(SealingError::Broken)?;
        Ok(Box::new(Sealed(stream)))
    }
}

impl Identities {
    /// Reads a file of identities; `place` is its name for messages.
    pub fn parse(place: &str, bytes: &[u8]) -> Result<Self, SealingError> {
        let failed = |source| SealingError::Identity {
            place: place.to_owned(),
            source,
        };
        // Its errors name the line, and not what stands in it.
        let file = IdentityFile::from_buffer(bytes).map_err(failed)?;
        let identities = file.into_identities().map_err(|_| SealingError::OfOthers)?;
        if identities.is_empty() {
            return Err(failed(io::Error::other("there is no line with one")));
        }
        Ok(Self(identities))
    }

    pub(super) fn open(
        &self,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, SealingError> {
        let input = ArmoredReader::new(BufReader::with_capacity(256 << 10, input));
        let decryptor = Decryptor::new_buffered(input).map_err(unopened)?;
        let identities = self
            .0
            .iter()
            .map(|identity| &**identity as &dyn age::Identity);
        let stream = decryptor.decrypt(identities).map_err(unopened)?;
        Ok(Box::new(stream))
    }
}

/// An outlet whose bytes are encrypted. One that is not finished lacks its last chunk, without which nobody takes it for whole.
struct Sealed(StreamWriter<Box<dyn Outlet>>);

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Outlet for Sealed {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()?.finish()
    }
}

fn unsealed(error: EncryptError) -> SealingError {
    match error {
        EncryptError::Io(source) => SealingError::Broken(source),
        _ => SealingError::NoRecipient {
            place: "the command line".to_owned(),
        },
    }
}

fn unopened(error: DecryptError) -> SealingError {
    match error {
        DecryptError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            SealingError::Broken(source)
        }
        DecryptError::NoMatchingKeys => SealingError::OfOthers,
        _ => SealingError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::super::opened;
    use super::*;
    use crate::world::host::Pipe;
    use std::sync::{Arc, Mutex};

    /// A place in memory that outlives the outlet.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sealed(identity: &x25519::Identity, bytes: &[u8], finish: bool) -> Vec<u8> {
        let recipient = identity.to_public().to_string();
        let recipients = Recipients::parse(&[("here".to_owned(), recipient)]).unwrap();
        let memory = Memory::default();
        let mut out = recipients.seal(Box::new(Pipe(memory.clone()))).unwrap();
        out.write_all(bytes).unwrap();
        if finish {
            out.finish().unwrap();
        }
        memory.0.lock().unwrap().clone()
    }

    fn read(file: &[u8], identity: x25519::Identity) -> Result<Vec<u8>, String> {
        let identities = Identities(vec![Box::new(identity)]);
        let input = Box::new(io::Cursor::new(file.to_vec()));
        let mut plain = opened(input, Some(&identities)).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let read = plain.read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_sealed_is_opened_whole_or_not_at_all() {
        let identity = x25519::Identity::generate();
        let bytes = vec![b'x'; 200_000];
        let file = sealed(&identity, &bytes, true);
        assert!(!file.windows(16).any(|window| window == [b'x'; 16]));
        assert!(read(&file, identity.clone()) == Ok(bytes.clone()));
        read(&file, x25519::Identity::generate()).unwrap_err();
        let unfinished = sealed(&identity, &bytes, false);
        read(&unfinished, identity.clone()).unwrap_err();
        for place in [30, 190, file.len() / 2, file.len() - 1] {
            let mut flipped = file.clone();
            flipped[place] ^= 1;
            read(&flipped, identity.clone()).unwrap_err();
            read(&file[..place], identity.clone()).unwrap_err();
        }
    }

    #[test]
    fn what_is_not_encrypted_passes_and_what_is_needs_an_identity() {
        let open = |bytes: &'static [u8]| opened(Box::new(bytes), None);
        for plain in [&b""[..], b"age", b"./one/"] {
            let mut bytes = Vec::new();
            open(plain).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, plain);
        }
        let locked = open(b"age-encryption.org/v1\n").err();
        assert!(matches!(locked, Some(SealingError::Locked)));
    }
}
