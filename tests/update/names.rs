//! A version whose keys are found otherwise than the running one's, and which says nothing of it.

use dsu_tests::{Fleet, library};
use sample_app::server::Settings;

// R15
#[test]
fn a_version_that_hashes_equates_and_orders_its_keys_otherwise_is_refused() {
    let mut settings = Settings::new(library("fixture_names_v1"));
    settings.workers = 1;
    settings.listen = None;
    settings.more = ["--heap", "64M"].map(Into::into).to_vec();
    let fleet = Fleet::start("names", &settings);
    let answer = fleet.update(&library("fixture_names_v2"), &["--wait"]);
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{}",
        answer.text
    );
    for words in [
        "keys of SharedMap<Name, u64> in REGISTER.numbers hash otherwise and equal each other otherwise in v2 than in v1",
        "keys of SharedOrderedMap<Name, u64> in REGISTER.sorted are ordered otherwise in v2 than in v1",
        "the schema of Name is the same",
    ] {
        assert!(
            answer.text.contains(words),
            "no {words:?} in {}",
            answer.text
        );
    }
    assert_eq!(fleet.now().version, 1);
    // With the keys as they were it is no update at all: the same build is not adjacent.
    let same = fleet.update(&library("fixture_names_v1"), &["--wait"]);
    assert!(!same.text.contains("otherwise"), "{}", same.text);
    fleet.finish();
}
