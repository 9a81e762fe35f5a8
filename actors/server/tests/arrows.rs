//! The arrows between our crates, held against a golden file: an architecture that is only prose decays.
//!
//! `COFFER_BLESS=1` rewrites the file; DESIGN and the reviewer decide whether the new arrow is allowed.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Absent for a normal dependency.
    kind: Option<String>,
    /// Present for a crate of this workspace.
    path: Option<String>,
}

#[test]
fn crates_depend_on_each_other_as_agreed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(here)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();

    let short = |name: &str| name.trim_start_matches("coffer-").to_owned();
    let mut arrows: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for package in metadata.packages {
        let lines = arrows.entry(short(&package.name)).or_default();
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            lines[usize::from(dependency.kind.is_some())].push(short(&dependency.name));
        }
        lines.iter_mut().for_each(|names| names.sort());
    }
    let mut text = String::new();
    for (name, [normal, dev]) in arrows {
        let normal = if normal.is_empty() { "nothing of ours".to_owned() } else { normal.join(", ") };
        text += &format!("{name} -> {normal}\n");
        if !dev.is_empty() {
            text += &format!("{name} (tests) -> {}\n", dev.join(", "));
        }
    }

    let golden = here.join("tests/golden/arrows.txt");
    if env::var_os("COFFER_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap(), "an arrow was added or removed; see {}", golden.display());
}
