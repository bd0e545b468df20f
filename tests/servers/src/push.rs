//! Pushing made-up content into a registry, as distribution-spec §Push says.
//! Takes a manifest with its blobs; sends blobs first, children next, the tag last.

use std::io;
use std::net::TcpStream;

use crate::blob::Blob;
use crate::client::{Client, unexpected};
use crate::http::Response;
use crate::index::Index;
use crate::manifest::Manifest;

/// The way in which a registry lists a referrer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// The registry has the referrers API and answered with `OCI-Subject`.
    Api,
    /// The registry has not, and the fallback tag's index was updated.
    FallbackTag,
}

impl Client {
    /// Pushes a manifest with all it refers to, tagged in that repository. Content that exists already is not
    /// sent again.
    ///
    /// # Errors
    ///
    /// When the registry refuses any part.
    pub fn push(&self, repository: &str, tag: &str, manifest: &Manifest) -> io::Result<()> {
        self.push_parts(repository, manifest)?;
        self.put_manifest(repository, tag, manifest).map(drop)
    }

    /// Pushes a manifest with all it refers to, untagged.
    ///
    /// # Errors
    ///
    /// When the registry refuses any part.
    pub fn push_untagged(&self, repository: &str, manifest: &Manifest) -> io::Result<Response> {
        self.push_parts(repository, manifest)?;
        self.put_manifest(repository, &manifest.digest, manifest)
    }

    /// Pushes referrers of a manifest that is there; on a registry without the referrers API, also the
    /// fallback tag's index that lists them (distribution-spec §Referrers Tag Schema). The index is written
    /// anew: pass all referrers of a subject at once.
    ///
    /// # Errors
    ///
    /// When the registry refuses any part.
    pub fn push_referrers(
        &self,
        repository: &str,
        subject: &Manifest,
        referrers: &[Manifest],
    ) -> io::Result<Referrers> {
        let mut known = Referrers::Api;
        for referrer in referrers {
            if self.push_untagged(repository, referrer)?.header("oci-subject").is_none() {
                known = Referrers::FallbackTag;
            }
        }
        if known == Referrers::FallbackTag {
            let index = referrers.iter().cloned().fold(Index::oci(), Index::manifest).build();
            self.put_manifest(repository, &subject.referrers_tag(), &index)?;
        }
        Ok(known)
    }

