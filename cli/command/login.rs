//! `bundle login` and `bundle logout`: store and remove the account for a registry, in the file
//! that Docker and Podman read. The password comes from standard input or a prompt, never from an
//! argument, and is checked with the registry before it is stored.

use crate::limits::PASSWORD;
use std::io::{IsTerminal, Read};

use bundle_oci::Registry;
use bundle_registry::{CredentialStore, LoginFile, LoginPlace, Ping};
use bundle_report::{LoginReport, LogoutReport};
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::environment;
use crate::exit::{Code, Failure};
use crate::output::{self, name};
use crate::progress::progress;

#[derive(clap::Args)]
pub(crate) struct Login {
    /// Registry to log in to
    #[arg(value_name = "HOST[:PORT]")]
    registry: Registry,

    /// User name
    #[arg(short, long, value_name = "USER")]
    username: String,

    /// Read the password from standard input [default: ask for it]
    #[arg(long)]
    password_stdin: bool,

    /// Store the login without checking it at the registry
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(crate) struct Logout {
    /// Registry to log out from
    #[arg(value_name = "HOST[:PORT]")]
    registry: Registry,
}

impl Login {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let file = file()?;
        if self.username.is_empty() || self.username.contains([':', '\n', '\0']) {
            return Err(Failure::text(Code::Usage, "a user name must not contain a colon or a line break"));
        }
        let password = self.password()?;
        if !self.no_check {
            let store = CredentialStore::default().with_login(
                self.registry.clone(),
                self.username.clone(),
                password.to_string(),
            );
            let progress = progress("logging in");
            let client = self.connection.client_as(store, &progress)?;
            match client.ping(&self.registry).await? {
                Ping::Authenticated => {}
                Ping::Open | Ping::Anonymous => progress.note(&format!(
                    "{} does not ask for credentials, so that these were not checked",
                    self.registry
                )),
            }
        }
        let place = file.store(&self.registry, &self.username, password.to_string()).await?;
        output::report(&LoginReport {
            registry: self.registry.to_string(),
            username: self.username,
            stored: shown(&place),
        })
    }

    fn password(&self) -> Result<Zeroizing<String>, Failure> {
        let password = if self.password_stdin {
            let mut text = Zeroizing::new(String::new());
            std::io::stdin().take(PASSWORD + 1).read_to_string(&mut text).map_err(|error| {
                Failure::text(Code::Usage, format!("standard input cannot be read: {error}"))
            })?;
            let end = text.trim_end_matches(['\n', '\r']).len();
            text.truncate(end);
            text
        } else if std::io::stdin().is_terminal() {
            let asked =
                rpassword::prompt_password(format!("password of {} at {}: ", self.username, self.registry));
            Zeroizing::new(asked.map_err(|error| Failure::new(Code::Usage, &error))?)
        } else {
            return Err(Failure::text(Code::Usage, "there is no terminal to ask for the password")
                .hint("pipe it in with --password-stdin"));
        };
        if password.is_empty() || password.len() as u64 > PASSWORD || password.contains(['\n', '\0']) {
            return Err(Failure::text(Code::Usage, "the password is empty, too long or has several lines"));
        }
        Ok(password)
    }
}

impl Logout {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let removed = file()?.remove(&self.registry).await?;
        output::report(&LogoutReport {
            registry: self.registry.to_string(),
            removed: removed.as_ref().map(shown),
        })
    }
}

fn file() -> Result<LoginFile, Failure> {
    LoginFile::from_environment(environment::lookup).ok_or_else(|| {
        Failure::text(
            Code::Usage,
            "neither REGISTRY_AUTH_FILE, DOCKER_CONFIG nor HOME says where logins are kept",
        )
    })
}

fn shown(place: &LoginPlace) -> String {
    match place {
        LoginPlace::File(path) => name(path),
        LoginPlace::Helper(helper) => format!("docker-credential-{helper}"),
    }
}
