//! Crossing: the private state of a worker on its way from one version to the next (R24).
//!
//! Owns the encoding of a carry and the run of a worker function around it. Must never know which
//! version comes next.

use super::carried::Carry;
use super::cx::{Surroundings, Worker};
use super::descriptor::{Unclaimed, pack, repack, unpack};
use crate::abi::{RewriteFn, TypeSchema, WorkerContext, WorkerRecord};
use crate::error::{RunError, WorkerError};
use crate::version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashSet;
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
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    /// Name of the update point at which it left.
    pub(super) update_point: String,
    /// Digest of the schema of the carry in `bytes`.
    pub(super) digest: String,
    /// Descriptors that are part of it, or of a complement.
    pub(super) fds: Vec<i32>,
    /// The carry, in postcard.
    bytes: Vec<u8>,
    /// The last one made is the last in the list.
    complements: Vec<KeptComplement>,
}

/// What one side of a carry lens holds and the other cannot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct KeptComplement {
    /// Digests of the lens's older and newer side: no other lens may read it.
    sides: (String, String),
    /// Descriptors in it.
    fds: Vec<i32>,
    /// In postcard.
    bytes: Vec<u8>,
}

/// Complements that go along: that with the version before, and that of the update before (R10).
const MAX_COMPLEMENTS: usize = 2;

impl Parcel {
    pub(super) fn decode(bytes: &[u8]) -> Result<Parcel, String> {
        postcard::from_bytes(bytes).map_err(|error| format!("the carry is damaged: {error}"))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a parcel is plain data")
    }

    /// The carry, which claims its descriptors; what it does not claim is the complement's.
    fn open<C: DeserializeOwned>(&mut self) -> Result<C, String> {
        let set_aside = self.set_aside();
        let is_own = |fd: &i32| !set_aside.contains(fd);
        let own: Vec<i32> = self.fds.iter().copied().filter(is_own).collect();
        let (carry, unclaimed) = unpack(&own, || postcard::from_bytes(&self.bytes))
            .map_err(|error| format!("the carry cannot be decoded: {error}"))?;
        match self.complements.last_mut() {
            // The lens that has just run put them there.
            Some(made) => made.fds.extend(unclaimed.into_numbers()),
            None => unclaimed.close(),
        }
        Ok(carry)
    }

    /// Descriptors that stay with complements while a version reads the carry itself.
    fn set_aside(&self) -> HashSet<i32> {
        let complements = self.complements.iter();
        complements.flat_map(|kept| kept.fds.clone()).collect()
    }
}

thread_local! {
    static SURROUNDINGS: RefCell<Surroundings> = RefCell::default();
    /// What came with the carry and is not this version's to read.
    static COMPLEMENTS: RefCell<Vec<KeptComplement>> = const { RefCell::new(Vec::new()) };
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
        if cx.is_leaving() {
            // Nobody takes it over: it ends here, whether it could be encoded or not.
            return Ok(Vec::new());
        }
        match hand_on(crossing) {
            Ok(parcel) => return Ok(parcel),
            // Nothing has left yet: this version goes on with what it has, and the host learns of it
            // when it comes to its update point with the crossing not done.
            Err((kept, reason)) => {
                tracing::error!(%reason, "the carry cannot be encoded: going on with this version");
                cx.come_again();
                carry = kept;
            }
        }
    }
}

fn take_in<C: Carry>(encoded: &[u8]) -> Result<C, String> {
    let mut parcel = Parcel::decode(encoded)?;
    let digest = version::digest(&C::schema());
    if parcel.digest != digest {
        return Err(
            "the carry has another shape and no lens between them: add a carry_lens!".to_owned(),
        );
    }
    let carry = parcel.open()?;
    COMPLEMENTS.set(parcel.complements);
    Ok(carry)
}

fn hand_on<C: Carry>(crossing: Crossing<C>) -> Result<Vec<u8>, (C, String)> {
    let (bytes, mut fds) = pack(crossing.carry, postcard::to_stdvec)
        .map_err(|(carry, error)| (carry, error.to_string()))?;
    let complements = COMPLEMENTS.take();
    fds.extend(complements.iter().flat_map(|kept| &kept.fds));
    let parcel = Parcel {
        update_point: crossing.update_point.to_owned(),
        digest: version::digest(&C::schema()),
        fds,
        bytes,
        complements,
    };
    Ok(parcel.encode())
}

/// Rewrites an encoded carry into the form with digest `wanted`, by a lens that this library has.
pub(super) fn convert(encoded: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
    let parcel = Parcel::decode(encoded)?;
    let digest_of = |schema: fn() -> TypeSchema| version::digest(&schema());
    let (rewrite, sides): (RewriteFn, _) = inventory::iter::<crate::abi::CarryLensRegistration>
        .into_iter()
        .find_map(|lens| {
            let (left, right) = (digest_of(lens.left), digest_of(lens.right));
            if left == parcel.digest && right == wanted {
                Some((lens.forward, (left, right)))
            } else if right == parcel.digest && left == wanted {
                Some((lens.backward, (left, right)))
            } else {
                None
            }
        })
        .ok_or("no lens between the two carries: add a carry_lens!")?;
    Ok(rewritten(parcel, wanted, sides, rewrite)?.encode())
}

