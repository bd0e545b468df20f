//! The rows of this directory's tables, and their common parts: logins, and the search for secrets. Takes a
//! run of the program and the servers that it met; fails with the row's name.

use bundle_test_servers::{FaultProxy, base64};

use crate::scene::{Ran, Scene};

/// The expected result of a run.
pub(crate) struct Expect<'a> {
    /// The row's name, for messages.
    pub(crate) name: &'a str,
    /// The exit code.
    pub(crate) code: i32,
    /// Parts of what it says.
    pub(crate) says: &'a [&'a str],
    /// How many requests the server saw, as `FaultProxy::tally` names them; those that are not named are not limited.
    pub(crate) requests: &'a [(&'a str, usize)],
}

impl Expect<'_> {
    #[track_caller]
    pub(crate) fn of(&self, ran: Ran, server: &FaultProxy) -> Ran {
        let tally = server.tally();
        // Shown with a failure.
        eprintln!("{}: {tally:?}", self.name);
        let mut ran = ran.ends_with(self.code);
        for (what, count) in self.requests {
            assert_eq!(
                tally.get(*what).copied().unwrap_or_default(),
                *count,
                "{}: {what} of {tally:?}",
                self.name
            );
        }
        for text in self.says {
            ran = ran.says(text);
        }
        ran
    }
}

/// An account at a host.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

impl Login<'_> {
    /// Whether a server was sent the password, plain or as Basic credentials.
    pub(crate) fn is_known_to(&self, server: &FaultProxy) -> bool {
        let basic = base64(format!("{}:{}", self.user, self.password).as_bytes());
        server.requests().iter().any(|request| {
            let path = request.path_and_query.contains(self.password);
            path || request
                .headers
                .iter()
                .any(|(_, value)| value.contains(self.password) || value.contains(&basic))
        })
    }

    /// Fails if what the program wrote has the password in it.
    #[track_caller]
    pub(crate) fn is_not_told(&self, ran: &Ran) {
        let basic = base64(format!("{}:{}", self.user, self.password).as_bytes());
        for secret in [self.password, &basic] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}", ran.stderr);
        }
    }
}

/// Runs the program with these logins and no others.
pub(crate) fn run(scene: &Scene, logins: &[Login<'_>], arguments: &[&str]) -> Ran {
    let auths: serde_json::Map<String, serde_json::Value> = logins
        .iter()
        .map(|login| {
            let auth = base64(format!("{}:{}", login.user, login.password).as_bytes());
            (login.host.to_owned(), serde_json::json!({ "auth": auth }))
        })
        .collect();
    let file = scene.path("auth.json");
    std::fs::write(&file, serde_json::json!({ "auths": auths }).to_string()).unwrap();
    Ran::from(scene.command(arguments).env("REGISTRY_AUTH_FILE", file).output().unwrap())
}
