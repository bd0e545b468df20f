//! docs/reference/files.md: the files that the program reads and writes.
//! Takes the schemas of people's files, gives Markdown.

/// A file, which commands read or write it, and what it is.
struct Entry {
    name: &'static str,
    reads: &'static str,
    writes: &'static str,
    what: &'static str,
}

const FILES: &[Entry] = &[
    Entry {
        name: "bundle.yaml",
        reads: "create, lock, images, sync export",
        writes: "",
        what: "The images, lists, charts and manifests to carry. `bundle schema` prints its JSON Schema. Any name is possible.",
    },
    Entry {
        name: "bundle.lock",
        reads: "create, sync export, diff, --base",
        writes: "lock",
        what: "The digests of all references. It lies beside bundle.yaml and has its name with the ending .lock.",
    },
    Entry {
        name: "FILE.tar, FILE.tar.zst",
        reads: "verify, inspect, diff, import, sign, serve, extract, mirror-config, harbor",
        writes: "create, sync export",
        what: "A bundle ([format.md](../format.md)). With the ending .zst it is compressed with Zstandard.",
    },
    Entry {
        name: "FILE.001-of-003 and so on",
        reads: "the same",
        writes: "create --volume-size",
        what: "A bundle in volumes. Name the first one, or the name without the number.",
    },
    Entry {
        name: "FILE.parity, FILE.parity-001-of-002 and so on",
        reads: "the same, by itself",
        writes: "create --parity, sync export, repair",
        what: "Parity of the bundle beside it, from which damaged or missing parts are rebuilt. It is not signed and not secret.",
    },
    Entry {
        name: ".FILE.partial, .FILE.001.partial, .FILE.journal beside an output",
        reads: "create",
        writes: "create",
        what: "Data that an interrupted run fetched. The same command resumes with it; delete it to start over.",
    },
    Entry {
        name: "FILE.FINGERPRINT.sig",
        reads: "verify, import, serve, extract, sign",
        writes: "sign",
        what: "A co-signature, 64 bytes. It is beside the bundle and is found automatically.",
    },
    Entry {
        name: "NAME, NAME.pub",
        reads: "create, sign, verify, import, trust",
        writes: "key generate",
        what: "A private key (PEM, PKCS #8, mode 0600) and its public key. The private key stays on its side.",
    },
    Entry {
        name: "trust.yaml",
        reads: "--trust, sync import",
        writes: "trust",
        what: "Keys, what each may sign, and how many must. The trust store of a site is such a file, by default ~/.config/bundle/trust.yaml.",
    },
    Entry {
        name: "ROTATION, ROTATION.sig",
        reads: "trust accept",
        writes: "trust rotate",
        what: "A statement, signed by the old key, that names its successor.",
    },
    Entry {
        name: "harbor.yaml",
        reads: "import, sync import, harbor",
        writes: "",
        what: "Project policies of Harbor ([harbor.md](../harbor.md)). Read from the current directory if it exists, or named with --harbor.",
    },
    Entry {
        name: "sync.yaml",
        reads: "sync",
        writes: "",
        what: "The scheduled jobs: outbox and inbox, keys, registry, where receipts go.",
    },
    Entry {
        name: "status.json, metrics",
        reads: "",
        writes: "sync",
        what: "The result of the last run of a job, for people and for Prometheus. sync.yaml names them.",
    },
    Entry {
        name: "RECEIPT.json, RECEIPT.json.sig",
        reads: "receipt, diff, harbor diff, --base, sync export",
        writes: "import --receipt, sync import",
        what: "The receipt of an import, signed with the site's key.",
    },
    Entry {
        name: "STREAM-NUMBER.absent, STREAM-NUMBER.absent.sig",
        reads: "sync export",
        writes: "sync import",
        what: "Which blobs a bundle builds on and the registry has no longer, signed with the site's key. It goes back with the receipts.",
    },
    Entry {
        name: "removals.json",
        reads: "prune --apply",
        writes: "prune --plan",
        what: "A planned removal, for people to review. Rows can be taken out; what stays in it is judged again before it goes.",
    },
    Entry {
        name: "removals.record.json, removals.record.json.sig",
        reads: "",
        writes: "prune --apply",
        what: "What was removed by a plan, by which account, and what was left; signed with --key.",
    },
    Entry {
        name: "FILE.scan.json, FILE.scan.json.sig, FILE.scan.sarif",
        reads: "report --scan, diff --scan",
        writes: "scan",
        what: "What a scanner found in the images of a bundle, with the verdicts; signed with --key. SARIF is the same for other tools; its digest is in the signed file.",
    },
    Entry {
        name: "exceptions.yaml",
        reads: "scan --ignore",
        writes: "",
        what: "Vulnerabilities that somebody answers for: image, owner, last day and reason ([scanning.md](../scanning.md)). Any name is possible.",
    },
    Entry {
        name: "HEX.spdx.json, HEX.cdx.json",
        reads: "create --sboms",
        writes: "scan --sbom",
        what: "The SBOM of the manifest with this digest, as a scanner made it ([scanning.md](../scanning.md#sboms)).",
    },
    Entry {
        name: "bundle/scans",
        reads: "scan",
        writes: "scan",
        what: "Results of earlier scans, by default below ~/.cache. It can be deleted at any time.",
    },
    Entry {
        name: "state.json",
        reads: "import, sync import",
        writes: "import, sync import",
        what: "The newest bundle of each stream, for rollback protection; by default ~/.local/state/bundle/state.json. The registry has the same in the repository bundle-state.",
    },
    Entry {
        name: "last-failed.log",
        reads: "",
        writes: "all commands",
        what: "The newest log lines of the last run that failed, below ~/.local/state/bundle. At most 512 KiB, without secrets.",
    },
    Entry {
        name: "config.yaml",
        reads: "all commands",
        writes: "",
        what: "Settings of a machine (/etc/bundle) or a user (~/.config/bundle), in place of options ([configuration.md](configuration.md)).",
    },
    Entry {
        name: "spool",
        reads: "import --partial",
        writes: "import --partial",
        what: "Scratch directory for blobs that span volumes; by default ~/.local/state/bundle/spool.",
    },
    Entry {
        name: "harbor-secrets/",
        reads: "import --credentials, harbor --credentials",
        writes: "harbor bootstrap, harbor rotate",
        what: "Robot accounts and Kubernetes secrets, readable by the owner only.",
    },
    Entry {
        name: "config.json, auth.json",
        reads: "all commands that reach a registry",
        writes: "login, logout",
        what: "Credentials in Docker's form: REGISTRY_AUTH_FILE, or ~/.docker/config.json, containers/auth.json below XDG_RUNTIME_DIR and ~/.config/containers/auth.json.",
    },
    Entry {
        name: "repositories.yaml",
        reads: "images --chart",
        writes: "",
        what: "Helm's chart repositories, by name.",
    },
    Entry {
        name: "htpasswd",
        reads: "serve --auth",
        writes: "",
        what: "Users with bcrypt hashes, as `htpasswd -B` writes them.",
    },
];

/// The page.
pub(crate) fn files() -> String {
    let mut page = format!(
        "{}# Files\n\n| file | read by | written by | what it is |\n|---|---|---|---|\n",
        super::MADE
    );
    for Entry { name, reads, writes, what } in FILES {
        page.push_str(&format!("| {name} | {reads} | {writes} | {what} |\n"));
    }
    page
}