    /// Puts a manifest by tag or digest and nothing else; its parts must be there.
    ///
    /// # Errors
    ///
    /// When the registry does not answer 201.
    pub fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> io::Result<Response> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let response =
            self.request("PUT", &path, &[("Content-Type", &manifest.media_type)], &manifest.bytes)?;
        if response.status == 201 { Ok(response) } else { Err(unexpected("manifest", &response)) }
    }

    /// Pushes a blob by `POST` and one `PUT`, unless it is there; it is written to the socket a buffer at a
    /// time.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    pub fn push_blob(&self, repository: &str, blob: &Blob) -> io::Result<()> {
        if self.has_blob(repository, &blob.digest)? {
            return Ok(());
        }
        self.upload_blob(repository, &blob.digest, blob.size, |to| blob.write_to(to))
    }

    /// Uploads `size` bytes that `write_body` writes to the socket, by `POST` and one `PUT`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    pub fn upload_blob(
        &self,
        repository: &str,
        digest: &str,
        size: u64,
        write_body: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        let opened = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"")?;
        if opened.status != 202 {
            return Err(unexpected("upload", &opened));
        }
        let location = opened.header("location").ok_or_else(|| unexpected("upload", &opened))?;
        let target = location.strip_prefix(&format!("http://{}", self.host())).unwrap_or(location);
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}digest={digest}");
        let headers = [("Content-Type", "application/octet-stream")];
        let mut answer = self.send("PUT", &target, &headers, size, write_body)?;
        if answer.status == 201 {
            return Ok(());
        }
        let mut body = Vec::new();
        io::copy(&mut answer, &mut body)?;
        Err(unexpected("blob", &Response { status: answer.status, headers: answer.headers, body }))
    }

    /// Mounts a blob from another repository; `false` when the registry would rather have it uploaded.
    ///
    /// # Errors
    ///
    /// When the registry answers neither 201 nor 202.
    pub fn mount_blob(&self, repository: &str, digest: &str, from: &str) -> io::Result<bool> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let response = self.request("POST", &path, &[], b"")?;
        match response.status {
            201 => Ok(true),
            202 => Ok(false),
            _ => Err(unexpected("mount", &response)),
        }
    }

    /// Whether the repository has the blob.
    ///
    /// # Errors
    ///
    /// When the registry answers neither 200 nor 404.
    pub fn has_blob(&self, repository: &str, digest: &str) -> io::Result<bool> {
        let response = self.head(&format!("/v2/{repository}/blobs/{digest}"))?;
        match response.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(unexpected("blob", &response)),
        }
    }

    fn push_parts(&self, repository: &str, manifest: &Manifest) -> io::Result<()> {
        for blob in &manifest.blobs {
            self.push_blob(repository, blob)?;
        }
        for child in &manifest.children {
            self.push_untagged(repository, child)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Check, CraneRegistry, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Platform,
        Rule, check_complete,
    };

    fn image(seed: u64, platform: Platform) -> Manifest {
        ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed, 100_000)).build()
    }

    #[test]
    fn everything_that_is_made_up_is_accepted_by_a_real_registry() {
        let registry = DockerRegistry::start().unwrap();
        let client = registry.client();
        let amd64 = image(1, Platform::linux_amd64());
        let index = Index::oci().attested(amd64.clone()).manifest(image(2, Platform::linux_arm64())).build();
        client.push("library/multi", "1", &index).unwrap();
        client.push("library/multi", &index.cosign_tag(), &index.cosign_signature("multi")).unwrap();
        let docker = ImageSpec::docker().layer(LayerSpec::new(3, 10).uncompressed()).build();
        client.push("library/docker", "1", &docker).unwrap();
        client.push("library/docker", "list", &Index::docker().manifest(docker.clone()).build()).unwrap();
        client.push("charts/web", "1.2.3", &Manifest::helm_chart("web", "1.2.3")).unwrap();
        let sbom = amd64.referrer("application/spdx+json", b"{}");
        let known = client.push_referrers("library/multi", &amd64, &[sbom]).unwrap();
        assert_eq!(known, Referrers::FallbackTag);
        assert_eq!(client.catalog().unwrap(), ["charts/web", "library/docker", "library/multi"]);
        assert_eq!(client.tags("library/docker").unwrap(), ["1", "list"]);
        let fetched = client.manifest("library/multi", "1").unwrap().unwrap();
        assert_eq!((fetched.digest, fetched.media_type), (index.digest, index.media_type));
        assert_eq!(check_complete(registry.host(), Check::Hash).unwrap(), []);
    }

    #[test]
    fn another_implementation_accepts_it_too() {
        let Some(registry) = CraneRegistry::start().unwrap() else { return };
        let client = registry.client();
        let index = Index::oci().attested(image(1, Platform::linux_amd64())).build();
        client.push("a", "1", &index).unwrap();
        assert_eq!(client.contents().unwrap()["a"]["1"], index.digest);
        assert_eq!(client.check_complete(Check::Hash).unwrap(), []);
    }

    #[test]
    fn a_registry_with_the_referrers_api_gets_no_fallback_tag() {
        let registry = DockerRegistry::start().unwrap();
        let subject = image(1, Platform::linux_amd64());
        registry.client().push("a", "1", &subject).unwrap();
        let proxy = FaultProxy::start(registry.host()).unwrap();
        let confirm = Fault::SetHeader("OCI-Subject".to_owned(), subject.digest.clone());
        proxy.add(Rule::new(Matcher::new("PUT", "/manifests/"), confirm));
        let sbom = subject.referrer("application/spdx+json", b"{}");
        let client = Client::new(proxy.host());
        let known = client.push_referrers("a", &subject, std::slice::from_ref(&sbom)).unwrap();
        assert_eq!(known, Referrers::Api);
        assert_eq!(client.tags("a").unwrap(), ["1"]);
        assert_eq!(client.check("a", &sbom.digest, Check::Hash), []);
    }
}
