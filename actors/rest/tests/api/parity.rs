//! `ops/docs/trove-parity.md` tells what the code does.

use std::collections::{BTreeMap, BTreeSet};

use coffer_rest::routes;

use super::{
    control::{VERSION, healthy},
    people::{DEMO, OPERATOR},
    server::Api,
};

const PAGE: &str = include_str!("../../../../ops/docs/trove-parity.md");

/// Trove 26's routes that are meant for use, with `/` and `/healthcheck`.
const TROVES: usize = 104;

/// The rows of a table below this heading: what stands in the first column's code, and the second column.
fn rows(heading: &str) -> BTreeMap<String, String> {
    let (_, section) = PAGE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let end = section.find("\n#").unwrap_or(section.len());
    let mut rows = BTreeMap::new();
    for line in section[..end].lines() {
        let Some((name, rest)) = line.strip_prefix("| `").and_then(|line| line.split_once("` | ")) else { continue };
        let (word, _) = rest.split_once(" |").unwrap_or_else(|| panic!("a row without an end: {line}"));
        assert!(rows.insert(name.to_owned(), word.to_owned()).is_none(), "{name} is there twice");
    }
    rows
}

/// A request that finds its route: the names in braces stand for things that are there, or none.
fn example(path: &str) -> String {
    let instance = healthy(1).id.to_string();
    path.replace("/mgmt/instances/{instance}", &format!("/mgmt/instances/{instance}"))
        .replace("/v1.0/{tenant}/instances/{instance}", &format!("/v1.0/demo/instances/{instance}"))
        .replace("{tenant}", "demo")
        .replace("/datastores/versions/{version}", &format!("/datastores/versions/{VERSION}"))
        .replace("{datastore}", "mysql")
        .replace("{version}", "10.11")
        .replace(['{', '}'], "")
}

#[test]
fn the_page_has_the_routes_of_the_code_and_no_others() {
    let troves = rows("## Routes");
    assert_eq!(troves.len(), TROVES);
    let ours = rows("### Beside Trove");
    let mut served = BTreeSet::new();
    for route in routes() {
        let name = format!("{} {}", route.method, route.path);
        let word = match troves.get(&name) {
            Some(word) => word.as_str(),
            None if ours.contains_key(&name) => "works",
            None => panic!("{name} is served and is not on the page"),
        };
        let is_built = match word {
            "works" | "different" => true,
            "validated only" => false,
            _ => panic!("{name}: '{word}' is none of the page's words"),
        };
        assert_eq!(route.is_built, is_built, "{name} is said to be '{word}'");
        assert!(served.insert(name.clone()), "{name} is served twice");
    }
    for name in troves.keys().chain(ours.keys()) {
        assert!(served.contains(name), "{name} is on the page and is not served");
    }
}

#[test]
fn every_route_is_found_and_none_is_answered_with_a_fault_of_ours() {
    let api = Api::start();
    for route in routes() {
        api.memory.put(healthy(1));
        let (method, path) = (route.method.as_str(), example(&route.path));
        let body = if matches!(method, "POST" | "PUT" | "PATCH") { "{}" } else { "" };
        let answer = api.call(OPERATOR, method, &path, body);
        let is_no_route = answer.status == 404 && answer.body.contains("The resource could not be found.");
        assert!(!is_no_route, "{method} {path}");
        assert!(answer.status < 500 || answer.status == 501, "{method} {path}: {}", answer.status);
    }
}

#[test]
fn management_is_for_admins() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let mut count = 0;
    for route in routes().into_iter().filter(|route| route.path.starts_with("/v1.0/{tenant}/mgmt/")) {
        let name = format!("{} {}", route.method, route.path);
        if name == "GET /v1.0/{tenant}/mgmt/quotas/{id}" {
            continue;
        }
        let answer = api.call(DEMO, route.method.as_str(), &example(&route.path), body_of(&name));
        let expected = ("unauthorized".to_owned(), "User does not have admin privileges.".to_owned());
        assert_eq!((answer.status, answer.fault()), (401, expected), "{name}");
        count += 1;
    }
    assert_eq!(count, 22);
}

/// A body that is in order.
fn body_of(name: &str) -> &'static str {
    match name.split_once(" /v1.0/{tenant}/mgmt").unwrap() {
        ("POST", "/instances/{instance}/upgrade") => r#"{"upgrade": {}}"#,
        ("POST", "/clusters/{cluster}/action") => r#"{"reset-task": {}}"#,
        ("PUT", "/quotas/{id}") => r#"{"quotas": {"instances": 5}}"#,
        ("POST", "/datastore-versions") => {
            r#"{"version": {"name": "11", "datastore_name": "mysql", "datastore_manager": "mysql", "active": true}}"#
        }
        ("POST" | "PUT", path) if path.contains("/parameters") => {
            r#"{"configuration-parameter": {"name": "x", "data_type": "string", "restart_required": 0}}"#
        }
        ("POST", _) => r#"{"reboot": {}}"#,
        ("PATCH", _) => "{}",
        _ => "",
    }
}

#[test]
fn commands_have_one_of_the_pages_words() {
    // What `openstack` has is compared with the plugin itself in ops/e2e.
    for (heading, count) in [("## Commands of `openstack`", 84), ("## Commands of the `trove` shell", 88)] {
        let rows = rows(heading);
        assert_eq!(rows.len(), count, "{heading}");
        for (name, word) in rows {
            assert!(["works", "different", "validated only", "refused"].contains(&word.as_str()), "{name}: {word}");
        }
    }
}
