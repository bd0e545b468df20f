//! Tells the program which commit it is built from. Takes BUNDLE_COMMIT and BUNDLE_COMMIT_DATE, and in a release
//! build without them the checkout's own git; gives BUNDLE_BUILD_COMMIT, BUNDLE_BUILD_DATE and
//! BUNDLE_BUILD_TARGET to cli/program.rs.
//!
//! Other builds do not ask git: each commit would build the program and its tests again.

use std::path::Path;
use std::process::Command;

fn main() {
    let variable = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name).ok().filter(|value| !value.is_empty())
    };
    let release = std::env::var("PROFILE").as_deref() == Ok("release");
    let told = variable("BUNDLE_COMMIT").zip(variable("BUNDLE_COMMIT_DATE"));
    let commit = told.or_else(|| if release { checkout() } else { None });
    if let Some((commit, date)) = commit {
        println!("cargo::rustc-env=BUNDLE_BUILD_COMMIT={commit}");
        println!("cargo::rustc-env=BUNDLE_BUILD_DATE={date}");
    }
    println!("cargo::rustc-env=BUNDLE_BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}

/// The commit of this checkout, marked if files differ from it, and its day.
fn checkout() -> Option<(String, String)> {
    // A source archive that lies in another project's checkout is not of that project's commit.
    if !Path::new(".git").exists() {
        return None;
    }
    // Everything that can change the answer.
    for file in ["HEAD", "index"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    for file in git(&["ls-tree", "--name-only", "HEAD"])?.lines() {
        println!("cargo::rerun-if-changed={file}");
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let date = git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d"])?;
    Some((format!("{commit}{}", if changed { "-modified" } else { "" }), date))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
