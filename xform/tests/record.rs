//! The lens that `record!` makes: what survives which trip.

use proptest::prelude::*;
use xform::laws::{self, Edit, Place};
use xform::{Convert, Directions, ErrorKind, Kept, Lens, LensError, OneWay, Residual, each};

mod old {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Stats {
        pub commands: u64,
        pub get_hits: u64,
        pub uptime: Uptime,
        pub peers: Vec<Peer>,
        pub motd: String,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Uptime {
        pub millis: u64,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Peer {
        pub port: u16,
    }
}

mod new {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Stats {
        pub hits: u64,
        pub commands: u64,
        pub up: Uptime,
        pub peers: Vec<Peer>,
        pub expired: u64,
        pub hits_at_update: u64,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Uptime {
        pub seconds: u32,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Peer {
        pub port: u16,
        pub label: Option<String>,
    }
}

fn seconds(millis: &u64) -> Result<u32, LensError> {
    u32::try_from(millis / 1000)
        .map_err(|_| LensError::unrepresentable("seconds do not fit in 32 bits"))
}

fn millis(seconds: &u32) -> Result<u64, LensError> {
    Ok(u64::from(*seconds) * 1000)
}

xform::record! {
    /// Milliseconds to seconds.
    pub struct UptimeLens: old::Uptime => new::Uptime {
        rename millis => seconds via Convert<u64, u32> = xform::convert(seconds, millis);
    }
}

xform::record! {
    /// A peer gains a label.
    pub struct PeerLens: old::Peer => new::Peer {
        same port;
        add label: Option<String> = None;
    }
}

type PortOf = (fn(&old::Peer) -> u16, fn(&new::Peer) -> u16);
type PeersLens = each::VecByKey<PeerLens, PortOf>;

fn peers_lens() -> PeersLens {
    each::vec_by_key(PeerLens, (|peer| peer.port, |peer| peer.port))
}

xform::record! {
    /// Totals of version 1 to totals of version 2.
    pub struct StatsLens: old::Stats => new::Stats {
        same commands;
        rename get_hits => hits;
        rename uptime => up via UptimeLens;
        same peers via PeersLens = peers_lens();
        add expired: u64 = 0;
        add hits_at_update: u64 = |old| old.get_hits;
        drop motd: String = |new| format!("{} hits", new.hits);
    }
}

prop_compose! {
    fn old_stats()(commands: u64, get_hits: u64, millis in 0..u64::from(u32::MAX) * 1000,
        ports in prop::collection::vec(0..4_u16, 0..5), motd in ".{0,8}") -> old::Stats
    {
        old::Stats {
            commands, get_hits, motd,
            uptime: old::Uptime { millis },
            peers: ports.into_iter().map(|port| old::Peer { port }).collect(),
        }
    }
}

prop_compose! {
    fn new_stats()(commands: u64, hits: u64, seconds: u32, expired: u64, hits_at_update: u64,
        peers in prop::collection::vec((0..4_u16, prop::option::of(".{0,3}")), 0..5)) -> new::Stats
    {
        new::Stats {
            commands, hits, expired, hits_at_update,
            up: new::Uptime { seconds },
            peers: peers.into_iter().map(|(port, label)| new::Peer { port, label }).collect(),
        }
    }
}

fn an_old() -> old::Stats {
    old::Stats {
        commands: 10,
        get_hits: 4,
        uptime: old::Uptime { millis: 2_345 },
        peers: vec![old::Peer { port: 80 }],
        motd: "hello".into(),
    }
}

#[test]
fn a_new_value_gets_defaults_and_what_is_computed_from_the_rest() {
    // R6
    let (right, _) = StatsLens.forward(an_old(), None).unwrap();
    assert_eq!(right.expired, 0);
    assert_eq!(right.hits_at_update, 4);
    let (left, _) = StatsLens.backward(right, None).unwrap();
    assert_eq!(left.motd, "4 hits");
    assert_eq!(left.uptime.millis, 2_000);
}

#[test]
fn a_computed_field_is_computed_once_and_then_kept() {
    let (right, kept) = StatsLens.forward(an_old(), None).unwrap();
    let (mut left, kept) = StatsLens.backward(right, Some(kept)).unwrap();
    left.get_hits = 99;
    let (right, _) = StatsLens.forward(left, Some(kept)).unwrap();
    assert_eq!((right.hits, right.hits_at_update), (99, 4));
}

#[test]
fn an_edit_of_one_field_leaves_the_residual_of_another() {
    // R7
    let (mut right, kept) = StatsLens.forward(an_old(), None).unwrap();
    right.hits += 1;
    let (left, _) = StatsLens.backward(right, Some(kept)).unwrap();
    assert_eq!(left.uptime.millis, 2_345);
    assert_eq!(left.get_hits, 5);
}

#[test]
fn the_complement_has_a_form_that_can_be_written_down() {
    type Peers = Vec<(u16, (Kept<Option<String>>, ()))>;
    type Expected = (
        (Residual<u64, u32>, ()),
        (Peers, (Kept<u64>, (Kept<u64>, (Kept<String>, ())))),
    );
    let (_, kept): (_, Expected) = StatsLens.forward(an_old(), None).unwrap();
    assert_eq!(kept.1.1.1.1.0, Kept::of("hello".to_owned()));
}

#[test]
fn an_error_names_the_way_to_the_value() {
    let mut left = an_old();
    left.uptime.millis = u64::MAX;
    let error = StatsLens.forward(left, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    assert_eq!(
        error.to_string(),
        "uptime.millis: seconds do not fit in 32 bits"
    );
}

#[test]
fn defaults_may_fail_and_the_field_is_named() {
    struct Without;
    #[derive(Debug)]
    struct With {
        _number: u8,
    }
    xform::record! {
        struct Parses: Without => With {
            add _number: u8 = "256".parse::<u8>().map_err(|_| LensError::failed("no such number"))?;
        }
    }
    let error = Parses.forward(Without, None).unwrap_err();
    assert_eq!(error.to_string(), "_number: no such number");
}

#[test]
fn a_record_goes_only_the_ways_that_all_its_fields_go() {
    // R14
    struct A {
        x: u64,
    }
    struct B {
        x: u32,
    }
    xform::record! {
        struct Shrinks: A => B {
            same x via OneWay<u64, u32> = xform::one_way(|x: u64| Ok((x % 97) as u32));
        }
    }
    assert_eq!(StatsLens.directions(), Directions::Both);
    assert_eq!(Shrinks.directions(), Directions::ForwardOnly);
    let (right, _) = Shrinks.forward(A { x: 100 }, None).unwrap();
    assert_eq!(right.x, 3);
    assert!(Shrinks.backward(right, None).is_err());
}

#[test]
fn fields_may_swap_names_while_others_take_the_old_ones() {
    #[derive(Clone, Debug, PartialEq)]
    struct Left {
        a: u8,
        b: u16,
        c: u32,
    }
    #[derive(Clone, Debug, PartialEq)]
    struct Right {
        b: u8,
        a: u16,
        c: u64,
    }
    xform::record! {
        struct Swaps: Left => Right {
            rename a => b;
            rename b => a via xform::Identity<u16>;
            add c: u64 = 0;
            drop c: u32 = 7;
        }
    }
    let left = Left { a: 1, b: 2, c: 3 };
    let (mut right, kept) = Swaps.forward(left.clone(), None).unwrap();
    assert_eq!(right, Right { b: 1, a: 2, c: 0 });
    right.c = 9;
    let (back, kept) = Swaps.backward(right, Some(kept)).unwrap();
    assert_eq!(back, left);
    assert_eq!(Swaps.forward(back, Some(kept)).unwrap().0.c, 9);
}

proptest! {
    #[test]
    fn everything_survives_trips_that_start_old(left in old_stats(), commands: u64, seconds: u32) {
        laws::from_left(&StatsLens, left)
            .restored()?
            .edit_kept(|right| right.up.seconds = seconds)?
            .edit_kept(|right| { right.peers.pop(); })?
            .edits_agree(|right| right.commands = commands, |left| left.commands = commands)?
            .edits_agree(|right| { right.peers.pop(); }, |left| { left.peers.pop(); })?;
    }

    #[test]
    fn everything_survives_trips_that_start_new(right in new_stats(), hits: u64, motd in ".{0,8}") {
        laws::from_right(&StatsLens, right)
            .restored()?
            .edit_kept(|left| left.motd.clone_from(&motd))?
            .edit_kept(|left| left.peers.reverse())?
            .edits_agree(|left| left.get_hits = hits, |right| right.hits = hits)?;
    }

    #[test]
    fn edits_by_both_versions_in_any_order_all_count(
        left in old_stats(), made in prop::collection::vec((any::<bool>(), any::<u64>()), 0..8)
    ) {
        type EditPair = (Box<dyn Fn(&mut old::Stats)>, Box<dyn Fn(&mut new::Stats)>, Place);
        let pairs: Vec<EditPair> = made.iter().enumerate().map(|(turn, &(new_side, by))| {
            let place = if new_side { Place::There } else { Place::Here };
            if turn % 2 == 0 {
                (Box::new(move |l: &mut old::Stats| l.get_hits ^= by) as _,
                 Box::new(move |r: &mut new::Stats| r.hits ^= by) as _, place)
            } else {
                (Box::new(move |l: &mut old::Stats| l.commands ^= by) as _,
                 Box::new(move |r: &mut new::Stats| r.commands ^= by) as _, place)
            }
        }).collect();
        let edits: Vec<Edit<'_, _, _>> = pairs.iter()
            .map(|(here, there, made)| Edit { made: *made, here, there })
            .collect();
        laws::from_left(&StatsLens, left).history(&edits)?;
    }
}
