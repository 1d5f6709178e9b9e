//! What a key type does with sample values: how they hash, which are equal, how they are ordered (R15).
//!
//! A map finds its entries by the code of whichever version looks for them. Two versions whose key type
//! has the same schema may still hash, equate or order it differently, by an implementation of the
//! application's own; then entries are there and are not found. So the results over samples that are the
//! same in every library stand in the manifest. Owns the samples and what is asked of them; which key
//! types there are is heard from the containers, whose schemas are made while somebody listens.

use super::map::Sip13;
use super::shared::Shared;
use crate::abi::TypeSchema;
use crate::error::panic_text;
use std::any::TypeId;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Values that are drawn independently of each other.
const FAMILIES: u64 = 24;
/// Values in a family: the first, and others that differ from it in a single draw.
const SIBLINGS: u64 = 6;

/// What values are made of: numbers that look random and are always the same.
///
/// Values of a family are made of the same numbers but for one, which is another one's neighbour. So
/// there are pairs that differ in one field or in the case of one letter only, which is what equality
/// tends to leave out.
pub struct Draws {
    family: u64,
    made: u64,
    /// Number of the draw that is another one, or none.
    altered: Option<u64>,
}

impl Draws {
    fn of(family: u64, altered: Option<u64>) -> Draws {
        Draws {
            family,
            made: 0,
            altered,
        }
    }

    /// The next number, and whether its neighbour is to be taken.
    fn draw(&mut self) -> (u64, bool) {
        let is_altered = self.altered == Some(self.made);
        self.made += 1;
        // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
        let seed = (self.family << 32 | self.made).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31, is_altered)
    }

    /// A number of any size, small ones and those beside powers of two more often than others.
    pub fn number(&mut self) -> u64 {
        let (bits, is_altered) = self.draw();
        let small = bits >> 8 & 3;
        let number = match bits & 7 {
            0 | 1 => small,
            2 => small.wrapping_neg(),
            3 => (1 << (bits >> 16 & 63)) - small.min(1),
            4 => bits >> 32 & 0xff,
            _ => bits >> 3,
        };
        number.wrapping_add(u64::from(is_altered))
    }

    /// One of so many, 0 the first; `many` is not 0.
    pub fn choice(&mut self, many: usize) -> usize {
        let (bits, is_altered) = self.draw();
        ((bits >> 8) % many as u64 + u64::from(is_altered)) as usize % many
    }

    /// A character of a text: a letter of either case more often than a digit or anything else.
    pub fn letter(&mut self) -> u8 {
        const LETTERS: &[u8] = b"aAbBzZkKeEmM019 _-./:\t\0";
        let (bits, is_altered) = self.draw();
        let letter = LETTERS[(bits >> 8) as usize % LETTERS.len()];
        match is_altered {
            true => letter ^ 0x20,
            false => letter,
        }
    }
}

/// Values that no constructor has made, so that no destructor is to see them. They own no blocks.
type Samples<K> = Vec<ManuallyDrop<K>>;

/// The samples that `make` makes of draws; none if it makes none.
fn samples<K>(make: impl Fn(&mut Draws) -> Option<K>) -> Samples<K> {
    let make = |draws: &mut Draws| make(draws).map(ManuallyDrop::new);
    let mut all = Vec::new();
    for family in 0..FAMILIES {
        let mut draws = Draws::of(family, None);
        let Some(first) = make(&mut draws) else {
            return Vec::new();
        };
        all.push(first);
        let others = SIBLINGS.min(draws.made);
        let altered = (0..others).map(|other| (other * draws.made / others + family) % draws.made);
        all.extend(altered.filter_map(|at| make(&mut Draws::of(family, Some(at)))));
    }
    all
}

/// Runs code of the application; what it said if it panicked.
fn guarded<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| panic_text(&*payload).to_owned())
}

/// The answers to questions, each asked of the application's code, or none and what it said when it
/// panicked: a version that panics no more is not one that answers otherwise.
struct Answers(Vec<u8>, Option<String>);

