//! The double's answers and Harbor's own description of its API.
//! Takes the description where it is at hand; an answer that it does not allow is found.

use super::*;
use crate::harbor::answer::Answer;

#[test]
fn answers_are_checked_wherever_harbors_description_is_at_hand() {
    let found = bundle_test_needs::shared("data/harbor-v2.15.2-swagger.yaml").is_some();
    assert_eq!(Description::at_hand().is_some(), found);
}

#[test]
#[should_panic(expected = "does not allow these answers")]
fn a_double_that_gave_a_wrong_answer_fails_its_test() {
    let harbor = harbor();
    lock(&harbor.core.violations).push("GET /api/v2.0/made-up answered 299".to_owned());
}

#[test]
fn an_answer_that_the_description_does_not_allow_is_seen() {
    let Some(description) = Description::at_hand() else { return };
    let head = |method: &str, path: &str| crate::http::RequestHead::new(method, &format!("/api/v2.0{path}"));
    let allowed = [
        (head("GET", "/projects"), Answer::json(200, &json!([{"name": "a", "repo_count": 0}]))),
        (head("POST", "/projects"), Answer::created("/api/v2.0/projects/1")),
        (head("HEAD", "/projects?project_name=a"), Answer::empty(404)),
    ];
    for (head, answer) in allowed {
        description.check(&head, &answer).unwrap();
    }
    let wrong = [
        (head("GET", "/projects"), Answer::json(200, &json!({"name": "a"}))),
        (head("GET", "/projects"), Answer::json(200, &json!([{"name": 1}]))),
        (head("GET", "/projects"), Answer::json(200, &json!([{"unknown": "a"}]))),
        (head("GET", "/projects"), Answer::json(200, &json!([{"creation_time": "today"}]))),
        (head("GET", "/projects"), Answer::empty(204)),
        (head("GET", "/projects"), Answer::json(403, &json!({"error": "no"}))),
        (head("POST", "/projects"), Answer::json(201, &json!({}))),
        (head("GET", "/nothing"), Answer::empty(200)),
    ];
    for (head, answer) in wrong {
        assert!(description.check(&head, &answer).is_err(), "{head:?} {answer:?}");
    }
}
