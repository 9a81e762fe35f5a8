//! Lists page by page.

use coffer_domain::{
    instance::view::{InstanceView, UserView},
    time::Timestamp,
};

use super::{
    control::{NOW, healthy},
    server::{Answer, Api},
};

/// Path and query of the next page.
fn next(api: &Api, answer: &Answer) -> Option<String> {
    let links = answer.json().get("links")?.clone();
    assert_eq!((links.as_array().unwrap().len(), links[0]["rel"].as_str()), (1, Some("next")));
    let href = links[0]["href"].as_str().unwrap();
    Some(href.strip_prefix(&format!("http://{}/v1.0/demo", api.address)).unwrap().to_owned())
}

/// Follows the links from `path`; the field of every entry, page by page.
fn follow(api: &Api, path: &str, collection: &str, field: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = Some(path.to_owned());
    while let Some(current) = path {
        let answer = api.get(&current);
        assert_eq!(answer.status, 200, "{current}: {}", answer.body);
        let json = answer.json();
        let entries = json[collection].as_array().unwrap();
        pages.push(entries.iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect());
        path = next(api, &answer);
        assert!(pages.len() < 100, "the pages never end");
    }
    pages
}

#[test]
fn instances_go_by_id_and_each_page_by_age() {
    let api = Api::start();
    for id in 1..=45_u128 {
        // The greater the id, the older.
        let created_at = Timestamp(NOW.0 - id as i64 * 1000);
        api.memory.put(InstanceView { created_at, ..healthy(id) });
    }
    let names = |ids: std::ops::RangeInclusive<u128>| ids.map(|id| format!("db-{id}")).collect::<Vec<_>>();
    let expected = vec![names(1..=20), names(21..=40), names(41..=45)];
    assert_eq!(follow(&api, "/instances", "instances", "name"), expected);
    assert_eq!(follow(&api, "/instances?limit=1000", "instances", "name"), expected);
    assert_eq!(follow(&api, "/instances/detail?limit=15&include_clustered=False", "instances", "name").len(), 3);
    // Young ones last by id come first on their page.
    api.memory.put(InstanceView { created_at: NOW, ..healthy(5) });
    assert_eq!(follow(&api, "/instances?limit=6", "instances", "name")[0][0], "db-5");
}

#[test]
fn an_unknown_marker_is_a_position() {
    let api = Api::start();
    for id in [1, 3] {
        api.memory.put(healthy(id));
    }
    for (marker, count) in [("00000000-0000-0000-0000-000000000002", 1), ("zzz", 0), ("%2D", 2), ("", 2)] {
        let answer = api.get(&format!("/instances?marker={marker}"));
        assert_eq!(answer.json()["instances"].as_array().unwrap().len(), count, "{marker}");
    }
}

#[test]
fn databases_and_users_go_by_name() {
    let api = Api::start();
    let databases: Vec<String> = (10..=50).map(|number| format!("db {number}")).collect();
    let user = |number: u32| UserView { name: format!("u.{number}"), host: "10.0.0.%".into(), databases: vec![] };
    api.memory.put(InstanceView { databases: databases.clone(), users: (10..=50).map(user).collect(), ..healthy(1) });
    let base = "/instances/00000000-0000-0000-0000-000000000001";
    let pages = follow(&api, &format!("{base}/databases"), "databases", "name");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 1]);
    assert_eq!(pages.concat(), databases);
    let pages = follow(&api, &format!("{base}/users?limit=7"), "users", "name");
    assert_eq!(pages.concat(), (10..=50).map(|number| format!("u.{number}")).collect::<Vec<_>>());
    let first = api.get(&format!("{base}/users?limit=1"));
    assert!(next(&api, &first).unwrap().ends_with("/users?limit=1&marker=u.10%254010.0.0.%2525"));
}
