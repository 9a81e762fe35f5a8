//! The catalogue: built in for the provider `local`, or a file of the operator's.

use std::{fs, path::Path};

use coffer_domain::catalogue::Catalogue;

/// What is on offer when no file is named.
const BUILT_IN: &str = include_str!("catalogue.toml");

/// Reads the operator's catalogue, or the built-in one.
pub fn load(file: Option<&Path>) -> Result<Catalogue, String> {
    let Some(path) = file else { return parse(BUILT_IN) };
    let named = |error: String| format!("catalogue {}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    parse(&text).map_err(named)
}

/// Reads and checks the text of a catalogue.
pub fn parse(text: &str) -> Result<Catalogue, String> {
    let catalogue: Catalogue = toml::from_str(text).map_err(|error| error.to_string())?;
    let default = catalogue.default_datastore;
    if default.is_some() && catalogue.default_datastore().is_none() {
        return Err("default_datastore: no datastore has this id".into());
    }
    for datastore in &catalogue.datastores {
        if datastore.default_version.is_some() && datastore.default_version().is_none() {
            return Err(format!("datastore {}: default_version names no active version", datastore.name));
        }
    }
    Ok(catalogue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_offers_a_default() {
        let catalogue = load(None).unwrap();
        let datastore = catalogue.default_datastore().unwrap();
        assert_eq!((datastore.name.as_str(), datastore.default_version().unwrap().name.as_str()), ("mysql", "10.11"));
        assert!(catalogue.flavor("1").is_some());
    }

    #[test]
    fn a_default_that_does_not_exist_is_named() {
        let error = parse("default_datastore = '00000000-0000-0000-0000-000000000001'\ndatastores = []\nflavors = []");
        assert!(error.unwrap_err().contains("default_datastore"));
    }
}
