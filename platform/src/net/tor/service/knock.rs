//! A stream that a published service has not taken yet.

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tor_cell::relaycell::msg::{Connected, End, EndReason};
use tor_hsservice::StreamRequest;

use super::ANSWER_DEADLINE;
use crate::net::NetError;
use crate::net::tor::TorStream;
use crate::net::tor::budget::Budget;

/// A stream request with the place it has on its circuit.
pub struct TorKnock {
    pub(super) request: StreamRequest,
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) port: u16,
    pub(super) circuit: u32,
    pub(super) budget: Budget,
}

impl std::fmt::Debug for TorKnock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TorKnock").field("port", &self.port).finish_non_exhaustive()
    }
}

impl TorKnock {
    pub(in crate::net) const fn port(&self) -> u16 {
        self.port
    }

    pub(in crate::net) const fn circuit(&self) -> u32 {
        self.circuit
    }

    pub(in crate::net) async fn accept(self) -> Result<TorStream, NetError> {
        match timeout(ANSWER_DEADLINE, self.request.accept(Connected::new_empty())).await {
            Ok(Ok(stream)) => Ok(TorStream::new(stream, Some(self.slot), &self.budget)),
            Ok(Err(_)) => Err(NetError::Failed),
            Err(_) => Err(NetError::Timeout),
        }
    }

    pub(in crate::net) async fn refuse(self) {
        refuse(self.request).await;
    }
}

/// Says no as every onion service does. A refusal that does not get through is as good as one that does.
pub(super) async fn refuse(request: StreamRequest) {
    let _ = timeout(ANSWER_DEADLINE, request.reject(End::new_with_reason(EndReason::DONE))).await;
}
