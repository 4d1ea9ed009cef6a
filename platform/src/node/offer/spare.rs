//! A further onion service for the lanes of a large share: with introduction points and circuits of its own, so that long
//! transfers do not crowd those who come by the link. It is made anew at every start; peers learn its name in
//! conversations that are open already (DESIGN: "files over a size get their own").

use std::rc::Rc;

use log::debug;

use super::{Offer, publish_as};
use crate::net::{Address, ServiceKey};
use crate::node::PORT;
use crate::node::open::name_of;

/// Shares of fewer bytes do with the onion service of their link: a service costs six circuits and takes half a minute until
/// it is found, in which so much is moved.
pub(super) const LARGE: u64 = 64 << 20;

impl Offer {
    /// Keeps the further service, if the share is large enough, for as long as this is polled.
    pub(super) async fn keep_spare(self: &Rc<Self>) {
        if self.parts.size < LARGE {
            return;
        }
        let Ok(key) = ServiceKey::random() else { return };
        let address = key.address(PORT);
        let served = publish_as(self, &key, |up| self.set_spare(up.then_some(address))).await;
        self.set_spare(None);
        if let Err(why) = served {
            debug!("a large share has no further service: {why}");
        }
    }

    fn set_spare(&self, address: Option<Address>) {
        if self.spare.replace(address) != address
            && let Some(room) = self.current_room()
        {
            room.set_names(self.names());
        }
    }

    /// Names for the share's peers: the link's, then the further one.
    pub(super) fn names(&self) -> Vec<bulbil_core::peer::Name> {
        let all = std::iter::once(self.address()).chain(self.spare.get());
        all.filter_map(|address| name_of(address).as_slice().try_into().ok()).collect()
    }
}
