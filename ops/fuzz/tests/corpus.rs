//! Everything that was ever found, replayed: fast enough for every change.

use std::{fs, path::Path};

use coffer_fuzz::TARGETS;

fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

fn replay(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target of this name");
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for (path, input) in inputs {
        println!("{path}");
        check(&input);
    }
}

#[test]
fn the_corpus_of_config_breaks_nothing() {
    replay("config");
}

#[test]
fn the_corpus_of_rest_breaks_nothing() {
    replay("rest");
}

#[test]
fn the_corpus_of_rows_breaks_nothing() {
    replay("rows");
}

#[test]
fn the_corpus_of_wire_breaks_nothing() {
    replay("wire");
}

#[test]
fn every_target_is_replayed() {
    assert_eq!(TARGETS.map(|(name, _)| name), ["config", "rest", "rows", "wire"], "give the new one a test above");
}

/// A route without an input would hardly ever be found by chance.
#[test]
fn every_route_has_an_input() {
    let heads: Vec<String> = inputs("rest")
        .into_iter()
        .map(|(_, input)| String::from_utf8_lossy(&input).lines().next().unwrap_or_default().to_owned())
        .collect();
    for route in coffer_rest::routes() {
        let is_of = |head: &String| {
            head.split_once(' ').is_some_and(|(verb, found)| verb == route.method && is_under(&route.path, found))
        };
        assert!(heads.iter().any(is_of), "no input for {} {}", route.method, route.path);
    }
}

/// Whether a path, seen without its query, is one of a route.
fn is_under(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len() && route.iter().zip(&path).all(|(part, found)| part.starts_with('{') || part == found)
}