/// The parcel after one lens, whose complement goes along beside those of other lenses.
fn rewritten(
    parcel: Parcel,
    wanted: &str,
    sides: (String, String),
    rewrite: RewriteFn,
) -> Result<Parcel, String> {
    let mut complements = parcel.complements;
    let place = complements.iter().position(|kept| kept.sides == sides);
    let own = place.map(|place| complements.remove(place));
    if complements.len() >= MAX_COMPLEMENTS {
        Unclaimed::of(complements.remove(0).fds).close();
    }
    let others: Vec<i32> = complements
        .iter()
        .flat_map(|kept| kept.fds.clone())
        .collect();
    let aside: HashSet<i32> = others.iter().copied().collect();
    let readable: Vec<i32> = parcel
        .fds
        .into_iter()
        .filter(|fd| !aside.contains(fd))
        .collect();
    let ((bytes, complement), mut fds) = repack(&readable, || {
        rewrite(&parcel.bytes, own.as_ref().map(|kept| &kept.bytes[..]))
    })?;
    fds.extend(others);
    complements.push(KeptComplement {
        sides,
        // Which of the descriptors it has is known when the carry has claimed its own.
        fds: Vec::new(),
        bytes: complement,
    });
    Ok(Parcel {
        update_point: parcel.update_point,
        digest: wanted.to_owned(),
        fds,
        bytes,
        complements,
    })
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
    use crate::worker::Descriptor;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    fn encode<T: Serialize>(value: &T) -> Vec<u8> {
        postcard::to_stdvec(value).expect("plain data")
    }

    fn descriptor() -> Descriptor {
        let file = std::fs::File::open("/dev/null").expect("always there");
        Descriptor::from(OwnedFd::from(file))
    }

    fn parcel<C: Serialize + std::fmt::Debug>(carry: C) -> Parcel {
        let (bytes, fds) = pack(carry, |carry| postcard::to_stdvec(carry)).expect("encoded");
        Parcel {
            update_point: "loop".to_owned(),
            digest: "one".to_owned(),
            fds,
            bytes,
            complements: Vec::new(),
        }
    }

    fn sides(older: &str, newer: &str) -> (String, String) {
        (older.to_owned(), newer.to_owned())
    }

    type Two = (Descriptor, Descriptor);

    /// The older side has one descriptor, the newer one two.
    fn to_older(right: &[u8], _: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (kept, aside): Two = postcard::from_bytes(right).map_err(|e| e.to_string())?;
        Ok((encode(&kept), encode(&aside)))
    }

    fn to_newer(left: &[u8], complement: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String> {
        let kept: Descriptor = postcard::from_bytes(left).map_err(|e| e.to_string())?;
        let complement = complement.ok_or("it was there before")?;
        let aside: Descriptor = postcard::from_bytes(complement).map_err(|e| e.to_string())?;
        Ok((encode(&(kept, aside)), Vec::new()))
    }

    // R24
    #[test]
    fn a_descriptor_that_the_older_carry_cannot_hold_comes_back() {
        let both: Two = (descriptor(), descriptor());
        let numbers = (both.0.as_fd().as_raw_fd(), both.1.as_fd().as_raw_fd());
        let newer = parcel(both);
        let mut older =
            rewritten(newer, "older", sides("older", "newer"), to_older).expect("there");
        let kept: Descriptor = older.open().expect("decoded");
        assert_eq!(older.set_aside(), HashSet::from([numbers.1]));
        let (bytes, own) = pack(kept, postcard::to_stdvec).expect("encoded");
        older.bytes = bytes;
        assert_eq!(own, [numbers.0]);
        let mut newer = rewritten(older, "newer", sides("older", "newer"), to_newer).expect("back");
        let (kept, aside): Two = newer.open().expect("decoded");
        assert_eq!(
            (kept.as_fd().as_raw_fd(), aside.as_fd().as_raw_fd()),
            numbers
        );
    }

    fn add_one(carry: &[u8], complement: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String> {
        let seen = complement.map_or("nothing".to_owned(), |c| {
            String::from_utf8_lossy(c).into_owned()
        });
        let number: u64 = postcard::from_bytes(carry).map_err(|e| e.to_string())?;
        Ok((encode(&(number + 1)), format!("after {seen}").into_bytes()))
    }

    // R24 R10
    #[test]
    fn a_complement_is_read_by_its_own_lens_alone_and_goes_along_with_others() {
        let second = rewritten(parcel(1_u64), "2", sides("1", "2"), add_one).expect("1 to 2");
        let third = rewritten(second, "3", sides("2", "3"), add_one).expect("2 to 3");
        let texts = |parcel: &Parcel| -> Vec<String> {
            let bytes = parcel.complements.iter().map(|kept| kept.bytes.clone());
            bytes
                .map(|bytes| String::from_utf8(bytes).expect("text"))
                .collect()
        };
        assert_eq!(texts(&third), ["after nothing", "after nothing"]);
        let back = rewritten(third, "2", sides("2", "3"), add_one).expect("3 to 2");
        let back = rewritten(back, "1", sides("1", "2"), add_one).expect("2 to 1");
        assert_eq!(texts(&back), ["after after nothing", "after after nothing"]);
    }
}
