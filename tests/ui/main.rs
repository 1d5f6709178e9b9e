//! Programs that must not compile, and what the compiler says of them; and some that must.
//!
//! After a deliberate change of a message: `TRYBUILD=overwrite cargo test -p dsu-tests --test ui`, then read the diff.

mod xfgen;

use std::path::Path;

#[test]
fn wrong_programs_are_refused_with_readable_errors_and_right_ones_compile() {
    let cases = trybuild::TestCases::new();
    // At least one case must pass the whole way: only then does trybuild generate code, and only generating code
    // finds two workers in one library.
    cases.pass("ui/pass/*.rs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xfgen");
    cases.pass(xfgen::write_program(&folder)); // R35
    cases.compile_fail("ui/fail/*.rs");
}
