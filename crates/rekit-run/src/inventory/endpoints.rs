//! Endpoints: what docker would dial, under a name that holds no credential.

use std::path::PathBuf;

use rekit_core::{mask, name::HostId};

/// The files with which TLS is spoken to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// The authority that signed the engine's certificate.
    pub(super) authority: Option<PathBuf>,
    /// The client's certificate.
    pub(super) certificate: Option<PathBuf>,
    /// The client's key.
    pub(super) key: Option<PathBuf>,
    /// Whether the engine's certificate is not checked.
    pub(super) skip_verify: bool,
    /// The name to expect in the certificate instead of the host's.
    pub(super) server_name: Option<String>,
}

/// An endpoint to dial. Holds credentials: never leaves the collector.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// Its name in the inventory.
    pub(super) id: HostId,
    /// The address, as written.
    pub(super) address: String,
    /// TLS, where it is spoken.
    pub(super) tls: Option<TlsFiles>,
    /// Who names it.
    pub(super) named_by: Vec<String>,
}

/// Returns the name of an endpoint that can be dialled from here, or why it cannot.
pub(super) fn host_id(address: &str) -> Result<HostId, String> {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("unix" | "tcp" | "http" | "https" | "ssh") => {}
        Some("npipe") if cfg!(windows) => {}
        Some("npipe") => return Err("protocol not available".to_owned()),
        Some(other) => return Err(format!("protocol `{}` is not known", mask::text(other))),
        None if address.is_empty() => return Err("it names no endpoint".to_owned()),
        None => return Err("the endpoint has no protocol".to_owned()),
    }
    let shown = mask::url(address);
    let spaceless: String = shown
        .chars()
        .map(|c| {
            if c.is_whitespace() {
                "%20".to_owned()
            } else {
                c.to_string()
            }
        })
        .collect();
    spaceless.parse().map_err(|error| format!("{error}"))
}

/// The endpoints of a look, each once.
#[derive(Clone, Default)]
pub(super) struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// Adds an endpoint or, where it is there already, who else names it. Returns its name, or why it cannot be dialled.
    pub(super) fn add(
        &mut self,
        address: &str,
        tls: Option<TlsFiles>,
        named_by: String,
    ) -> Result<HostId, String> {
        let id = host_id(address)?;
        if let Some(known) = self.0.iter_mut().find(|known| known.id == id) {
            if !known.named_by.contains(&named_by) {
                known.named_by.push(named_by);
            }
            known.tls = known.tls.take().or(tls);
        } else {
            self.0.push(Endpoint {
                id: id.clone(),
                address: address.to_owned(),
                tls,
                named_by: vec![named_by],
            });
        }
        Ok(id)
    }

    /// Notes who else names a known endpoint.
    pub(super) fn also_named_by(&mut self, id: &HostId, named_by: String) {
        if let Some(known) = self.0.iter_mut().find(|known| &known.id == id)
            && !known.named_by.contains(&named_by)
        {
            known.named_by.push(named_by);
        }
    }

    /// Returns the endpoints in the order in which they were named.
    pub(super) fn all(&self) -> &[Endpoint] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_one_entry_and_no_password() {
        let mut endpoints = Endpoints::default();
        for named_by in ["DOCKER_HOST", "context a", "context a"] {
            endpoints
                .add("tcp://u:hunter2@h:2376", None, named_by.to_owned())
                .unwrap();
        }
        let [endpoint] = endpoints.all() else {
            panic!("one endpoint")
        };
        assert_eq!(endpoint.id.as_str(), "tcp://***@h:2376");
        assert_eq!(endpoint.named_by, ["DOCKER_HOST", "context a"]);
        assert_eq!(
            host_id("npipe:////./pipe/dockerDesktopLinuxEngine").unwrap_err(),
            "protocol not available"
        );
    }
}
