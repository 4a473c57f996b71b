//! Bad definitions are compile errors at the user's token: one mistake, one error, and a short one. Good definitions,
//! however unusual, compile without warnings.
//!
//! `TRYBUILD=overwrite` accepts the compiler's answers; read the difference before you do.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer answers are not read.
const LONGEST: usize = 25;

#[test]
fn definitions() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui_pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}

#[test]
fn every_answer_is_short() {
    for answer in files("tests/ui", "stderr") {
        let lines = fs::read_to_string(&answer).unwrap().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", answer.display());
    }
}

#[test]
fn every_mistake_says_what_it_is() {
    let mistakes = files("tests/ui", "rs");
    assert!(mistakes.len() >= 15, "only {} mistakes", mistakes.len());
    for mistake in mistakes {
        let text = fs::read_to_string(&mistake).unwrap();
        let told = text.starts_with("// ") && text.lines().nth(1).is_some_and(|line| line.starts_with("// Expected: "));
        assert!(told, "{} does not begin with the mistake and what is expected", mistake.display());
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}
