//! What an attribute refuses, and in which words.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
