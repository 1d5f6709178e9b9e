use super::*;
use crate::version::manifest::PrivateStatic;

fn names(name: &str) -> Vec<&str> {
    crates(name).into_iter().collect()
}

// R4
#[test]
fn a_static_is_of_the_crate_whose_code_it_is_in() {
    assert_eq!(names("kv::CACHE"), ["kv"]);
    assert_eq!(names("kv::serve::{closure#0}::SEEN"), ["kv"]);
    assert_eq!(names("<kv::Foo>::f::SEEN"), ["kv"]);
    assert_eq!(
        names("<alloc::vec::Vec<kv::Foo> as tools::Count>::f::SEEN"),
        ["alloc", "kv", "tools"]
    );
    // What stands behind the brackets is not the static's own crate.
    assert_eq!(names("kv::<impl tools::Count for [u8; 3]>::f::S"), ["kv"]);
    assert_eq!(names("<fn() -> kv::Foo as std::Any>::f::S"), ["kv", "std"]);
    assert_eq!(names("<<<"), Vec::<&str>::new());
    assert_eq!(names(""), [""]);
}

#[test]
fn symbols_of_both_manglings_are_read() {
    for (symbol, name) in [
        (
            "_ZN5kv_v25entry5CACHE17he586e45c0668ecd0E",
            "kv_v2::entry::CACHE",
        ),
        ("_ZN3lib7MUTABLE17hfe1d538a9b8dc13cE.0", "lib::MUTABLE"),
        (
            "_ZN3lib2TL29_$u7b$$u7b$constant$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$23__RUST_STD_INTERNAL_VAL17hd2720113fec553a9E",
            "lib::TL",
        ),
        ("_RNvCsh537bOAIRKx_3lib1A", "lib::A"),
        ("_RNvCsh537bOAIRKx_3lib7MUTABLE.0", "lib::MUTABLE"),
        (
            "_RNvNCNKNvCsh537bOAIRKx_3lib2TL0023___RUST_STD_INTERNAL_VAL",
            "lib::TL",
        ),
        (
            "_RNvNvXs0_NtCsh537bOAIRKx_3lib1mINtNtCslNYArtu3iFV_5alloc3vec3VecNtB7_3FooENtB7_2Tr1t6IN_VEC",
            "<alloc::vec::Vec<lib::m::Foo> as lib::m::Tr>::t::IN_VEC",
        ),
        (
            "_RNvNCNvNtCsh537bOAIRKx_3lib1m1g05IN_CL.llvm.11041961621897318171",
            "lib::m::g::{closure#0}::IN_CL",
        ),
    ] {
        assert_eq!(readable(symbol).as_deref(), Some(name), "{symbol}");
    }
    assert_eq!(readable("environ"), None);
}

#[test]
fn a_name_that_expands_beyond_reason_is_left_out() {
    // `b::<(u8, u8), …>`, and each further tuple names the one before it twice, by its place.
    let mut forged = "_RINvC1a1b".to_owned();
    let mut before = "h".to_owned();
    for _ in 0..16 {
        let at = forged.len() - "_R".len();
        forged.push_str(&format!("T{before}{before}E"));
        before = back_reference(at);
    }
    forged.push('E');
    let expanded = format!("{:#}", rustc_demangle::demangle(&forged));
    assert!(expanded.len() > 100 * forged.len(), "{expanded}");
    assert_eq!(readable(&forged), None);
    let long = format!("_ZN5000{}17he586e45c0668ecd0E", "x".repeat(5000));
    assert_eq!(readable(&long), None);
}

/// How a v0 name refers back to a place: base 62, less one.
fn back_reference(at: usize) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let digit = |value: usize| char::from(DIGITS[value % 62]);
    match at - 1 {
        small @ 0..62 => format!("B{}_", digit(small)),
        more => format!("B{}{}_", digit(more / 62), digit(more)),
    }
}

fn at(name: &str, place: Option<(u64, u64)>) -> WritableStatic {
    WritableStatic {
        name: name.to_owned(),
        place,
    }
}

// R4
#[test]
fn marks_are_known_by_address_and_of_thread_locals_by_name() {
    let private = |name: &str, address| PrivateStatic {
        name: name.to_owned(),
        address,
    };
    let stated = StaticsManifest {
        crates: vec!["kv".to_owned()],
        made: vec![0x108],
        private: vec![
            private("kv::CACHE", Some(0x210)),
            private("kv::serve::TURN", None),
        ],
    };
    let found = vec![
        at("kv::GUARD", Some((0x100, 16))),
        at("kv::CACHE", Some((0x210, 8))),
        // Of the same name, and another.
        at("kv::deeper::CACHE", Some((0x218, 8))),
        at("kv::serve::TURN", None),
        at("kv::other::TURN", None),
        at("kv::serve::next::TURN", None),
        at("codec::TABLE", Some((0x300, 8))),
        at("<std::vec::Vec<u8> as codec::Read>::f::SEEN", None),
    ];
    let statics = Statics::of(Ok(found), &stated);
    let Statics::Found {
        private,
        unmarked,
        elsewhere,
    } = &statics
    else {
        panic!("{statics:?}")
    };
    assert_eq!(
        private[..],
        ["kv::CACHE", "kv::serve::TURN", "kv::serve::next::TURN"]
    );
    assert_eq!(unmarked[..], ["kv::deeper::CACHE", "kv::other::TURN"]);
    assert_eq!(elsewhere["codec"].len(), 2);
    let refusal = statics.judge().unwrap_err().to_string();
    for word in ["kv::deeper::CACHE, kv::other::TURN", "#[dsu::private]"] {
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn what_cannot_be_told_is_said_and_not_refused() {
    let statics = Statics::of(find(b"\x7fELF"), &StaticsManifest::default());
    assert!(matches!(statics, Statics::Unchecked(_)), "{statics:?}");
    assert_eq!(statics.judge(), Ok(()));
    let text = Statics::Unchecked("is stripped of its symbols".to_owned()).to_string();
    assert_eq!(text, "not checked: it is stripped of its symbols");
}

#[test]
fn a_list_in_a_refusal_has_an_end() {
    let names: Vec<String> = (0..25).map(|n| format!("kv::S{n}")).collect();
    let text = shown(&names);
    assert!(text.ends_with("kv::S19 and 5 more"), "{text}");
}
