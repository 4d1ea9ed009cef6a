//! Client authorization, our side of it: Arti looks the key up by address while it connects, so it is lent for
//! exactly that long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tor_keymgr::KeystoreSelector;

use super::{Client, onion};
use crate::net::{AccessKey, Address, NetError};

/// The keys that connects in progress use. Bounded by their number.
#[derive(Debug, Default)]
pub(super) struct AccessBook {
    lent: Mutex<HashMap<[u8; 32], (AccessKey, usize)>>,
    returned: Notify,
}

/// Takes the key away again when the last connect that needs it is over.
pub(super) struct Loan {
    book: Arc<AccessBook>,
    client: Arc<Client>,
    address: Address,
}

impl AccessBook {
    /// Lends the key for `address` to Arti. Waits while another key for the same address is in use.
    pub(super) async fn lend(
        self: &Arc<Self>,
        client: &Arc<Client>,
        address: Address,
        access: &AccessKey,
    ) -> Result<Loan, NetError> {
        loop {
            let returned = self.returned.notified();
            if self.try_lend(client, address, access)? {
                return Ok(Loan { book: Arc::clone(self), client: Arc::clone(client), address });
            }
            returned.await; // the caller's deadline bounds this
        }
    }

    fn try_lend(&self, client: &Arc<Client>, address: Address, access: &AccessKey) -> Result<bool, NetError> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, users)) = lent.get_mut(&address.key) {
            if held != access {
                return Ok(false);
            }
            *users = users.saturating_add(1);
            return Ok(true);
        }
        client
            .insert_service_discovery_key(
                KeystoreSelector::Primary,
                onion::hsid(address),
                onion::access_secret(access),
            )
            .map_err(|_| NetError::Local("Tor did not take the key of the link; start the node again"))?;
        lent.insert(address.key, (access.clone(), 1));
        Ok(true)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut lent = self.book.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, users)) = lent.get_mut(&self.address.key) else { return };
        *users = users.saturating_sub(1);
        if *users == 0 {
            lent.remove(&self.address.key);
            let removed = self
                .client
                .remove_service_discovery_key(KeystoreSelector::Primary, onion::hsid(self.address));
            if removed.is_err() {
                log::warn!(
                    "a client key could not be taken out of Tor's memory; it stays until the node stops"
                );
            }
            self.book.returned.notify_waiters();
        }
    }
}
