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

impl SystemInfo {
    /// The version's first two numbers: 2 and 15 of `v2.15.2-080b0220`.
    pub fn minor_version(&self) -> Option<(u32, u32)> {
        let text = self.harbor_version.as_deref()?;
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// How a Harbor and its components are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `healthy` if all components are. The HTTP status is 200 in any case.
    pub status: String,
    /// The components.
    pub components: Vec<ComponentHealth>,
}

/// How a component of a Harbor is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ComponentHealth {
    /// Its name, such as `jobservice`.
    pub name: String,
    /// `healthy`, or another word.
    pub status: String,
    /// The fault.
    pub error: Option<String>,
}

/// A disk of a Harbor, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its size.
    pub total: u64,
    /// The free space, in bytes.
    pub free: u64,
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

    /// Asks how it is. Needs no account.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health(&self) -> Result<Health, Error> {
        self.get("/health", "tell its health").await
    }

    /// Asks an administrator's question: how full its own disks are. It is the disk of Harbor's core alone,
    /// which is that of the images only where Harbor keeps them in its file system and runs on one machine.
    /// None if it does not know.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 for all but administrators.
    pub async fn volumes(&self) -> Result<Vec<Volume>, Error> {
        #[derive(Deserialize)]
        struct Volumes {
            storage: Option<Vec<Volume>>,
        }
        let found: Volumes = self.get("/systeminfo/volumes", "tell how full its disk is").await?;
        Ok(found.storage.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_by_its_first_two_numbers() {
        for (text, expected) in [
            (Some("v2.15.2-080b0220"), Some((2, 15))),
            (Some("2.14.0"), Some((2, 14))),
            (Some("dev"), None),
            (None, None),
        ] {
            let info = SystemInfo { harbor_version: text.map(str::to_owned), ..SystemInfo::default() };
            assert_eq!(info.minor_version(), expected, "{text:?}");
        }
    }
}
