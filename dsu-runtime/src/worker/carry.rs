//! Crossing: the private state of a worker on its way from one version to the next (R24).
//!
//! Owns the encoding of a carry and the run of a worker function around it. Must never know which
//! version comes next.

use super::carried::Carry;
use super::cx::{Surroundings, Worker};
use super::descriptor::{pack, repack, unpack};
use crate::abi::{TypeSchema, WorkerContext, WorkerRecord};
use crate::error::{RunError, WorkerError};
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
    /// Descriptors that are part of it.
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

thread_local! {
    static SURROUNDINGS: RefCell<Surroundings> = RefCell::default();
    /// What came with the carry and is not this version's to read.
    static COMPLEMENT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
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
    let mut carry = match encoded {
        None => start(&mut cx).map_err(RunError::Failed)?,
        Some(bytes) => take_in(bytes).map_err(RunError::CarryRefused)?,
    };
    loop {
        let crossing = serve(&mut cx, carry).map_err(RunError::Failed)?;
        match hand_on(crossing) {
            Ok(parcel) => return Ok(parcel),
            // Nothing has left yet: this version goes on with what it has.
            Err((kept, reason)) => {
                tracing::error!(%reason, "the carry cannot be encoded: going on with this version");
                carry = kept;
            }
        }
    }
}

fn take_in<C: Carry>(encoded: &[u8]) -> Result<C, String> {
    let parcel = Parcel::decode(encoded)?;
    let digest = version::digest(&C::schema());
    if parcel.digest != digest {
        return Err(
            "the carry has another shape and no lens between them: add a carry_lens!".to_owned(),
        );
    }
    let carry = unpack(&parcel.fds, || postcard::from_bytes(&parcel.bytes))
        .map_err(|error| format!("the carry cannot be decoded: {error}"))?;
    COMPLEMENT.set(parcel.complement);
    Ok(carry)
}

fn hand_on<C: Carry>(crossing: Crossing<C>) -> Result<Vec<u8>, (C, String)> {
    let (bytes, fds) = pack(crossing.carry, postcard::to_stdvec)
        .map_err(|(carry, error)| (carry, error.to_string()))?;
    let parcel = Parcel {
        update_point: crossing.update_point.to_owned(),
        digest: version::digest(&C::schema()),
        fds,
        bytes,
        complement: COMPLEMENT.take(),
    };
    Ok(parcel.encode())
}

/// One direction of a carry lens: an encoded carry and complement to the same of the other side.
type Rewrite = fn(&[u8], Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String>;

/// Rewrites an encoded carry into the form with digest `wanted`, by a lens that this library has.
pub(super) fn convert(encoded: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
    let parcel = Parcel::decode(encoded)?;
    let digest_of = |schema: fn() -> TypeSchema| version::digest(&schema());
    let rewrite: Rewrite = inventory::iter::<crate::abi::CarryLensRegistration>
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
    let (bytes, complement) = repack(&parcel.fds, || {
        rewrite(&parcel.bytes, parcel.complement.as_deref())
    })?;
    Ok(Parcel {
        digest: wanted.to_owned(),
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
