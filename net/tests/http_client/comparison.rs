//! The table that compares clients names tests; they have to be there.

use std::path::Path;

/// Control: rename a test that the table names, or the file it is in.
#[test]
fn each_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/http/comparison.rs")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let mut named = 0;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "{row}");
        let ours = cells[2];
        if !ours.starts_with("yes") {
            assert!(
                ["ours", "no", ""].contains(&ours),
                "no test is named: {row}"
            );
            continue;
        }
        let quoted: Vec<_> = ours.split('`').collect();
        let [_, file, _, test, _] = quoted[..] else {
            panic!("a file and a test are to be named: {row}");
        };
        let path = root.join("tests").join(file);
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_there = text.contains(&format!("#[test]\nfn {test}()"));
        assert!(is_there, "{file} has no test {test}");
        named += 1;
    }
    assert!(named > 20, "only {named} rows were found");
}
