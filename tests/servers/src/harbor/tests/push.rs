//! A push as clients do it, from an empty project to a tag.
//! Takes made-up images; what is read back has the same digest.

use std::sync::Arc;

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

#[test]
fn many_pushes_at_once_all_arrive_whole() {
    let harbor = Arc::new(harbor());
    let base = LayerSpec::new(7, 50_000).build();
    let pushes: Vec<_> = (0..8)
        .map(|n| {
            let (harbor, base) = (Arc::clone(&harbor), base.clone());
            std::thread::spawn(move || {
                let image = ImageSpec::oci().layer(base).layer(LayerSpec::new(100 + n / 2, 30_000)).build();
                for repository in ["platform/app", &format!("platform/app-{n}")] {
                    harbor.admin().push(repository, &format!("v{n}"), &image).unwrap();
                }
            })
        })
        .collect();
    pushes.into_iter().for_each(|push| push.join().unwrap());
    assert_eq!(harbor.contents().len(), 9);
    for (repository, tags) in harbor.contents() {
        for tag in tags.keys() {
            assert_eq!(harbor.admin().check(&repository, tag, Check::Hash), []);
        }
    }
    assert_eq!(harbor.open_uploads(), [""; 0]);
}
