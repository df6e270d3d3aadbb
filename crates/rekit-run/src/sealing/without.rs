//! In the place of encryption, where the program was built without it.

use std::io::Read;

use super::SealingError;
use crate::world::host::Outlet;

/// Nobody can be named.
#[derive(Debug)]
pub enum Recipients {}

/// Nothing can be opened.
#[derive(Debug)]
pub enum Identities {}

impl Recipients {
    /// Refuses.
    pub fn parse(_: &[(String, String)]) -> Result<Self, SealingError> {
        Err(SealingError::NotBuiltIn)
    }

    /// Cannot be called.
    pub fn seal(&self, _: Box<dyn Outlet>) -> Result<Box<dyn Outlet>, SealingError> {
        match *self {}
    }
}

impl Identities {
    /// Refuses.
    pub fn parse(_: &str, _: &[u8]) -> Result<Self, SealingError> {
        Err(SealingError::NotBuiltIn)
    }

    pub(super) fn open(
        &self,
        _: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, SealingError> {
        match *self {}
    }
}
