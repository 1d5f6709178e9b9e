//! Crossing: the private state of a worker on its way from one version to the next (R24).
//!
//! Owns the encoding of a carry and the run of a worker function around it. Must never know which
//! version comes next.

use super::carried::Carry;
use super::cx::{Surroundings, Worker};
use super::descriptor::{Descriptor, pack, release, repack, unpack};
use crate::abi::{RewriteFn, TypeSchema, WorkerContext, WorkerRecord};
use crate::error::{RunError, WorkerError};
use crate::expansion::{decode, encode};
use crate::version;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::atomic::Ordering;

/// How a worker function ends: with a crossing, or an error that ends the worker.
pub type Step<C> = Result<Crossing<C>, WorkerError>;

/// A worker function's state at an update point, ready to be taken over.
#[must_use = "return it: the runtime takes the carry over"]
pub struct Crossing<C> {
    update_point: &'static str,
    carry: C,
}

impl<C> Crossing<C> {
    /// Made by `update_point!`.
    #[doc(hidden)]
    pub fn new(update_point: &'static str, carry: C) -> Self {
        Crossing {
            update_point,
            carry,
        }
    }
}

/// An encoded carry, as it lies in the host between two versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    /// Name of the update point at which it left.
    pub(super) update_point: String,
    /// Digest of the schema of the carry in `bytes`.
    pub(super) digest: String,
    /// Descriptors that are part of it or of its complement.
    pub(super) fds: Vec<i32>,
    /// The carry, in postcard.
    bytes: Vec<u8>,
    /// What the other side of the carry lens holds and this one cannot, in postcard.
    complement: Option<Vec<u8>>,
}

impl Parcel {
    pub(super) fn decode(bytes: &[u8]) -> Result<Parcel, String> {
        postcard::from_bytes(bytes).map_err(|error| format!("the carry is damaged: {error}"))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a parcel is plain data")
    }
}

/// What came with the carry and is not this version's to read.
struct Complement {
    bytes: Vec<u8>,
    /// Descriptors that stand in it.
    descriptors: Vec<Descriptor>,
}

thread_local! {
    static SURROUNDINGS: RefCell<Surroundings> = RefCell::default();
}

/// Sets what the next run on this thread is told.
pub(super) fn surround(surroundings: Surroundings) {
    SURROUNDINGS.set(surroundings);
}

/// Runs a worker function: from a carry, or from `start`; until it crosses.
///
/// # Errors
/// The function's own error, or the reason why the carry was not taken in.
pub fn run_application<C: Carry>(
    serve: fn(&mut Worker, C) -> Step<C>,
    start: fn(&mut Worker) -> Result<C, WorkerError>,
    encoded: Option<&[u8]>,
) -> Result<Vec<u8>, RunError> {
    let mut cx = Worker::enter(SURROUNDINGS.take());
    // Lives here, so that it is dropped while the crossing can still be undone should this version fail.
    let (mut carry, mut complement) = match encoded {
        None => (start(&mut cx).map_err(RunError::Failed)?, None),
        Some(bytes) => take_in(bytes).map_err(RunError::CarryRefused)?,
    };
    loop {
        let crossing = serve(&mut cx, carry).map_err(RunError::Failed)?;
        match hand_on(crossing, &mut complement) {
            Ok(parcel) => return Ok(parcel),
            // Nothing has left yet: this version goes on with what it has.
            Err((kept, reason)) => {
                tracing::error!(%reason, "the carry cannot be encoded: going on with this version");
                carry = kept;
            }
        }
    }
}

fn take_in<C: Carry>(encoded: &[u8]) -> Result<(C, Option<Complement>), String> {
    let parcel = Parcel::decode(encoded)?;
    let digest = version::digest(&C::schema());
    if parcel.digest != digest {
        return Err(
            "the carry has another shape and no lens between them: add a carry_lens!".to_owned(),
        );
    }
    let (carry, descriptors) = unpack(&parcel.fds, || decode("carry", &parcel.bytes));
    let carry = carry?;
    // A carry without a complement leaves nobody to keep the descriptors that it did not claim.
    let complement = parcel
        .complement
        .map(|bytes| Complement { bytes, descriptors });
    Ok((carry, complement))
}

fn hand_on<C: Carry>(
    crossing: Crossing<C>,
    complement: &mut Option<Complement>,
) -> Result<Vec<u8>, (C, String)> {
    let (bytes, mut fds) = pack(crossing.carry, encode)?;
    let complement = complement.take().map(|complement| {
        fds.extend(release(complement.descriptors));
        complement.bytes
    });
    let parcel = Parcel {
        update_point: crossing.update_point.to_owned(),
        digest: version::digest(&C::schema()),
        fds,
        bytes,
        complement,
    };
    Ok(parcel.encode())
}

