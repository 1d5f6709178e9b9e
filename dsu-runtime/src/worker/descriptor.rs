//! Descriptors that may cross in a carry.
//!
//! A carry is serde bytes; what stands in them for a descriptor is its number, which the next version
//! claims in the same process. Upholds R24: until the new code is confirmed, no descriptor of the
//! carry is closed, whatever the new code drops, so the old version can go on with all of them.
#![allow(unsafe_code)] // takes numbers for descriptors, within one process and once each

use crate::abi::WorkerContext;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// An owned descriptor that can be part of a carry. Closed when dropped.
#[derive(Debug)]
pub struct Descriptor {
    fd: RawFd,
    /// The packing in which it was handed on; see [`PACKING`].
    packed_in: Cell<u64>,
}

/// A carry being encoded.
struct Packing {
    /// Never 0 once a carry was packed; a failed packing is followed by another number, so that what
    /// it marked is owned again.
    number: u64,
    is_on: bool,
    fds: Vec<RawFd>,
}

thread_local! {
    static PACKING: RefCell<Packing> = const { RefCell::new(Packing { number: 1, is_on: false, fds: Vec::new() }) };
    static CLAIMABLE: RefCell<Option<HashSet<RawFd>>> = const { RefCell::new(None) };
}

/// Runs `body`, in which descriptors may be encoded; those that were and that nobody dropped before stay
/// open. Returns their numbers too.
fn packing<T>(body: impl FnOnce() -> T) -> (T, Vec<RawFd>) {
    PACKING.with_borrow_mut(|packing| packing.is_on = true);
    let value = body();
    PACKING.with_borrow_mut(|packing| {
        packing.is_on = false;
        packing.number += 1;
        (value, std::mem::take(&mut packing.fds))
    })
}

/// Encodes with `encode`, then drops `value`; descriptors that were encoded stay open and are returned
/// beside the result. If encoding fails, the value comes back, whole.
pub(super) fn pack<T, E>(
    value: T,
    encode: impl FnOnce(&T) -> Result<Vec<u8>, E>,
) -> Result<(Vec<u8>, Vec<RawFd>), (T, E)> {
    let (outcome, fds) = packing(|| match encode(&value) {
        Ok(bytes) => {
            drop(value);
            Ok(bytes)
        }
        Err(error) => Err((value, error)),
    });
    outcome.map(|bytes| (bytes, fds))
}

/// Runs `body`, which decodes one carry that holds `fds` and encodes another. Returns those that it encoded too;
/// the others are dropped.
pub(super) fn repack<T>(fds: &[RawFd], body: impl FnOnce() -> T) -> (T, Vec<RawFd>) {
    packing(|| {
        let (value, unclaimed) = unpack(fds, body);
        drop(unclaimed);
        value
    })
}

/// Decodes with `decode`, which may claim each of `fds` once. Returns those that nobody claimed too.
pub(super) fn unpack<T>(fds: &[RawFd], decode: impl FnOnce() -> T) -> (T, Vec<Descriptor>) {
    CLAIMABLE.set(Some(fds.iter().copied().collect()));
    let value = decode();
    let unclaimed = CLAIMABLE.take().unwrap_or_default().into_iter();
    let owned = |fd| Descriptor {
        fd,
        packed_in: Cell::new(0),
    };
    (value, unclaimed.map(owned).collect())
}

/// Gives up ownership: the numbers of descriptors that go into a parcel beside those of its carry.
pub(super) fn release(descriptors: Vec<Descriptor>) -> impl Iterator<Item = RawFd> {
    descriptors
        .into_iter()
        .map(|descriptor| std::mem::ManuallyDrop::new(descriptor).fd)
}

impl Descriptor {
    fn is_packed(&self) -> bool {
        let packed_in = self.packed_in.get();
        packed_in != 0
            && PACKING.with_borrow(|packing| packing.is_on && packing.number == packed_in)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.is_packed() {
            return;
        }
        let context = WorkerContext::current();
        if context.is_attached() && context.unconfirmed.get() != 0 {
            // SAFETY: the host set its table before it ran any library, and never frees it.
            let host = unsafe { &*context.host.get() };
            (host.close_when_confirmed)(self.fd);
            return;
        }
        // SAFETY: this value owns the descriptor: it came from an `OwnedFd`, or was claimed once from
        // a carry that owned it.
        drop(unsafe { OwnedFd::from_raw_fd(self.fd) });
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Descriptor {
            fd: fd.into_raw_fd(),
            packed_in: Cell::new(0),
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as this value lives.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl Serialize for Descriptor {
    /// Hands the descriptor on to the carry that is being encoded.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PACKING.with_borrow_mut(|packing| {
            if !packing.is_on || self.packed_in.get() == packing.number {
                return Err(ser::Error::custom(
                    "a descriptor can be encoded once, in a carry",
                ));
            }
            self.packed_in.set(packing.number);
            packing.fds.push(self.fd);
            Ok(())
        })?;
        serializer.serialize_i32(self.fd)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    /// Claims a descriptor of the carry that is being decoded.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fd = i32::deserialize(deserializer)?;
        let is_claimed = CLAIMABLE
            .with_borrow_mut(|claimable| claimable.as_mut().is_some_and(|fds| fds.remove(&fd)));
        if is_claimed {
            Ok(Descriptor {
                fd,
                packed_in: Cell::new(0),
            })
        } else {
            Err(de::Error::custom(format_args!(
                "descriptor {fd} is not part of this carry"
            )))
        }
    }
}
