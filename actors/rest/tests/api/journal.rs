//! The journal of an instance, page by page.

use coffer_domain::{
    instance::journal::{Entry, Happening},
    time::SECOND,
};
use serde_json::Value;

use super::{
    control::{NOW, healthy},
    server::Api,
};

const JOURNAL: &str = "/instances/00000000-0000-0000-0000-000000000001/journal";

fn entry(number: i64) -> Entry {
    let what = Happening::StatusChanged { from: "ACTIVE HEALTHY".into(), to: "RESIZE".into() };
    Entry { at: NOW + number * SECOND, what }
}

fn numbers(page: &Value) -> Vec<u64> {
    page["journal"].as_array().unwrap().iter().map(|line| line["number"].as_u64().unwrap()).collect()
}

#[test]
fn a_journal_is_read_page_by_page() {
    let api = Api::start();
    let view = healthy(1);
    let key = (view.tenant.clone(), view.id);
    // The instance is gone, and its journal is not.
    api.memory.journals.lock().unwrap().insert(key, (0..25).map(entry).collect());
    let first = api.get(JOURNAL);
    assert_eq!(first.status, 200);
    let first: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(numbers(&first), (0..20).collect::<Vec<_>>());
    assert_eq!(first["dropped"], 3);
    assert_eq!(
        first["journal"][0],
        serde_json::json!({
            "number": 0,
            "created": "2026-11-22T15:04:05",
            "text": "status: ACTIVE HEALTHY -> RESIZE",
            "entry": "status_changed",
            "from": "ACTIVE HEALTHY",
            "to": "RESIZE",
        })
    );
    let next = first["links"][0]["href"].as_str().unwrap();
    assert!(next.ends_with("/journal?marker=19"), "{next}");
    let last: Value = serde_json::from_str(&api.get(&format!("{JOURNAL}?marker=19")).body).unwrap();
    assert_eq!((numbers(&last), last.get("links")), ((20..25).collect(), None));
}

#[test]
fn an_instance_without_a_journal_has_an_empty_one_and_nobody_elses_is_shown() {
    let api = Api::start();
    let view = healthy(1);
    assert_eq!(api.get(JOURNAL).status, 404);
    assert_eq!(api.get("/instances/nobody/journal").status, 404);
    let stranger = coffer_domain::ids::TenantId("another".into());
    api.memory.journals.lock().unwrap().insert((stranger, view.id), vec![entry(0)]);
    assert_eq!(api.get(JOURNAL).status, 404);
    api.memory.put(view);
    let page: Value = serde_json::from_str(&api.get(JOURNAL).body).unwrap();
    assert!(numbers(&page).is_empty());
}
