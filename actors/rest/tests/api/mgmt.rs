//! What admins see and do across tenants.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use coffer_domain::{
    command::Command,
    ids::TenantId,
    instance::{state::RootEnabled, view::InstanceView},
};

use coffer_rest::control::{Removed, Unanswered};

use super::{
    control::{NOW, healthy},
    people::{ADMIN, DEMO},
    server::{Answer, Api},
};

const INSTANCES: &str = "/v1.0/admin/mgmt/instances";

fn of(tenant: &str, id: u128) -> InstanceView {
    InstanceView { tenant: TenantId(tenant.into()), ..healthy(id) }
}

fn get(api: &Api, path: &str) -> Answer {
    api.call(ADMIN, "GET", path, "")
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json = answer.json();
    json["instances"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn all_tenants_instances_are_listed_page_by_page_each_once() {
    let api = Api::start();
    for (tenant, id) in [("b", 1), ("a", 2), ("demo", 3), ("a", 4), ("c/d", 5)] {
        api.memory.put(of(tenant, id));
    }
    assert_eq!(ids(&get(&api, INSTANCES)).len(), 5);
    let mut seen = BTreeSet::new();
    let mut path = format!("{INSTANCES}?limit=2&include_clustered=False");
    loop {
        let answer = get(&api, &path);
        for id in ids(&answer) {
            assert!(seen.insert(id.clone()), "{id} is seen twice");
        }
        let json = answer.json();
        let Some(next) = json["links"][0]["href"].as_str() else { break };
        path = next.strip_prefix(&format!("http://{}", api.address)).unwrap().to_owned();
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?project_id=a"))).len(), 2);
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?project_id=a&limit=1"))).len(), 1);
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?project_id=nobody"))), Vec::<String>::new());
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?deleted=true"))), Vec::<String>::new());
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?deleted=False"))).len(), 5);
}

#[test]
fn one_instance_of_another_tenant() {
    let api = Api::start();
    let root = RootEnabled { user: "demo-id".into(), enabled_at: NOW };
    api.memory.put(InstanceView { root_last_enabled: Some(root), ..of("demo", 1) });
    api.memory.put(of("demo", 2));
    let path = format!("{INSTANCES}/00000000-0000-0000-0000-00000000000");
    let one = get(&api, &format!("{path}1"));
    assert_eq!(one.status, 200);
    let row = &one.json()["instance"];
    assert_eq!((row["tenant_id"].as_str(), row["deleted"].as_bool()), (Some("demo"), Some(false)));
    assert_eq!(row["server"]["id"], "server-1");
    assert_eq!(row["task_description"], "No tasks for the instance.");
    assert_eq!(
        (&row["service_status"], &row["guest_status"]["state_description"]),
        (&"HEALTHY".into(), &"HEALTHY".into())
    );
    assert_eq!((&row["root_enabled"], &row["root_enabled_by"]), (&"2026-11-22T15:04:05".into(), &"demo-id".into()));
    let root = get(&api, &format!("{path}1/root"));
    assert_eq!(
        root.body,
        r#"{"root_history":{"id":"00000000-0000-0000-0000-000000000001","enabled":"2026-11-22T15:04:05","user":"demo-id"}}"#
    );
    let never = get(&api, &format!("{path}2/root")).json();
    assert_eq!(
        (&never["root_history"]["enabled"], &never["root_history"]["user"]),
        (&"Never".into(), &"Nobody".into())
    );
    assert_eq!(get(&api, &format!("{path}3")).status, 404);
    assert_eq!(get(&api, &format!("{INSTANCES}/nobody")).fault().1, "Resource nobody cannot be found.");
}

#[test]
fn those_that_are_gone_are_listed_page_by_page_and_shown() {
    let api = Api::start();
    api.memory.put(of("demo", 9));
    *api.memory.removed.lock().unwrap() = [("a", 1), ("demo", 2), ("a", 3), ("b", 4)]
        .map(|(tenant, id)| Removed { at: NOW + i64::try_from(id).unwrap(), last: of(tenant, id) })
        .into();
    let mut seen = Vec::new();
    let mut path = format!("{INSTANCES}?deleted=True&limit=3");
    loop {
        let answer = get(&api, &path);
        seen.extend(ids(&answer));
        let json = answer.json();
        assert!(
            json["instances"].as_array().unwrap().iter().all(|row| row["deleted"] == true && row["server"].is_null())
        );
        let Some(next) = json["links"][0]["href"].as_str() else { break };
        path = next.strip_prefix(&format!("http://{}", api.address)).unwrap().to_owned();
    }
    assert_eq!(seen.iter().map(|id| id[35..].to_owned()).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?deleted=true&project_id=a&limit=1"))).len(), 1);
    assert_eq!(ids(&get(&api, &format!("{INSTANCES}?deleted=true&project_id=a"))).len(), 2);

    let one = |id: u8, query: &str| get(&api, &format!("{INSTANCES}/00000000-0000-0000-0000-00000000000{id}{query}"));
    assert_eq!((one(2, "").status, one(2, "?deleted=true").status, one(7, "?deleted=true").status), (404, 200, 404));
    let row = &one(2, "?deleted=true").json()["instance"];
    assert_eq!((&row["deleted"], &row["deleted_at"]), (&true.into(), &"2026-11-22T15:04:05".into()));
    assert_eq!(one(9, "?deleted=true").json()["instance"]["deleted"], false, "one that is there is shown too");
}

#[test]
fn agents_are_asked_and_what_they_answer_is_shown() {
    let api = Api::start();
    api.memory.put(of("demo", 1));
    let ask =
        |id: u8, question: &str| get(&api, &format!("{INSTANCES}/00000000-0000-0000-0000-00000000000{id}/{question}"));
    let ping = ask(1, "rpc_ping");
    assert_eq!((ping.status, ping.body.as_str()), (204, ""));
    let hardware = ask(1, "hwinfo");
    assert_eq!((hardware.status, hardware.body.as_str()), (200, r#"{"hwinfo":{"mem_total":524288,"num_cpus":2}}"#));
    let diagnostics = ask(1, "diagnostics").json();
    let expected = r#"{"diagnostics":{"version":"0.1.0","threads":9,"fdSize":256,"vmSize":900000,"vmPeak":910000,"vmRss":120000,"vmHwm":130000}}"#;
    assert_eq!(diagnostics, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    api.memory.is_engine_down.store(true, Ordering::SeqCst);
    let down = ask(1, "diagnostics");
    assert_eq!((down.status, down.fault().0.as_str()), (422, "unprocessableEntity"));

    for (reason, status, words) in [
        (Unanswered::NotHeard, 503, "is not heard of now"),
        (Unanswered::Unknown, 501, "too old to be asked this"),
        (Unanswered::Crowded, 503, "asked too much"),
        (Unanswered::Late, 503, "did not answer within 5 s"),
    ] {
        *api.memory.unanswered.lock().unwrap() = Some(reason);
        for question in ["diagnostics", "hwinfo", "rpc_ping"] {
            let refused = ask(1, question);
            assert_eq!(refused.status, status, "{question}");
            assert!(refused.fault().1.contains(words), "{}", refused.body);
            assert_eq!(refused.header("Retry-After").is_some(), status == 503);
            assert_eq!(ask(3, question).status, 404, "{question}");
        }
    }
}

#[test]
fn actions_reach_the_instance_of_the_tenant_that_has_it() {
    let api = Api::start();
    api.memory.put(of("demo", 1));
    let act =
        |body: &str| api.call(ADMIN, "POST", &format!("{INSTANCES}/00000000-0000-0000-0000-000000000001/action"), body);
    for (body, command) in [
        (r#"{"reboot": {}}"#, Command::Restart),
        (r#"{"stop": {}}"#, Command::Stop),
        (r#"{"reset-task-status": {}}"#, Command::ResetStatus { force_delete: false }),
    ] {
        let answer = act(body);
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{body}");
        let envelope = api.memory.last();
        assert_eq!((envelope.tenant.0.as_str(), envelope.principal.as_str()), ("demo", "admin-id"));
        assert_eq!(envelope.command, command);
    }
    for (body, status, words) in [
        (r#"{"migrate": {"host": "h2"}}"#, 501, "there is one host"),
        (r#"{"migrate": {}}"#, 501, "there is one host"),
        (r#"{"migrate": {"host": ""}}"#, 400, "migrate"),
        (r#"{"rebuild": {"image_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}}"#, 501, "'rebuild'"),
        (r#"{"rebuild": {"image_id": "x"}}"#, 400, "rebuild"),
        (r#"{"reboot": null}"#, 400, "reboot"),
        (r#"{"zz": {}}"#, 400, "Invalid instance action: zz"),
        (r#"{"stop": {}, "reboot": {}}"#, 400, "exactly one key"),
        ("{}", 400, "exactly one key"),
    ] {
        let answer = act(body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.fault().1.contains(words), "{body}: {}", answer.body);
    }
    assert_eq!(api.memory.count(), 3);
    let other = api.call(ADMIN, "POST", &format!("{INSTANCES}/nobody/action"), r#"{"reboot": {}}"#);
    assert_eq!(other.status, 404);
}

#[test]
fn versions_of_the_catalogue_active_or_not() {
    let api = Api::start();
    let versions = get(&api, "/v1.0/admin/mgmt/datastore-versions").json();
    let versions = versions["versions"].as_array().unwrap();
    let shown: Vec<_> = versions.iter().map(|row| (row["name"].as_str(), row["active"].as_bool())).collect();
    assert_eq!(shown, [(Some("10.11"), Some(true)), (Some("10.5"), Some(false))]);
    let one = get(&api, "/v1.0/admin/mgmt/datastore-versions/00000000-0000-0000-0000-000000001011");
    assert_eq!(
        one.body,
        r#"{"version":{"id":"00000000-0000-0000-0000-000000001011","name":"10.11","version":"10.11.6","datastore_id":"00000000-0000-0000-0000-0000000000d5","datastore_name":"mysql","datastore_manager":"mysql","image":null,"image_tags":[""],"packages":[""],"active":true,"registry_ext":null,"repl_strategy":null,"default":true}}"#
    );
    assert_eq!(get(&api, "/v1.0/admin/mgmt/datastore-versions/9").status, 400);
    assert_eq!(api.call(DEMO, "GET", "/v1.0/demo/mgmt/datastore-versions", "").status, 401);
}
