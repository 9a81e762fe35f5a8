//! Golden files: a test writes them when `COFFER_BLESS=1` is set and compares with them otherwise.

use std::{fmt::Debug, fs, path::PathBuf};

use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Map, Value};

/// A key that no version has: what a later version might add.
const STRANGER: &str = "from_a_later_version";

/// Named examples of one type, in the order in which they stand in the file.
pub struct Samples<T>(pub Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for Samples<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, sample)| (name, sample)))
    }
}

impl<T: Serialize + DeserializeOwned + PartialEq + Debug> Samples<T> {
    /// Checks that the samples are written as the file says, are read back from it, and are read back as well when
    /// a later version has added fields.
    pub fn check(&self, file: &str) {
        let text = format!("{}\n", serde_json::to_string_pretty(self).unwrap());
        let golden = compare(file, &text);
        let values: Map<String, Value> = serde_json::from_str(&golden).unwrap();
        assert_eq!(values.len(), self.0.len(), "{file}: two samples have one name");
        for (name, sample) in &self.0 {
            let value = &values[*name];
            assert_eq!(&serde_json::from_value::<T>(value.clone()).unwrap(), sample, "{file}: {name}");
            let mut extended = value.clone();
            add_strangers(&mut extended);
            let read = serde_json::from_value::<T>(extended)
                .unwrap_or_else(|error| panic!("{file}: {name} with unknown fields: {error}"));
            assert_eq!(&read, sample, "{file}: {name} with unknown fields");
        }
    }
}

/// Compares `text` with the golden file, or writes it; returns the file's text.
pub fn compare(file: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("COFFER_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; COFFER_BLESS=1 writes it", path.display()));
    if golden != text {
        let line = golden.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
        panic!(
            "{} differs from line {}: it says {:?}, this build writes {:?}; COFFER_BLESS=1 accepts it",
            path.display(),
            line + 1,
            golden.lines().nth(line).unwrap_or_default(),
            text.lines().nth(line).unwrap_or_default(),
        );
    }
    golden
}

fn add_strangers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                add_strangers(field);
                // Their keys are data, and the variants of a result: nothing may be added beside them.
                if matches!(name.as_str(), "databases" | "tasks" | "values")
                    && let Value::Object(entries) = field
                {
                    entries.remove(STRANGER);
                }
            }
            let is_result = fields.len() == 1 && (fields.contains_key("Ok") || fields.contains_key("Err"));
            if !is_result {
                fields.insert(STRANGER.into(), serde_json::json!({ "unknown": [1, "two", null] }));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(add_strangers),
        _ => {}
    }
}
