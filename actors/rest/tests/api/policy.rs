//! Rules of an operator's, and the page that says which route asks which.

use std::{env, fs, path::Path};

use coffer_rest::{Asks, config::Config, routes};

use super::{
    control::healthy,
    people::{ADMIN, DEMO, OPERATOR},
    server::Api,
};

const INSTANCE: &str = "/v1.0/demo/instances/00000000-0000-0000-0000-000000000001";

struct Ruled {
    api: Api,
    _directory: tempfile::TempDir,
}

fn with_rules(rules: &str) -> Ruled {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    fs::write(&file, rules).unwrap();
    let config = Config { policy_file: Some(file), ..Config::default() };
    config.check_policy().unwrap();
    let api = Api::start_with(config);
    api.memory.put(healthy(1));
    Ruled { api, _directory: directory }
}

#[test]
fn a_rule_of_the_operators_takes_the_place_of_troves() {
    let ruled = with_rules(
        "\"instance:delete\": \"role:admin\"\n\"instance:restart\": \"!\"\n\"instance:resize_volume\": \"!\"\n\
         \"flavor:index\": \"role:nobody\"\n\"instance:extension:user:create\": \"!\"\n\"limits:index\": \"role:member\"\n",
    );
    let api = &ruled.api;
    let order =
        |more: &str| format!(r#"{{"instance": {{"name": "i", "flavorRef": 1, "volume": {{"size": 1}}{more}}}}}"#);
    let users = order(r#", "databases": [{"name": "db1"}], "users": [{"name": "u1", "password": "p1"}]"#);
    for (token, method, path, body, rule) in [
        (DEMO, "DELETE", INSTANCE, "", "instance:delete"),
        (DEMO, "POST", &*format!("{INSTANCE}/action"), r#"{"restart": {}}"#, "instance:restart"),
        (OPERATOR, "POST", &format!("{INSTANCE}/action"), r#"{"restart": {}}"#, "instance:restart"),
        (
            DEMO,
            "POST",
            &format!("{INSTANCE}/action"),
            r#"{"resize": {"volume": {"size": 9}}}"#,
            "instance:resize_volume",
        ),
        (DEMO, "POST", &format!("{INSTANCE}/users"), r#"{"users": []}"#, "instance:extension:user:create"),
        (DEMO, "POST", "/v1.0/demo/instances", &users, "instance:extension:user:create"),
        (DEMO, "GET", "/v1.0/demo/flavors", "", "flavor:index"),
        (OPERATOR, "GET", "/v1.0/demo/limits", "", "limits:index"),
    ] {
        let answer = api.call(token, method, path, body);
        let expected = ("forbidden".to_owned(), format!("Policy doesn't allow {rule} to be performed."));
        assert_eq!((answer.status, answer.fault()), (403, expected), "{method} {path}");
    }
    assert_eq!(api.memory.count(), 0, "nothing was done");
    for (token, method, path, body, status) in [
        (DEMO, "GET", "/v1.0/demo/limits", "", 200),
        (DEMO, "GET", "/v1.0/demo/flavors/1", "", 200),
        (DEMO, "POST", &*format!("{INSTANCE}/action"), r#"{"resize": {"flavorRef": "m2"}}"#, 202),
        (DEMO, "POST", "/v1.0/demo/instances", &order(""), 200),
        (OPERATOR, "DELETE", INSTANCE, "", 202),
    ] {
        let answer = api.call(token, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
}

#[test]
fn who_is_an_admin_is_a_rule_too() {
    let ruled = with_rules("\"context_is_admin\": \"role:member\"\n");
    assert_eq!(ruled.api.call(ADMIN, "GET", "/v1.0/admin/mgmt/instances", "").status, 401);
    assert_eq!(ruled.api.call(DEMO, "GET", "/v1.0/demo/mgmt/instances", "").status, 200);
    let answer = ruled.api.call(DEMO, "POST", &format!("{INSTANCE}/action"), r#"{"reset_status": {}}"#);
    assert_eq!(answer.status, 202, "rule:admin counts is_admin: {}", answer.body);
}

#[test]
fn a_file_that_cannot_be_used_is_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let config = Config { policy_file: Some(file.clone()), ..Config::default() };
    assert!(config.check_policy().unwrap_err().starts_with(&format!("rest.policy_file: {}: ", file.display())));
    fs::write(&file, "\"instance:show\": \"rule:nobody\"").unwrap();
    let error = config.check_policy().unwrap_err();
    assert!(error.ends_with("line 1, rule \"instance:show\": there is no rule \"nobody\""), "{error}");
}

const BEGIN: &str = "<!-- the table is written by a test: COFFER_BLESS=1 -->\n";

#[test]
fn the_page_has_the_rule_of_each_route() {
    let mut lines: Vec<String> = routes()
        .into_iter()
        .filter_map(|route| {
            let asks = match route.asks? {
                Asks::Rule(rule) => format!("`{rule}`"),
                Asks::OneOf(rules) => {
                    let rules: Vec<_> = rules.iter().map(|rule| format!("`{rule}`")).collect();
                    format!("{}, by what is asked for", rules.join(", "))
                }
                Asks::Admin => "`context_is_admin`, else 401".to_owned(),
                Asks::OwnerOrAdmin => "the tenant's own, or `context_is_admin`".to_owned(),
            };
            Some(format!("| `{} {}` | {asks} |\n", route.method, route.path))
        })
        .collect();
    lines.sort_by_key(|line| {
        let (method, path) = line.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).unwrap();
        (path.to_owned(), method.to_owned())
    });
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/docs/policy.md");
    let text = fs::read_to_string(&page).unwrap();
    let (head, _) = text.split_once(BEGIN).expect("the place of the table");
    let table = format!("{head}{BEGIN}| route | rule |\n|---|---|\n{}", lines.concat());
    if env::var_os("COFFER_BLESS").is_some() {
        fs::write(&page, &table).unwrap();
    }
    assert!(fs::read_to_string(&page).unwrap() == table, "COFFER_BLESS=1 rewrites {}", page.display());
}
