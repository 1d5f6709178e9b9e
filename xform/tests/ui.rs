//! What the compiler says of a type that does not say enough.

#[test]
fn what_is_left_over_or_unclear_is_said_with_both_types_and_the_attribute() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
