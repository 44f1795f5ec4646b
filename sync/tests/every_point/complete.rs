//! Whether the list has every public async function.

use crate::points;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What follows the brackets that `text` begins with; arrows are none.
fn behind_brackets(text: &str, open: char, close: char) -> &str {
    let mut depth = 0;
    let mut before = ' ';
    for (at, char) in text.char_indices() {
        depth += i32::from(char == open) - i32::from(char == close && before != '-');
        before = char;
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

/// The name of the function that `text` begins with, and its type of output.
fn signature(text: &str) -> (&str, &str) {
    let end = text.find(['<', '(']).unwrap_or(0);
    let (name, mut rest) = text.split_at(end);
    if rest.starts_with('<') {
        rest = behind_brackets(rest, '<', '>');
    }
    let rest = behind_brackets(rest, '(', ')');
    let output = rest.split(['{', ';']).next().unwrap_or_default();
    (name, output.split("where").next().unwrap_or_default())
}

#[test]
fn the_list_is_complete() {
    /// Public types that are futures.
    const FUTURES: [&str; 7] = [
        "impl Future",
        "Notified<",
        "Sleep",
        "Timeout<",
        "Using<",
        "JoinAll<",
        "Recv<",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut expected = BTreeSet::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string();
        // Inside parts, and the macros' part of `branches`. Signals come to the whole process: `tests/signal.rs`.
        let inside = [
            "wait/",
            "queue/core",
            "branches/contest",
            "resource/close",
            "signal/",
        ];
        if inside.iter().any(|part| name.starts_with(part)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        for (keyword, is_async) in [("pub async fn ", true), ("pub fn ", false)] {
            for part in text.split(keyword).skip(1) {
                let (function, output) = signature(part);
                let is_future = FUTURES.iter().any(|future| output.contains(future));
                if is_async || is_future {
                    expected.insert(format!("{name}::{function}"));
                }
            }
        }
    }
    for point in points::all() {
        expected.remove(point.name);
    }
    assert!(expected.is_empty(), "not in `points`: {expected:#?}");
}