fn answers<T, const N: usize>(
    questions: impl Iterator<Item = T>,
    ask: impl Fn(T) -> [u8; N],
) -> Answers {
    let mut all = Vec::new();
    for question in questions {
        match guarded(|| ask(question)) {
            Ok(answer) => all.extend(answer),
            Err(why) => return Answers(Vec::new(), Some(why)),
        }
    }
    Answers(all, None)
}

fn hashes<K: Hash>(samples: &Samples<K>) -> Answers {
    answers(samples.iter(), |key| {
        let mut hasher = Sip13::new([1, 2]);
        key.hash(&mut hasher);
        hasher.finish().to_le_bytes()
    })
}

/// What a question about each two samples is answered, both ways round.
fn pairs<K>(samples: &Samples<K>, ask: impl Fn(&K, &K) -> u8) -> Answers {
    let with_each = |a| samples.iter().map(move |b| (a, b));
    answers(samples.iter().flat_map(with_each), |(a, b)| [ask(a, b)])
}

/// What a key type does with its samples, as far as containers ask for it.
pub struct KeyResults {
    of: TypeId,
    /// Its schema.
    pub schema: TypeSchema,
    /// How many samples there are; 0 where none can be made, and nothing can be said.
    pub samples: usize,
    /// How they hash. Empty, as those below: nothing can be said.
    pub hash: Option<Vec<u8>>,
    /// Which are equal.
    pub equality: Option<Vec<u8>>,
    /// How they are ordered.
    pub order: Option<Vec<u8>>,
    /// What the type's code said when it panicked, if it did: that question has no answers, or no sample
    /// was made.
    pub panicked: Option<String>,
}

impl KeyResults {
    fn take(&mut self, answers: Answers) -> Option<Vec<u8>> {
        let Answers(all, panicked) = answers;
        self.panicked = self.panicked.take().or(panicked);
        Some(all)
    }
}

thread_local! {
    /// What was heard, while somebody listens.
    static HEARD: RefCell<Option<Vec<KeyResults>>> = const { RefCell::new(None) };
}

/// Runs `describe`, which makes schemas; what it gives, and of which key types there are containers in
/// them.
pub fn listen<R>(describe: impl FnOnce() -> R) -> (R, Vec<KeyResults>) {
    HEARD.set(Some(Vec::new()));
    let described = describe();
    (described, HEARD.take().unwrap_or_default())
}

/// There is a container that hashes such keys.
pub(super) fn is_hashed<K: Shared + Hash + Eq>() {
    hear::<K>(
        |results| results.hash.is_some(),
        |results, samples| {
            results.hash = results.take(hashes(samples));
            results.equality = results.take(pairs(samples, |a, b| u8::from(a == b)));
        },
    );
}

/// There is a container that orders such keys.
pub(super) fn is_ordered<K: Shared + Ord>() {
    hear::<K>(
        |results| results.order.is_some(),
        |results, samples| {
            results.order = results.take(pairs(samples, |a, b| a.cmp(b) as i8 as u8));
        },
    );
}

