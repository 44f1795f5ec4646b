//! The table that compares runtimes names tests; they have to be there.

use std::path::Path;

/// Controls, tried: rename a test that the table names, or the file it is in; a *yes* without a name.
#[test]
fn each_test_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("it is there");
    let (_, table) = readme
        .split_once("## Beside other runtimes")
        .expect("it compares them");
    let (table, _) = table.split_once("\n## ").expect("more comes behind it");
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 9, "{row}");
        let ours = cells[2];
        if !ours.starts_with("yes") {
            assert!(["Heist", "no"].contains(&ours), "no test is named: {row}");
            continue;
        }
        let quoted: Vec<_> = ours.split('`').collect();
        let [_, file, _, test, _] = quoted[..] else {
            panic!("a file and a test are to be named: {row}");
        };
        let text = std::fs::read_to_string(root.join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_there = text.contains(&format!("fn {test}()"));
        assert!(is_there, "{file} has no test {test}");
        named += 1;
    }
    assert!(named > 15, "only {named} rows were found");
}
