//! `policy` of a `bundle.yaml`: rules about publishers' signatures. Takes the maps as they are written, and a way
//! to read the files of keys; gives an [`UpstreamPolicy`], or an error with line, column and field.

use bundle_input::schema;
use bundle_upstream::{Identity, IdentityError, PublicKeys};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::{ConfigError, FieldError, wrong};
use super::settings::present;
use crate::{CosignSigner, Limits, Reason, SignatureAction, SignatureRule, SourcePattern, UpstreamPolicy};

/// A rule about signatures
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("anyOf" = [
    {"required": ["cosign"]},
    {"required": ["action"], "properties": {"action": {"const": "ignore"}}},
]))]
pub(super) struct RuleMap {
    /// The images, by their source: HOST/*, HOST/PATH/*, a repository, or * for all
    #[serde(rename = "match")]
    #[schemars(with = "schema::NonEmpty")]
    pattern: Spanned<String>,
    /// Whose signatures by cosign count
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "CosignMap")]
    cosign: Option<Spanned<CosignMap>>,
    /// An image without such a signature: require is an error; warn carries and reports it; ignore does not look
    /// at signatures [default: require]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ActionWord")]
    action: Option<Spanned<String>>,
}

/// A signer by cosign: the holder of a key, or an identity
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("oneOf" = [{"required": ["key"]}, {"required": ["identity", "issuer", "trustedRoot"]}]))]
struct CosignMap {
    /// A file beside this one with public keys in PEM form (cosign.pub), each of which counts
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    key: Option<Spanned<String>>,
    /// The address or URI in the certificates of keyless signatures; a * at its end stands for any text
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    identity: Option<Spanned<String>>,
    /// Who vouches for the identity: https://token.actions.githubusercontent.com
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    issuer: Option<Spanned<String>>,
    /// A file beside this one with the authorities and logs that count (trusted_root.json)
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    trusted_root: Option<Spanned<String>>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum ActionWord {
    Require,
    Warn,
    Ignore,
}

/// The rules of the file called `name`; `read_file` gives the name and text of a file beside it.
pub(super) fn read_rules_of_signatures(
    written: Vec<Spanned<RuleMap>>,
    name: &str,
    read_file: &impl Fn(&str) -> Result<(String, String), ConfigError>,
) -> Result<UpstreamPolicy, ConfigError> {
    let mut rules: Vec<(u64, SignatureRule)> = Vec::new();
    for (position, map) in written.into_iter().enumerate() {
        let field = |end: &str| format!("policy[{position}]{end}");
        let (place, RuleMap { pattern, cosign, action }) = (map.referenced, map.value);
        let most = Limits::DEFAULT.rules;
        if position == most {
            return Err(wrong(name, place, "policy".to_owned(), FieldError::TooManyRules(most)));
        }
        let parsed = pattern.value.parse::<SourcePattern>();
        let parsed = parsed.map_err(|error| wrong(name, pattern.referenced, field(".match"), error))?;
        if let Some((line, _)) = rules.iter().find(|(_, above)| above.pattern.covers(&parsed)) {
            return Err(wrong(name, pattern.referenced, field(".match"), FieldError::RuleUnused(*line)));
        }
        let action = match action {
            None => SignatureAction::default(),
            Some(word) => {
                let parsed = word.value.parse::<SignatureAction>();
                parsed.map_err(|error| wrong(name, word.referenced, field(".action"), error))?
            }
        };
        let signer = match (cosign, action) {
            (None, SignatureAction::Ignore) => None,
            (None, _) => return Err(wrong(name, place, field(""), FieldError::NoSigner)),
            (Some(cosign), SignatureAction::Ignore) => {
                return Err(wrong(name, cosign.referenced, field(".cosign"), FieldError::SignerIgnored));
            }
            (Some(cosign), _) => Some(signer(&cosign, name, &field(".cosign"), read_file)?),
        };
        let line = place.line();
        let place = Reason::File { name: name.to_owned(), line };
        rules.push((line, SignatureRule { pattern: parsed, signer, action, place }));
    }
    Ok(UpstreamPolicy::new(rules.into_iter().map(|(_, rule)| rule).collect()))
}

fn signer(
    written: &Spanned<CosignMap>,
    name: &str,
    parent: &str,
    read_file: &impl Fn(&str) -> Result<(String, String), ConfigError>,
) -> Result<CosignSigner, ConfigError> {
    let field = |end: &str| format!("{parent}{end}");
    let read = |file: &Spanned<String>, field: String| {
        let place = file.referenced;
        if file.value.is_empty() {
            return Err(wrong(name, place, field, FieldError::NoFile));
        }
        read_file(&file.value).map_err(|source| ConfigError::NamedList {
            name: name.to_owned(),
            line: place.line(),
            column: place.column(),
            field,
            source: Box::new(source),
        })
    };
    let CosignMap { key, identity, issuer, trusted_root } = &written.value;
    match (key, identity, issuer, trusted_root) {
        (Some(key), None, None, None) => {
            let (file, text) = read(key, field(".key"))?;
            let keys = PublicKeys::from_pem(&text).map_err(|error| {
                wrong(name, key.referenced, field(".key"), FieldError::Key { file, error })
            })?;
            Ok(CosignSigner::Keys { file: key.value.clone(), keys })
        }
        (None, Some(identity), Some(issuer), Some(root)) => {
            let (file, text) = read(root, field(".trustedRoot"))?;
            let identified = Identity::new(&text, &issuer.value, &identity.value);
            identified.map(CosignSigner::Identity).map_err(|error| {
                let (place, end, file) = match error {
                    IdentityError::Identity => (identity, ".identity", None),
                    IdentityError::Issuer => (issuer, ".issuer", None),
                    IdentityError::Root(_) | IdentityError::Empty => (root, ".trustedRoot", Some(file)),
                };
                wrong(name, place.referenced, field(end), FieldError::Identity { file, error })
            })
        }
        _ => Err(wrong(name, written.referenced, parent.to_owned(), FieldError::SignerParts)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, ConfigError, SignatureAction};

    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwBs0Z1Ai7ukHMSQgZDnR74SLkQ4U
8InqnVP+RumpKXXYlZ2PfdQsYhEUvoWawZdhmbWJKDf15KnVaNdStSqkNw==
-----END PUBLIC KEY-----
";

    fn parse(policy: &str) -> Result<Config, ConfigError> {
        let text = format!("policy:\n{policy}projects: {{cache: {{images: [a]}}}}\n");
        Config::parse(&text, "bundle.yaml", |file| {
            let text = if file == "acme.pub" { KEY } else { "no key" };
            Ok((format!("dir/{file}"), text.to_owned()))
        })
    }

    #[test]
    fn the_first_rule_that_means_an_image_counts() {
        let policy = parse(
            "  - {match: ghcr.io/acme/legacy, action: ignore}\n  - match: ghcr.io/acme/*\n    cosign: {key: acme.pub}\n  - {match: '*', cosign: {key: acme.pub}, action: warn}\n",
        )
        .unwrap()
        .upstream;
        let rule = |image: &str| {
            let rule = policy.rule_for(&image.parse().unwrap()).unwrap();
            (rule.action, rule.place.to_string(), rule.signer.as_ref().map(ToString::to_string))
        };
        let acme = Some("the cosign key acme.pub".to_owned());
        assert_eq!(
            rule("ghcr.io/acme/legacy:1"),
            (SignatureAction::Ignore, "bundle.yaml:2".to_owned(), None)
        );
        assert_eq!(
            rule("ghcr.io/acme/app:1"),
            (SignatureAction::Require, "bundle.yaml:3".to_owned(), acme.clone())
        );
        assert_eq!(rule("nginx:1"), (SignatureAction::Warn, "bundle.yaml:5".to_owned(), acme));
        let none = Config::parse("projects: {cache: {images: [a]}}\n", "bundle.yaml", |_| unreachable!());
        assert_eq!(none.unwrap().upstream.rule_for(&"a".parse().unwrap()), None);
    }

    #[test]
    fn mistakes_in_a_rule_have_their_line_and_field() {
        for (policy, message) in [
            ("  - {match: 'a:1', action: ignore}\n", "2:13: policy[0].match: a rule is about all tags"),
            (
                "  - {match: a, action: no}\n",
                "2:24: policy[0].action: 'no' is not one of require, warn, ignore",
            ),
            ("  - {match: a}\n", "2:5: policy[0]: a rule needs 'cosign'"),
            ("  - {match: a, action: warn}\n", "2:5: policy[0]: a rule needs 'cosign'"),
            (
                "  - {match: a, action: ignore, cosign: {key: acme.pub}}\n",
                "2:40: policy[0].cosign: 'action: ignore' looks at no signature",
            ),
            (
                "  - {match: '*', action: ignore}\n  - {match: a, cosign: {key: acme.pub}}\n",
                "3:13: policy[1].match: the rule in line 2 is about all these images",
            ),
            (
                "  - {match: a, cosign: {key: other.pub}}\n",
                "2:30: policy[0].cosign.key: dir/other.pub has no public key in PEM form",
            ),
            ("  - {match: a, cosign: {key: ''}}\n", "2:30: policy[0].cosign.key: name of a file is empty"),
            ("  - {match: a, cosign: {keys: a}}\n", "2:25: unknown field 'keys'"),
            ("  - {action: ignore}\n", "2:6: field 'match' is missing"),
        ] {
            let error = parse(policy).unwrap_err().to_string();
            assert!(error.starts_with(&format!("bundle.yaml:{message}")), "{policy}: {error}");
        }
    }
}
