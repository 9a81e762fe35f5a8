//! Everything with a bound, found in the source: each tells its fullness, or is excused by name and with a reason.
//!
//! A new `const …: usize`, queue or semaphore fails this test until `tests/bounds.txt` has a line for it:
//! `<file> <constant> = <thing>` for one whose fullness is registered, `<file> <constant> - <reason>` for another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where programs are made of; simulation and conformance suites are none.
const ROOMS: [&str; 9] = [
    "actors/domain/src",
    "actors/rest/src",
    "actors/runtime/src",
    "actors/server/src",
    "agent/guest/src",
    "agent/protocol/src",
    "connectors/kafka/src",
    "connectors/local/src",
    "connectors/openstack/src",
];

/// What makes a thing with a bound; its bound follows.
const MAKERS: [&str; 4] = ["channel(", "channel::<", "Semaphore::new(", "set_mailbox_capacity("];

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && path.file_name().unwrap() != "tests.rs" {
            found.push(path);
        }
    }
}

/// The constants of a line that are bounds, or may be.
fn bounds_in(line: &str) -> Option<&str> {
    let name = |text: &str| text.len() > 1 && text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    if let Some((declared, kind)) = line.split_once("const ").and_then(|(_, rest)| rest.split_once(": ")) {
        return (kind.starts_with("usize =") && name(declared)).then_some(declared);
    }
    if !MAKERS.iter().any(|maker| line.contains(maker)) {
        return None;
    }
    line.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_').find(|word| name(word))
}

#[test]
fn whatever_has_a_bound_tells_its_fullness_or_is_excused() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let mut sources = Vec::new();
    ROOMS.iter().for_each(|room| files(&root.join(room), &mut sources));
    let mut found = BTreeSet::new();
    for source in &sources {
        let text = fs::read_to_string(source).unwrap();
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let file = source.strip_prefix(&root).unwrap().display();
        let bounds = program.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(bounds_in);
        found.extend(bounds.map(|bound| format!("{file} {bound}")));
    }

    let listed = fs::read_to_string(here.join("tests/bounds.txt")).unwrap();
    let mut known = BTreeSet::new();
    let mut things = BTreeMap::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [file, constant, sign, what] = words[..] else { panic!("not a line of bounds.txt: {line}") };
        known.insert(format!("{file} {constant}"));
        match sign {
            "=" => drop(things.insert(what, line)),
            "-" => assert!(what.len() > 10, "no reason: {line}"),
            _ => panic!("not a line of bounds.txt: {line}"),
        }
    }
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "bounds that tests/bounds.txt does not know: {new:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "bounds of tests/bounds.txt that are gone: {gone:#?}");

    let mut registered: BTreeSet<&str> = BTreeSet::new();
    registered.extend(coffer_runtime::fullness::THINGS);
    registered.extend(coffer_kafka::THINGS);
    registered.extend(coffer_local::identity::THINGS);
    registered.extend(coffer_openstack::keystone::THINGS);
    assert_eq!(things.keys().copied().collect::<BTreeSet<_>>(), registered);
}
