//! The engines of a run, each dialled once.

use rekit_buildkit::{Endpoint, Engine, Timeouts, TlsMaterial};
use rekit_core::name::HostId;

use super::{Answer, RealWorld, WorldError};

/// How to dial a host. Holds credentials: never printed, never stored.
#[derive(Clone)]
pub struct Address {
    /// Where it is.
    pub endpoint: Endpoint,
    /// TLS, where it is spoken.
    pub tls: Option<TlsMaterial>,
}

impl RealWorld<'_> {
    /// Returns the engine of a host, dialled once.
    pub(crate) async fn engine(&self, host: &HostId) -> Answer<Engine> {
        let mut engines = self.engines.lock().await;
        if let Some(engine) = engines.get(host) {
            return Ok(engine.clone());
        }
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            WorldError::failed(format!("engine `{host}` cannot be reached"), error)
        };
        let address = match self.addresses.get(host) {
            Some(address) => address.clone(),
            None => Address {
                endpoint: host
                    .as_str()
                    .parse()
                    .map_err(|error| failed(Box::new(error)))?,
                tls: None,
            },
        };
        let connected = Engine::connect(address.endpoint, address.tls, Timeouts::default()).await;
        let engine = connected.map_err(|error| failed(Box::new(error)))?;
        engines.insert(host.clone(), engine.clone());
        Ok(engine)
    }
}
