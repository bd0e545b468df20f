use super::*;
use crate::Check;

#[test]
fn what_is_pushed_can_be_pulled_and_is_in_the_api() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/team/app", "v1", &image).unwrap();
    assert_eq!(harbor.admin().check("platform/team/app", "v1", Check::Hash), []);
    let artifact =
        harbor.admin().api(&format!("{}/artifacts/v1", repository_path("platform", "team/app"))).document();
    assert_eq!(artifact["digest"], image.digest);
    assert_eq!(artifact["type"], "IMAGE");
    assert_eq!(artifact["tags"][0]["name"], "v1");
    assert_eq!(artifact["size"], image.total_size());
    assert_eq!(harbor.contents()["platform/team/app"]["v1"], image.digest);
}
