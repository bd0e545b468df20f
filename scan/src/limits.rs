//! The bounds on what a scanner may say, and on the files that people write for a scan.
//! Takes nothing; each number has the reason why it is as it is.

/// Every bound of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a scanner's output for one image. Trivy writes about 3 KB for a finding with its references; large
    /// images have some thousands.
    pub output: u64,
    /// Findings of one image. More is no list that a person reads.
    pub findings: usize,
    /// Characters of each text in a finding: a title from a database may be any.
    pub text: usize,
    /// Other names of one finding, such as a GHSA's CVE.
    pub aliases: usize,
    /// Bytes of what a scanner says of its version and database.
    pub identity: u64,
    /// Bytes at the end of a scanner's error output that are kept for the message.
    pub message: usize,
    /// Bytes of a VEX file, which is hashed.
    pub vex: u64,
    /// Exceptions in one file.
    pub exceptions: usize,
    /// Bytes of a result that is read again.
    pub record: u64,
    /// The same of one that nobody is known to have signed: its findings take some times its bytes in memory.
    pub unsigned_record: u64,
    /// Bytes of one SBOM, which is read in memory. Those of large images have some tens of MB.
    pub sbom: u64,
    /// Bytes of all SBOMs of a bundle: a limit on time.
    pub sboms: u64,
    /// Layers of one manifest that are looked at. SBOMs have one; BuildKit's attestations some.
    pub sbom_layers: usize,
    /// Different licences of one image.
    pub licences: usize,
    /// Licences of one package.
    pub package_licences: usize,
}

impl Limits {
    /// The bounds that the program keeps to.
    pub const DEFAULT: Self = Self {
        output: 128 << 20,
        findings: 50_000,
        text: 300,
        aliases: 8,
        identity: 64 << 10,
        message: 1_000,
        vex: 64 << 20,
        exceptions: 10_000,
        record: 512 << 20,
        unsigned_record: 32 << 20,
        sbom: 48 << 20,
        sboms: 4 << 30,
        sbom_layers: 8,
        licences: 500,
        package_licences: 64,
    };
}
