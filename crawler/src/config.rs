//! A configuration file: TOML whose keys are the long names of the flags.
//!
//! The file is turned into the flags that it stands for, in front of those of the command line. So each value is
//! checked in one place, is complained about in the same words, and what is said on the command line counts more.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use toml::{Table, Value};

/// The flags that a file stands for.
///
/// # Errors
///
/// A sentence that says what is wrong with the file.
pub(crate) fn flags(path: &Path) -> Result<Vec<OsString>, String> {
    let name = path.display();
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        format!("`{name}` is no TOML: {}", error.to_string().trim_end())
    })?;
    let mut flags = Vec::new();
    let mut urls = Vec::new();
    for (key, value) in table {
        if key == "config" {
            return Err(format!(
                "`{name}` names another configuration file, which is not read"
            ));
        }
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = scalar(&value).ok_or_else(|| {
                format!("`{key}` in `{name}` must be a text, a number, true or false, or a list of those")
            })?;
            match (key.as_str(), value) {
                ("urls", _) => urls.push(OsString::from(text)),
                (_, Value::Boolean(true)) => flags.push(format!("--{key}").into()),
                (_, Value::Boolean(false)) if is_off_anyway(&key) => {}
                _ => flags.push(format!("--{key}={text}").into()),
            }
        }
    }
    flags.extend(urls);
    Ok(flags)
}

/// Whether a flag is off unless it is there. What is no flag goes on, and is complained about.
fn is_off_anyway(key: &str) -> bool {
    crate::Args::command()
        .get_arguments()
        .any(|flag| flag.get_long() == Some(key) && !flag.get_action().takes_values())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(yes) => Some(yes.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crawl.toml");
        fs::write(&path, text).unwrap();
        let flags = flags(&path)?;
        Ok(flags
            .into_iter()
            .map(|flag| flag.into_string().unwrap())
            .collect())
    }

    #[test]
    fn a_file_is_the_flags_that_it_names() {
        let text = "urls = [\"http://a.example/\"]\nmax-pages = 7\nquiet = true\nverbose = false\ndelay = 0.5\n\
                    header = [\"A: 1\", \"B: -2\"]\n";
        let mut flags = read(text).unwrap();
        assert_eq!(flags.pop().unwrap(), "http://a.example/");
        flags.sort();
        assert_eq!(
            flags,
            [
                "--delay=0.5",
                "--header=A: 1",
                "--header=B: -2",
                "--max-pages=7",
                "--quiet"
            ]
        );
    }

    /// The negative control, tried: leave out all that is false.
    #[test]
    fn what_is_false_is_said_where_that_means_something() {
        let mut flags = read("robots = false\nverbose = false\nquiett = false\n").unwrap();
        flags.sort();
        assert_eq!(flags, ["--quiett=false", "--robots=false"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("x = ", "is no TOML"),
            ("[table]\nx = 1", "must be a text"),
            ("config = \"other\"", "another configuration file"),
            ("max-pages = [[1]]", "must be a text"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains(expected) && error.contains("crawl.toml"),
                "{error}"
            );
        }
        assert!(
            flags(Path::new("/nonexistent"))
                .unwrap_err()
                .contains("cannot read")
        );
    }
}
