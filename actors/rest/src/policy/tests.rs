//! What rules mean, and what is refused when they are read.

use std::collections::BTreeSet;

use super::*;
use crate::policy::routes::{Asks, table};

fn principal(roles: &[&str]) -> Principal {
    Principal {
        user_id: "u1".into(),
        user_name: "alice".into(),
        project_id: "p1".into(),
        project_name: "shop".into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

/// Whether a rule with this text lets a caller of project `p1` do something to a thing of `tenant`.
fn allows(text: &str, roles: &[&str], tenant: &str) -> bool {
    let content = format!("\"instance:show\": \"{text}\"");
    let policy = Policy::with(&content).unwrap_or_else(|error| panic!("{error}"));
    let principal = principal(roles);
    let is_admin = policy.is_admin(&principal);
    policy.holds("instance:show", &Asker { principal: &principal, is_admin, tenant })
}

#[test]
fn an_expression_means_what_it_means_to_oslo() {
    for (text, roles, tenant, expected) in [
        ("", &[][..], "p2", true),
        ("@", &[], "p2", true),
        ("!", &["admin"], "p1", false),
        ("not !", &[], "p1", true),
        ("role:member", &["reader", "Member"], "p1", true),
        ("role:member", &["admin"], "p1", false),
        ("project_id:%(tenant)s", &[], "p1", true),
        ("project_id:%(tenant)s", &[], "p2", false),
        ("tenant:%(project_id)s", &[], "p1", true),
        ("project_id:p1", &[], "p2", true),
        ("user_id:u1 and user_name:alice and project_name:shop", &[], "p1", true),
        ("is_admin:True", &["admin"], "p1", true),
        ("is_admin:False", &["member"], "p1", true),
        ("'p1':%(tenant)s", &[], "p1", true),
        ("'p1':%(tenant)s", &[], "p2", false),
        ("True:False", &[], "p1", false),
        ("rule:admin_or_owner", &["admin"], "p2", true),
        ("rule:admin_or_owner", &["member"], "p2", false),
        // `and` binds closer than `or`, `not` closer than both.
        ("@ or @ and !", &[], "p1", true),
        ("(@ or @) and !", &[], "p1", false),
        ("not ! and !", &[], "p1", false),
        ("NOT (role:a AND (role:b OR role:c))", &["a", "c"], "p1", false),
        ("not (role:a and (role:b or role:c))", &["a"], "p1", true),
        ("not not @", &[], "p1", true),
    ] {
        assert_eq!(allows(text, roles, tenant), expected, "{text} for {roles:?} at {tenant}");
    }
}

#[test]
fn whatever_is_wrong_is_found_at_the_start_with_its_line_and_rule() {
    for (text, words) in [
        ("role:a and", "it ends where a check should stand"),
        ("or role:a", "`or` is no check"),
        ("role:a role:b", "`role:b` is one too many"),
        ("(role:a", "a parenthesis is not closed"),
        ("role:a)", "`)` is one too many"),
        ("()", "`)` is no check"),
        ("admin", "`admin` is no check"),
        ("role:", "names none"),
        ("role:%(tenant)s", "a role is named as it is"),
        ("http://example.org/x", "nobody else is asked"),
        ("rule:amdin", "there is no rule \\\"amdin\\\""),
        ("rule:instance:show", "it comes back to itself"),
        ("domain_id:default", "nothing is known of a caller under `domain_id`"),
        ("user_id:%(owner)s", "%(tenant)s and %(project_id)s are what is known"),
        (&"not ".repeat(100), "nested more than"),
        (&"(".repeat(100_000), "nested more than"),
    ] {
        let content = format!("# comment\n\n\"instance:show\": \"{text}\"\n");
        let error = Policy::with(&content).unwrap_err();
        assert!(error.starts_with("line 3, rule \"instance:show\": "), "{text}: {error}");
        assert!(error.contains(&words.replace('\\', "")), "{text}: {error}");
    }
    let ring = "\"instance:show\": \"rule:a\"\n\"a\": \"role:x or rule:b\"\n\"b\": \"not rule:a\"";
    assert!(Policy::with(ring).unwrap_err().contains("comes back to itself"));
    // Also where Trove's own rules close the ring.
    let error = Policy::with("\"admin\": \"rule:admin_or_owner\"").unwrap_err();
    assert!(error.starts_with("line 1, rule \"admin\": it comes back to itself"), "{error}");
}

#[test]
fn a_name_that_nobody_asks_for_is_a_mistake_and_a_helper_is_none() {
    let error = Policy::with("\n\"instance:shwo\": \"!\"").unwrap_err();
    assert!(error.starts_with("line 2, rule \"instance:shwo\": it is no rule of Trove's"), "{error}");
    Policy::with("\"operators\": \"role:ops\"\n\"instance:delete\": \"rule:operators\"").unwrap();
    let error = Policy::with("\"instance:show\": \"@\"\n\"instance:show\": \"!\"").unwrap_err();
    assert!(error.contains("it stands on line 1 already"), "{error}");
}

#[test]
fn files_are_read_as_oslos_tools_write_them() {
    let yaml = "---\n# About it.\n#\"instance:index\": \"!\"\n\"instance:show\": \"role:a\"\ninstance:index: role:b  # why\n\
                'instance:detail': 'role:c'\n\"flavor:index\": \"\"\nflavor:show:\n";
    let json = "{\n    \"instance:show\": \"role:a\",\n    \"instance:index\": \"role:b\",\n    \
                \"instance:detail\": \"role:c\",\n    \"flavor:index\": \"\", \"flavor:show\": \"\"\n}\n";
    let read = file::read(yaml).unwrap();
    let pairs: Vec<_> = read.iter().map(|line| (line.number, &*line.name, &*line.text)).collect();
    let expected = [
        (4, "instance:show", "role:a"),
        (5, "instance:index", "role:b"),
        (6, "instance:detail", "role:c"),
        (7, "flavor:index", ""),
        (8, "flavor:show", ""),
    ];
    assert_eq!(pairs, expected);
    assert_eq!(file::read(json).unwrap_err().0, 5, "one rule on a line");
    assert_eq!(file::read(&json.replace(", \"flavor:show\": \"\"", "")).unwrap().len(), 4);
    for (content, words) in [
        ("instance", "it is not"),
        ("\"a\" \"b\"", "it is not"),
        (": b", "it is not"),
        ("\"a: b", "a quote is not closed"),
        ("\"a\": [\"role:a\"]", "lists and the like"),
        ("\"a\": \"b\" c", "`c` follows the expression"),
        ("\"a\\n\": \"b\"", "a backslash"),
    ] {
        let (number, error) = file::read(&format!("\n{content}")).unwrap_err();
        assert!(number == 2 && error.contains(words), "{content}: {number} {error}");
    }
}

#[test]
fn troves_rules_are_whole_and_each_is_asked_by_a_route() {
    let policy = Policy::open(None).unwrap();
    assert_eq!(policy.0.len(), DEFAULTS.len(), "a rule stands there twice");
    for (name, _) in DEFAULTS {
        policy.check_rule(name).unwrap();
    }
    let mut asked = BTreeSet::new();
    for (_, path, asks) in table() {
        match asks {
            Asks::Rule(rule) => drop(asked.insert(*rule)),
            Asks::OneOf(rules) => asked.extend(*rules),
            Asks::Admin | Asks::OwnerOrAdmin => drop(asked.insert(ADMINS)),
        }
        let Asks::Rule(rule) = asks else { continue };
        let member = principal(&["member"]);
        let holds = |tenant| policy.holds(rule, &Asker { principal: &member, is_admin: false, tenant });
        let is_open =
            ["flavor:", "datastore:"].iter().any(|kind| rule.starts_with(kind)) && *rule != "datastore:delete";
        assert_eq!((holds("p1"), holds("p2")), (*rule != "datastore:delete", is_open), "{path}: {rule}");
    }
    let never: Vec<_> = DEFAULTS.iter().map(|(name, _)| *name).filter(|name| !asked.contains(name)).collect();
    // The first two are what others are made of; of clusters there are none.
    assert_eq!(never, ["admin", "admin_or_owner", "cluster:force_delete", "cluster:reset-status"]);
}
