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

/// Ends the packing also where `body` panics: what it marked is owned again, and the numbers that it
/// noted are in nobody's list.
struct PackingEnd;

impl Drop for PackingEnd {
    fn drop(&mut self) {
        PACKING.with_borrow_mut(|packing| {
            packing.is_on = false;
            packing.number += 1;
            packing.fds.clear();
        });
    }
}

/// Runs `body`, in which descriptors may be encoded; those that were and that nobody dropped before stay
/// open. Returns their numbers too.
fn packing<T>(body: impl FnOnce() -> T) -> (T, Vec<RawFd>) {
    PACKING.with_borrow_mut(|packing| packing.is_on = true);
    let _end = PackingEnd;
    let value = body();
    (
        value,
        PACKING.with_borrow_mut(|packing| std::mem::take(&mut packing.fds)),
    )
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

/// Runs `body`, which decodes one carry that holds `fds` and encodes another. Returns the descriptors
/// that it encoded; those that it did not encode are closed when the new code is confirmed.
pub(super) fn repack<T, E>(
    fds: &[RawFd],
    body: impl FnOnce() -> Result<T, E>,
) -> Result<(T, Vec<RawFd>), E> {
    let (outcome, packed) = packing(|| unpack(fds, body));
    let (value, unclaimed) = outcome?;
    unclaimed.close();
    Ok((value, packed))
}

/// Descriptors of a carry that its decoding did not claim.
#[must_use = "they are open: close them, or keep their numbers"]
pub(super) struct Unclaimed(Vec<RawFd>);

impl Unclaimed {
    /// Of a complement that nobody will read any more.
    pub(super) fn of(fds: Vec<RawFd>) -> Unclaimed {
        Unclaimed(fds)
    }

    /// They are nobody's.
    pub(super) fn close(self) {
        for fd in self.0 {
            drop(Descriptor {
                fd,
                packed_in: Cell::new(0),
            });
        }
    }

    /// They belong to whoever asks.
    pub(super) fn into_numbers(self) -> Vec<RawFd> {
        self.0
    }
}

/// Ends the time in which descriptors may be claimed, also where decoding panics.
struct ClaimEnd;

impl Drop for ClaimEnd {
    fn drop(&mut self) {
        CLAIMABLE.set(None);
    }
}

/// Decodes with `decode`, which may claim each of `fds` once. Where it fails, whatever it did not claim
/// stays as it is, for the version that goes on with the old carry.
pub(super) fn unpack<T, E>(
    fds: &[RawFd],
    decode: impl FnOnce() -> Result<T, E>,
) -> Result<(T, Unclaimed), E> {
    CLAIMABLE.set(Some(fds.iter().copied().collect()));
    let _end = ClaimEnd;
    let value = decode()?;
    let unclaimed = CLAIMABLE.take().unwrap_or_default();
    Ok((value, Unclaimed(unclaimed.into_iter().collect())))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn descriptor() -> Descriptor {
        let file = std::fs::File::open("/dev/null").expect("always there");
        Descriptor::from(OwnedFd::from(file))
    }

    fn is_open(fd: RawFd) -> bool {
        // SAFETY: asks for flags and keeps nothing.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).is_ok()
    }

    // R24
    #[test]
    fn a_packed_descriptor_stays_open_and_is_claimed_once() {
        let descriptor = descriptor();
        let fd = descriptor.as_fd().as_raw_fd();
        let (bytes, fds) = pack(descriptor, postcard::to_stdvec).expect("encoded");
        assert_eq!(fds, [fd]);
        assert!(is_open(fd));
        let (claimed, rest) =
            unpack(&fds, || postcard::from_bytes::<Descriptor>(&bytes)).expect("decoded");
        assert!(rest.into_numbers().is_empty());
        assert!(postcard::from_bytes::<Descriptor>(&bytes).is_err());
        drop(claimed);
        assert!(!is_open(fd));
    }

    // R24
    #[test]
    fn a_panic_while_packing_leaves_nothing_for_the_next_carry() {
        let lost = descriptor();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            packing(|| {
                postcard::to_stdvec(&lost).expect("encoded");
                panic!("in the middle");
            })
        }));
        assert!(panicked.is_err());
        assert!(
            postcard::to_stdvec(&lost).is_err(),
            "no carry is being encoded"
        );
        let stale = lost.as_fd().as_raw_fd();
        drop(lost);
        assert!(!is_open(stale), "it was owned again");
        let (_, fds) = pack(7_u8, postcard::to_stdvec).expect("encoded");
        assert!(fds.is_empty(), "{fds:?} are not of this carry");
    }

    // R24
    #[test]
    fn a_lens_that_keeps_a_descriptor_in_another_place_hands_it_on() {
        let (kept, dropped) = (descriptor(), descriptor());
        let numbers = (kept.as_fd().as_raw_fd(), dropped.as_fd().as_raw_fd());
        let (bytes, fds) = pack((kept, dropped), postcard::to_stdvec).expect("encoded");
        let (_, packed) = repack(&fds, || {
            let (kept, _): (Descriptor, Descriptor) = postcard::from_bytes(&bytes)?;
            postcard::to_stdvec(&kept)
        })
        .expect("rewritten");
        assert_eq!(packed, [numbers.0]);
        assert!(is_open(numbers.0) && !is_open(numbers.1));
    }

    // R24
    #[test]
    fn a_failed_decoding_closes_nothing_that_it_did_not_claim() {
        let descriptor = descriptor();
        let fd = descriptor.as_fd().as_raw_fd();
        let (_, fds) = pack(descriptor, postcard::to_stdvec).expect("encoded");
        assert!(unpack(&fds, || Err::<(), _>("no")).is_err());
        assert!(is_open(fd));
        Unclaimed::of(fds).close();
        assert!(!is_open(fd));
    }
}
