//! Pull secrets that an earlier run left in files, by request or because `kubectl` failed. Takes a file and
//! its account; applies the secret if Harbor still accepts it, and removes the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::FileError;
use bundle_harbor::{Account, Harbor, RobotSecret};
use bundle_input::read_text;
use bundle_registry::{Client, Error};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::bootstrap::kubectl;
use crate::{BootstrapError, Limits, Namespace, PullAccount, SecretPlace, SecretPlaces};

/// Makes a client that shows Harbor an account, by its name and secret.
pub type ClientAs<'a> = dyn Fn(&str, &str) -> Result<Client, Error> + Sync + 'a;

/// Applies the secret of an account that is in a file, if Harbor still accepts it, and removes the file. The
/// namespaces are those of now.
pub(crate) async fn apply_kept(
    harbor: &Harbor,
    path: &Path,
    user: &str,
    namespaces: &BTreeSet<Namespace>,
    places: &SecretPlaces<'_>,
    client_as: &ClientAs<'_>,
) -> Result<SecretPlace, BootstrapError> {
    let text = Zeroizing::new(read_text(path, Limits::DEFAULT.kept_secret)?);
    let Some(secret) = secret_of(&text, user) else {
        return Err(BootstrapError::Other { path: path.to_owned(), user: user.to_owned() });
    };
    let asked = |source| BootstrapError::Robot { name: user.to_owned(), doing: "tried", source };
    let client = client_as(user, secret.reveal()).map_err(asked)?;
    // Harbor refuses an account whose secret was changed elsewhere.
    if Harbor::at(&client, harbor.registry()).account().await.map_err(asked)? == Account::Nobody {
        return Err(BootstrapError::Dead(path.to_owned()));
    }
    let account = PullAccount { host: places.host, user, secret: &secret };
    let document = account.kubernetes(places.secret_names(namespaces));
    if let Err(source) = kubectl::apply(&document).await {
        return Err(BootstrapError::Kubectl { path: path.to_owned(), replaced: false, source });
    }
    std::fs::remove_file(path).map_err(|source| FileError { path: path.to_owned(), source })?;
    Ok(SecretPlace::Cluster(places.secret_names(namespaces).collect()))
}

/// The secret of `user` in a file of Kubernetes secrets that [`PullAccount::kubernetes`] made.
fn secret_of(text: &str, user: &str) -> Option<RobotSecret> {
    let data = text.lines().find_map(|line| line.strip_prefix("  .dockerconfigjson: "))?;
    let config = Zeroizing::new(STANDARD.decode(data.trim()).ok()?);
    let Logins { auths } = serde_json::from_slice(&config).ok()?;
    auths.into_values().find(|login| login.username == user).map(|login| login.password)
}

#[derive(Deserialize)]
struct Logins {
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: RobotSecret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bootstrap_wrote_is_read_and_nothing_else() {
        let (host, secret) = ("harbor.example".parse().unwrap(), RobotSecret::new("Secret123".to_owned()));
        let account = PullAccount { host: &host, user: "robot$pull-a", secret: &secret };
        let text = account.kubernetes([("a".parse().unwrap(), "harbor-registry")]);
        assert_eq!(secret_of(&text, "robot$pull-a").unwrap().reveal(), "Secret123");
        assert!(secret_of(&text, "robot$pull-b").is_none());
        for other in ["", "old", "  .dockerconfigjson: !", "  .dockerconfigjson: e30="] {
            assert!(secret_of(other, "robot$pull-a").is_none(), "{other}");
        }
    }
}
