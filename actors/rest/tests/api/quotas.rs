//! What a tenant may have, set by operators.

use coffer_domain::{
    command::Command,
    ids::TenantId,
    quota::{Limit, OwnLimits},
};

use super::{
    people::{ADMIN, DEMO, OTHER},
    server::{Answer, Api},
};

fn set(api: &Api, tenant: &str, body: &str) -> Answer {
    api.call(ADMIN, "PUT", &format!("/v1.0/admin/mgmt/quotas/{tenant}"), body)
}

/// The limits of instances, volumes, ram and backups, as a tenant sees them in both places.
fn seen(api: &Api) -> [i64; 4] {
    let quotas = api.get("/mgmt/quotas/demo").json();
    let quotas = quotas["quotas"].as_array().unwrap().clone();
    let shown = quotas.iter().map(|quota| quota["limit"].as_i64().unwrap()).collect::<Vec<_>>();
    let absolute = &api.get("/limits").json()["limits"][0];
    let limits = ["max_instances", "max_volumes", "max_ram", "max_backups"].map(|key| absolute[key].as_i64().unwrap());
    assert_eq!(shown, limits);
    limits
}

#[test]
fn limits_are_set_one_by_one_and_shown() {
    let api = Api::start();
    assert_eq!(seen(&api), [10, 40, -1, 50]);
    let answer = set(&api, "demo", r#"{"quotas": {"ram": 4096, "instances": "5", "volumes": null}}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"quotas":{"instances":5,"ram":4096}}"#));
    assert_eq!(seen(&api), [5, 40, 4096, 50]);
    let envelope = api.memory.last();
    assert_eq!((envelope.tenant, envelope.principal.as_str()), (TenantId("demo".into()), "admin-id"));
    let limits =
        OwnLimits { instances: Some(Limit::AtMost(5)), memory_mib: Some(Limit::AtMost(4096)), ..OwnLimits::default() };
    assert_eq!(envelope.command, Command::SetQuota { limits });

    // Lower than what there is, none, and no limit at all.
    assert_eq!(set(&api, "demo", r#"{"quotas": {"instances": 0, "backups": -1}}"#).status, 200);
    assert_eq!(seen(&api), [0, 40, 4096, -1]);
    let other = api.call(OTHER, "GET", "/v1.0/other/limits", "").json();
    assert_eq!(other["limits"][0]["max_instances"], 10, "another tenant's are as they were");
}

#[test]
fn nothing_to_set_is_nothing_to_do() {
    let api = Api::start();
    for body in [r#"{"quotas": {}}"#, r#"{"quotas": {"instances": null}}"#] {
        let answer = set(&api, "demo", body);
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"quotas":{}}"#));
    }
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn what_is_no_limit_is_refused_and_changes_nothing() {
    let api = Api::start();
    for (tenant, body, status, words) in [
        ("demo", r#"{"quotas": {"instances": -2}}"#, 400, "must be at least '-1'"),
        ("demo", r#"{"quotas": {"instances": 3, "ram": "much"}}"#, 400, "['ram']"),
        ("demo", r#"{"quotas": {"instances": 1.5}}"#, 400, "['instances']"),
        ("demo", r#"{"quotas": {"instances": true}}"#, 400, "['instances']"),
        ("demo", r#"{"quotas": {"cats": 9}}"#, 404, "Unknown quota resources ['cats']."),
        ("demo", r#"{"quotas": []}"#, 400, "quotas"),
        ("demo", r#"{"instances": 5}"#, 400, "'quotas' is a required property"),
        ("demo", "", 400, "it is empty"),
        ("de%20mo", r#"{"quotas": {"instances": 5}}"#, 400, "Project 'de mo' has no id"),
        ("de%00mo", r#"{"quotas": {"instances": 5}}"#, 400, "has no id"),
    ] {
        let refused = set(&api, tenant, body);
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
        assert!(refused.fault().1.contains(words), "{body}: {}", refused.body);
    }
    let member = api.call(DEMO, "PUT", "/v1.0/demo/mgmt/quotas/demo", r#"{"quotas": {"instances": 5}}"#);
    assert_eq!(member.status, 401, "nobody sets their own");
    assert_eq!((api.memory.count(), seen(&api)), (0, [10, 40, -1, 50]));
}
