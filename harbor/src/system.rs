//! The system information of a Harbor: its version, and whether it is read-only. Takes a client, gives these
//! facts.

use bundle_oci::Registry;
use bundle_registry::{Call, Client, Error, Method};
use serde::Deserialize;

use crate::Harbor;

/// The system information that a Harbor gives to authenticated accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SystemInfo {
    /// The version, such as `v2.15.2-080b0220`. Harbor leaves it out for anonymous requests: none means that
    /// the account is not accepted.
    pub harbor_version: Option<String>,
    /// Whether nothing may be written at all for now.
    pub read_only: Option<bool>,
    /// The accounts that may create projects: `everyone` or `adminonly`.
    pub project_creation_restriction: Option<String>,
    /// The address under which Harbor believes it is reached.
    pub external_url: Option<String>,
    /// Where Harbor keeps its blobs: `filesystem`, `s3`, ….
    pub registry_storage_provider_name: Option<String>,
}

impl Harbor {
    /// Asks whether a host is a Harbor: nothing else answers its ping like this.
    ///
    /// # Errors
    /// The host cannot be reached, or its connection is not trusted. A refusal of any kind means
    /// that it is no Harbor.
    pub async fn detect(client: &Client, registry: &Registry) -> Result<Option<Self>, Error> {
        let ping = Call::new(Method::Get, "/api/v2.0/ping", "answer as a Harbor");
        match client.call(registry, &ping).await {
            Ok(reply) if reply.body.trim_ascii().eq_ignore_ascii_case(b"pong") => {
                Ok(Some(Self::at(client, registry)))
            }
            // JSON's spelling of the same.
            Ok(reply) if reply.body.trim_ascii().eq_ignore_ascii_case(b"\"pong\"") => {
                Ok(Some(Self::at(client, registry)))
            }
            Ok(_) | Err(Error::Answer(_) | Error::Misbehaved { .. } | Error::Redirect { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads what Harbor says of itself.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn system_info(&self) -> Result<SystemInfo, Error> {
        self.get("/systeminfo", "tell its version").await
    }
}
