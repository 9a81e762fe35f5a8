use super::*;
use crate::routes::described;

#[test]
fn what_is_told_of_routes_is_told_of_all_and_of_no_others() {
    let routes = described(true);
    for route in &routes {
        let name = format!("{} {}", route.method, route.path);
        let operation = find(&route.method, &route.path).unwrap_or_else(|| panic!("{name} is not in `operations`"));
        let is_said_to_be_built = !matches!(operation.answer, Answer::Unbuilt);
        assert_eq!(is_said_to_be_built, route.unbuilt.is_none(), "{name}");
        let is_undescribed = route.takes.body.is_some_and(|body| matches!(body.shape, Shape::Any));
        assert!(!is_undescribed, "{name} takes a body of no shape: name one in `bodies`");
    }
    assert_eq!(routes.len(), OF_A_TENANT.len() + WITHOUT_TENANT.len(), "`operations` has rows of no route");
}

#[test]
fn where_no_tokens_are_issued_none_are_told_of() {
    let paths = document(&described(false))["paths"].clone();
    assert!(paths.get("/openapi.json").is_some());
    assert!(paths.as_object().unwrap().keys().all(|path| !path.starts_with("/v3")));
}