fn hear<K: Shared>(
    is_known: impl Fn(&KeyResults) -> bool,
    ask: impl FnOnce(&mut KeyResults, &Samples<K>),
) {
    let of = TypeId::of::<K>();
    let is_wanted = HEARD.with_borrow(|heard| {
        let heard = heard.as_ref();
        heard.is_some_and(|heard| !heard.iter().any(|one| one.of == of && is_known(one)))
    });
    if !is_wanted {
        return;
    }
    // Nothing is borrowed: a key's schema may have containers in it.
    let (samples, panicked) = match guarded(|| samples(K::sample)) {
        Ok(samples) => (samples, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let new = KeyResults {
        of,
        schema: K::schema(),
        samples: samples.len(),
        hash: None,
        equality: None,
        order: None,
        panicked,
    };
    HEARD.with_borrow_mut(|heard| {
        let Some(heard) = heard else { return };
        let at = heard.iter().position(|one| one.of == of);
        let at = at.unwrap_or_else(|| {
            heard.push(new);
            heard.len() - 1
        });
        ask(&mut heard[at], &samples);
    });
}

#[cfg(test)]
mod tests {
    use super::super::{SharedBytes, SharedMap, SharedOrderedMap, SharedString, SharedVec};
    use super::*;
    use dsu_macros::Shared;
    use std::cell::Cell;
    use std::cmp::Ordering;

    /// The results of all keys of containers in the schema of `T`.
    fn heard<T: Shared>() -> Vec<KeyResults> {
        listen(T::schema).1
    }

    fn only<T: Shared>() -> KeyResults {
        let mut all = heard::<T>();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    macro_rules! key {
        ($name:ident, |$a:ident, $b:ident| $cmp:expr, |$key:ident, $state:ident| $hash:expr) => {
            #[derive(Shared)]
            #[shared(inline, name = "Key")]
            struct $name {
                text: SharedBytes,
                number: i32,
            }

            impl Hash for $name {
                fn hash<H: Hasher>(&self, $state: &mut H) {
                    let $key = self;
                    $hash;
                }
            }

            impl Ord for $name {
                fn cmp(&self, $b: &Self) -> Ordering {
                    let $a = self;
                    $cmp
                }
            }

            impl PartialOrd for $name {
                fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                    Some(self.cmp(other))
                }
            }

            impl PartialEq for $name {
                fn eq(&self, other: &Self) -> bool {
                    self.cmp(other).is_eq()
                }
            }

            impl Eq for $name {}
        };
    }

    key!(
        Plain,
        |a, b| (&a.text, a.number).cmp(&(&b.text, b.number)),
        |key, state| (&key.text, key.number).hash(state)
    );
    key!(
        Same,
        |a, b| a.text.cmp(&b.text).then(a.number.cmp(&b.number)),
        |key, state| {
            key.text.hash(state);
            key.number.hash(state)
        }
    );
    key!(
        NoCase,
        |a, b| {
            let lower = |key: &NoCase| (key.text.to_ascii_lowercase(), key.number);
            lower(a).cmp(&lower(b))
        },
        |key, state| (key.text.to_ascii_lowercase(), key.number).hash(state)
    );
    key!(TextOnly, |a, b| a.text.cmp(&b.text), |key, state| key
        .text
        .hash(state));
    key!(
        NumberFirst,
        |a, b| (a.number, &a.text).cmp(&(b.number, &b.text)),
        |key, state| (key.number, &key.text).hash(state)
    );
    key!(
        Broken,
        |a, b| match a.number {
            0 => panic!("no zero"),
            _ => (&a.text, a.number).cmp(&(&b.text, b.number)),
        },
        |key, state| (&key.text, key.number).hash(state)
    );

    fn both<K: Shared + Ord + Hash>() -> KeyResults {
        only::<(SharedMap<K, u64>, SharedOrderedMap<K, u64>)>()
    }

    // R15
    #[test]
    fn key_types_that_do_the_same_have_the_same_results_and_others_do_not() {
        let plain = both::<Plain>();
        assert!(plain.samples > 100, "{}", plain.samples);
        let same = both::<Same>();
        assert_eq!(plain.schema, same.schema);
        assert_eq!(
            (&plain.hash, &plain.equality, &plain.order),
            (&same.hash, &same.equality, &same.order)
        );
        let no_case = both::<NoCase>();
        assert_ne!(plain.hash, no_case.hash);
        assert_ne!(plain.equality, no_case.equality);
        assert_ne!(plain.order, no_case.order);
        let text_only = both::<TextOnly>();
        assert_ne!(plain.equality, text_only.equality);
        assert_ne!(no_case.equality, text_only.equality);
        let number_first = both::<NumberFirst>();
        assert_eq!(plain.equality, number_first.equality);
        assert_ne!(plain.order, number_first.order);
        assert_ne!(plain.hash, number_first.hash);
        let broken = both::<Broken>();
        assert_eq!(plain.hash, broken.hash);
        assert_eq!(broken.order, Some(Vec::new()), "nothing is compared");
        assert_eq!(plain.panicked, None);
        assert_eq!(broken.panicked.as_deref(), Some("no zero"));
    }

    /// Of which each value is to be even.
    #[derive(Shared, PartialEq, Eq, Hash)]
    #[shared(inline)]
    struct Even(u64);

    thread_local! {
        static DROPPED: Cell<u32> = const { Cell::new(0) };
    }

    impl Drop for Even {
        fn drop(&mut self) {
            DROPPED.set(DROPPED.get() + 1);
            assert_eq!(self.0 % 2, 0);
        }
    }

    // R15: what no constructor has made.
    #[test]
    fn a_sample_is_never_dropped_and_one_that_cannot_be_made_is_said() {
        let even = only::<SharedMap<Even, u64>>();
        assert!(even.samples > 40, "{}", even.samples);
        assert_eq!((DROPPED.get(), even.panicked), (0, None));
        let made = Cell::new(0);
        let panics = guarded(|| {
            samples(|draws| {
                made.set(made.get() + 1);
                assert!(made.get() < 5, "not a fifth one");
                Even::sample(draws)
            })
        });
        assert_eq!(panics.map(|all| all.len()), Err("not a fifth one".into()));
        assert_eq!(DROPPED.get(), 0);
    }

    #[derive(Shared, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
    #[shared(inline)]
    #[repr(C, i16)]
    #[expect(
        dead_code,
        reason = "samples are made by the table and not by constructors"
    )]
    enum Name {
        Nobody = -3,
        Short([u8; 3], char),
        Full {
            first: SharedString,
            born: Option<u16>,
        } = 700,
    }

    #[derive(Shared, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[shared(inline)]
    #[repr(u8)]
    #[expect(dead_code, reason = "as above")]
    enum Flag {
        Off,
        On(bool, (u128, ())),
    }

    /// A key of which nobody can make a sample.
    #[derive(Shared)]
    #[shared(inline)]
    struct Many(SharedVec<u64>);

    impl PartialEq for Many {
        fn eq(&self, other: &Self) -> bool {
            self.0.len() == other.0.len()
        }
    }

    impl Eq for Many {}

    impl Hash for Many {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.len().hash(state);
        }
    }

    // R15
    #[test]
    fn samples_of_a_derived_type_go_through_all_its_variants_and_fields() {
        let names = samples(Name::sample);
        let count = |is_it: fn(&ManuallyDrop<Name>) -> bool| {
            names.iter().filter(|name| is_it(name)).count()
        };
        assert!(count(|name| **name == Name::Nobody) > 5);
        assert!(count(|name| matches!(**name, Name::Short(_, 'a'..='z'))) > 0);
        assert!(count(|name| matches!(**name, Name::Full { born: None, .. })) > 0);
        assert!(count(|name| matches!(**name, Name::Full { born: Some(_), .. })) > 0);
        let flags = samples(Flag::sample);
        assert!(flags.contains(&ManuallyDrop::new(Flag::Off)));
        assert!(flags.iter().any(|flag| matches!(**flag, Flag::On(true, _))));
        assert!(samples(Many::sample).is_empty());
        // Of all that hashes, not only of what stands outermost.
        type Nested = SharedVec<SharedMap<(Name, u8), SharedOrderedMap<Flag, SharedMap<Many, u8>>>>;
        let nested = heard::<Nested>();
        let names: Vec<_> = nested.iter().map(|one| one.schema.name.as_str()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(
            nested
                .iter()
                .any(|one| one.samples == 0 && one.schema.name == "Many")
        );
    }

    #[test]
    fn nobody_is_told_of_keys_who_does_not_listen() {
        <SharedMap<u64, u64>>::schema();
        assert!(HEARD.with_borrow(Option::is_none));
        assert_eq!(heard::<SharedVec<u64>>().len(), 0);
    }
}