/// Rewrites an encoded carry into the form with digest `wanted`, by a lens that this library has.
pub(super) fn convert(encoded: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
    let parcel = Parcel::decode(encoded)?;
    let digest_of = |schema: fn() -> TypeSchema| version::digest(&schema());
    let rewrite: RewriteFn = inventory::iter::<crate::abi::CarryLensRegistration>
        .into_iter()
        .find_map(|lens| {
            let (left, right) = (digest_of(lens.left), digest_of(lens.right));
            if left == parcel.digest && right == wanted {
                Some(lens.forward)
            } else if right == parcel.digest && left == wanted {
                Some(lens.backward)
            } else {
                None
            }
        })
        .ok_or("no lens between the two carries: add a carry_lens!")?;
    let (rewritten, fds) = repack(&parcel.fds, || {
        rewrite(&parcel.bytes, parcel.complement.as_deref())
    });
    let (bytes, complement) = rewritten?;
    Ok(Parcel {
        digest: wanted.to_owned(),
        fds,
        bytes,
        complement: Some(complement),
        ..parcel
    }
    .encode())
}

/// Called by the host when new code reached its first update point: it has taken over.
pub(super) fn confirm(context: &WorkerContext) {
    context.unconfirmed.set(0);
    context
        .record()
        .due
        .fetch_and(!WorkerRecord::DUE_CONFIRM, Ordering::AcqRel);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{Carried, Stream};
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use xform::{Lens, LensError};

    /// The newer carry has no log.
    #[derive(Default)]
    struct WithoutLog;

    type Older = (u32, Stream, Stream);
    type Newer = (u32, Stream);

    impl Lens for WithoutLog {
        type Left = Older;
        type Right = Newer;
        type Complement = Option<Stream>;

        fn forward(
            &self,
            (id, peer, log): Older,
            _: Option<Self::Complement>,
        ) -> Result<(Newer, Self::Complement), LensError> {
            Ok(((id, peer), Some(log)))
        }

        fn backward(
            &self,
            (id, peer): Newer,
            complement: Option<Self::Complement>,
        ) -> Result<(Older, Self::Complement), LensError> {
            let log = complement
                .flatten()
                .ok_or(LensError::failed("there was no log"))?;
            Ok(((id, peer, log), None))
        }
    }
    crate::carry_lens!(WithoutLog);

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("descriptors are left");
        (OwnedFd::from(ours).into(), theirs)
    }

    fn say(mut stream: &Stream, mut to: &UnixStream) {
        let mut heard = [0; 2];
        stream.write_all(b"ok").expect("the other end is open");
        to.read_exact(&mut heard).expect("it was written");
        assert_eq!(&heard, b"ok");
    }

    fn is_closed(mut other_end: &UnixStream) -> bool {
        other_end.read(&mut [0]).expect("readable") == 0
    }

    fn digest_of<C: Carried>() -> String {
        version::digest(&C::schema())
    }

    // R24
    #[test]
    fn descriptors_cross_in_the_carry_and_wait_in_its_complement() -> Result<(), String> {
        let ((peer, peer_end), (log, log_end)) = (pair(), pair());
        let crossing = Crossing::new("loop", (7_u32, peer, log));
        let left = hand_on(crossing, &mut None).map_err(|(_, reason)| reason)?;

        let converted = convert(&left, &digest_of::<Newer>())?;
        assert_eq!(Parcel::decode(&converted)?.fds.len(), 2);
        let ((id, peer), mut complement) = take_in::<Newer>(&converted)?;
        assert!(complement.is_some());
        say(&peer, &peer_end);

        let crossing = Crossing::new("loop", (id + 1, peer));
        let right = hand_on(crossing, &mut complement).map_err(|(_, reason)| reason)?;
        assert!(complement.is_none(), "it went with the carry");
        let (older, complement) = take_in::<Older>(&convert(&right, &digest_of::<Older>())?)?;
        let (id, peer, log) = older;
        assert_eq!(id, 8);
        say(&peer, &peer_end);
        say(&log, &log_end);
        drop((peer, log, complement));
        assert!(is_closed(&peer_end) && is_closed(&log_end));
        Ok(())
    }

    // R24
    #[test]
    fn what_waits_in_a_complement_is_closed_with_the_version_that_keeps_it() -> Result<(), String> {
        let ((peer, peer_end), (log, log_end)) = (pair(), pair());
        let crossing = Crossing::new("loop", (7_u32, peer, log));
        let left = hand_on(crossing, &mut None).map_err(|(_, reason)| reason)?;
        let (carry, complement) = take_in::<Newer>(&convert(&left, &digest_of::<Newer>())?)?;
        drop(complement);
        assert!(is_closed(&log_end));
        say(&carry.1, &peer_end);
        Ok(())
    }

    // R24
    #[test]
    fn a_carry_with_bytes_too_many_is_refused() -> Result<(), String> {
        let left = hand_on(Crossing::new("loop", 7_u32), &mut None).map_err(|(_, r)| r)?;
        let mut parcel = Parcel::decode(&left)?;
        parcel.bytes.push(0);
        assert!(take_in::<u32>(&parcel.encode()).is_err());
        Ok(())
    }
}
