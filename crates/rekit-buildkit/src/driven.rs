//! The one place where a task is spawned: hyper splits a connection into a handle and a future that must be driven meanwhile.
use std::future::Future;

use tokio::task::JoinHandle;

/// A connection's driver; dropping it ends the connection.
#[derive(Debug)]
pub(crate) struct Driven(JoinHandle<()>);

impl Driven {
    /// Starts to drive the connection. Its error is dropped on purpose: the request on it fails with the same cause.
    pub(crate) fn start<F>(connection: F) -> Self
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "hyper's connection must run beside its requests; `Drop` aborts it, so it never outlives its owner"
        )]
        let handle = tokio::spawn(async move {
            connection.await;
        });
        Self(handle)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}
