//! Programs that must not compile, and what the compiler says about them.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the messages anew. They are those of one compiler, so
//! that under another one the tests only say that they are left out.

/// The compiler that the messages are of.
const COMPILER: &str = "rustc 1.95.";

fn compiler_is_right() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("-V").output();
    let version = version.expect("cargo has just used the compiler").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let right = version.starts_with(COMPILER);
    if !right {
        eprintln!("left out: the messages are those of {COMPILER}, and this is {version}");
    }
    right
}

#[test]
#[cfg(feature = "macros")]
fn wrong_uses_of_the_attributes() {
    if compiler_is_right() {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("tests/ui/attributes/*.rs");
        #[cfg(not(feature = "test-util"))]
        cases.compile_fail("tests/ui/attributes/without_test_util/*.rs");
    }
}

#[test]
#[cfg(feature = "sync")]
fn what_must_not_cross_threads_or_outlive_its_owner() {
    if compiler_is_right() {
        trybuild::TestCases::new().compile_fail("tests/ui/bounds/*.rs");
    }
}

/// Control: a `select!` that goes on after `else`, or takes branches without a comma between them, compiles the
/// program of that name.
#[test]
#[cfg(all(feature = "sync", feature = "macros"))]
fn wrong_uses_of_join_and_select() {
    if compiler_is_right() {
        trybuild::TestCases::new().compile_fail("tests/ui/branches/*.rs");
    }
}
