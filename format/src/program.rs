//! Which program this is: its version and the commit that it was built from. Takes both from the binary, gives
//! the metric that all its parts write.

/// The program's own version, as its binary knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The version of the release, such as 0.2.0.
    pub version: &'static str,
    /// The commit that it was built from, if the build knew one.
    pub commit: Option<&'static str>,
}

impl Program {
    /// The metric `bundle_build_info`, which is always 1, in Prometheus' text format 0.0.4. Each part of the
    /// program has its own `component`: textfile collectors refuse two files with one sample.
    pub fn metric(&self, component: &str) -> String {
        let Self { version, commit } = self;
        let commit = commit.unwrap_or("unknown");
        format!(
            "# HELP bundle_build_info The version of bundle and the commit that it was built from; always 1.\n\
             # TYPE bundle_build_info gauge\n\
             bundle_build_info{{commit=\"{commit}\",component=\"{component}\",version=\"{version}\"}} 1\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_one_with_its_labels() {
        let text = Program { version: "1.2.3", commit: Some("abc") }.metric("import");
        let sample = "bundle_build_info{commit=\"abc\",component=\"import\",version=\"1.2.3\"} 1";
        assert_eq!(text.lines().last(), Some(sample));
        assert!(Program { version: "1.2.3", commit: None }.metric("serve").contains("{commit=\"unknown\","));
    }
}
