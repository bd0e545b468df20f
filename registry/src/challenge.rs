//! `WWW-Authenticate`: how a registry wants to be shown credentials. Takes the header's text, gives
//! the best challenge that is understood.

use crate::limits::LONGEST_CHALLENGE;

/// A registry's authentication challenge (RFC 9110 §11.6.1; the distribution project's token authentication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password.
    Basic,
    /// A token from a token service.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The best of the challenges in all `WWW-Authenticate` headers: a token is shown to fewer
    /// eyes than a password.
    pub(crate) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best = None;
        for header in headers.filter(|header| header.len() <= LONGEST_CHALLENGE) {
            for challenge in challenges(header) {
                if best.is_none() || matches!((&best, &challenge), (Some(Self::Basic), Self::Bearer { .. })) {
                    best = Some(challenge);
                }
            }
        }
        best
    }
}

/// The challenges of one header that are understood. A word before `=` is a parameter's name, and
/// any other word a scheme.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut schemes: Vec<Scheme> = Vec::new();
    let mut characters = header.chars().peekable();
    loop {
        while characters
            .next_if(|character| matches!(character, ',' | '=' | '"') || character.is_whitespace())
            .is_some()
        {}
        let mut word = String::new();
        while let Some(character) = characters
            .next_if(|character| !matches!(character, ',' | '=' | '"') && !character.is_whitespace())
        {
            word.push(character.to_ascii_lowercase());
        }
        if word.is_empty() {
            break;
        }
        while characters.next_if(|character| character.is_whitespace()).is_some() {}
        if characters.next_if_eq(&'=').is_none() {
            schemes.push(Scheme { name: word, realm: None, service: None });
            continue;
        }
        while characters.next_if(|character| character.is_whitespace()).is_some() {}
        let mut value = String::new();
        if characters.next_if_eq(&'"').is_some() {
            while let Some(character) = characters.next() {
                match character {
                    '"' => break,
                    '\\' => value.extend(characters.next()),
                    other => value.push(other),
                }
            }
        } else {
            let plain = |character: &char| *character != ',' && !character.is_whitespace();
            while let Some(character) = characters.next_if(plain) {
                value.push(character);
            }
        }
        if let Some(scheme) = schemes.last_mut() {
            match word.as_str() {
                "realm" => scheme.realm = Some(value),
                "service" => scheme.service = Some(value),
                _ => {}
            }
        }
    }
    schemes.into_iter().filter_map(Scheme::challenge).collect()
}

struct Scheme {
    name: String,
    realm: Option<String>,
    service: Option<String>,
}

impl Scheme {
    fn challenge(self) -> Option<Challenge> {
        match self.name.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer { realm: self.realm?, service: self.service }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (header, expected) in [
            ("Basic realm=\"Registry\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"a,b\"",
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            ("bearer service=x , realm=https://a/t", bearer("https://a/t", Some("x"))),
            ("Bearer realm=\"https://a/\\\"t\"", bearer("https://a/\"t", None)),
            ("Basic realm=\"x\", Bearer realm=\"https://a/t\"", bearer("https://a/t", None)),
            ("Bearer realm=\"https://a/t\", Basic realm=\"x\"", bearer("https://a/t", None)),
            ("Negotiate abc==, Basic realm=\"Bearer realm=x\"", Some(Challenge::Basic)),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
            ("Bearer ,,,===\"", None),
            ("=\"\"\"", None),
        ] {
            assert_eq!(Challenge::best([header].into_iter()), expected, "{header}");
        }
        let huge = format!("Bearer realm=\"{}\"", "x".repeat(10_000));
        assert_eq!(Challenge::best([huge.as_str()].into_iter()), None);
        assert_eq!(Challenge::best([huge.as_str(), "Basic"].into_iter()), Some(Challenge::Basic));
    }
}
