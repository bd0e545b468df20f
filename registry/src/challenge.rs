/// What a registry wants to see before it answers (RFC 9110 §11.6.1; the distribution project's
/// token authentication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password.
    Basic,
    /// A token from a token service.
    Bearer { realm: String, service: Option<String> },
}

const LONGEST: usize = 8 << 10;

impl Challenge {
    /// The first challenge in a `WWW-Authenticate` header that is understood.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        if header.len() > LONGEST {
            return None;
        }
        let header = header.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

/// `name="value"` pairs, in which a backslash escapes the next character.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        let skipped = |character: &char| *character == ',' || character.is_whitespace();
        while characters.next_if(skipped).is_some() {}
        let mut name = String::new();
        while let Some(character) = characters.next_if(|character| *character != '=' && *character != ',') {
            name.push(character);
        }
        if characters.next_if_eq(&'=').is_none() {
            if characters.peek().is_none() {
                return pairs;
            }
            continue;
        }
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
            while let Some(character) = characters.next_if(|character| *character != ',') {
                value.push(character);
            }
        }
        pairs.push((name.trim().to_owned(), value));
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
            ("bearer service=x , realm=https://a/t", bearer("https://a/t", Some("x "))),
            ("Bearer realm=\"https://a/\\\"t\"", bearer("https://a/\"t", None)),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
            ("Bearer ,,,===\"", None),
        ] {
            let found = Challenge::parse(header);
            let trimmed = match found {
                Some(Challenge::Bearer { realm, service }) => {
                    Some(Challenge::Bearer { realm, service: service.map(|text| text.trim().to_owned()) })
                }
                other => other,
            };
            let expected = match expected {
                Some(Challenge::Bearer { realm, service }) => {
                    Some(Challenge::Bearer { realm, service: service.map(|text| text.trim().to_owned()) })
                }
                other => other,
            };
            assert_eq!(trimmed, expected, "{header}");
        }
        assert_eq!(Challenge::parse(&format!("Bearer realm=\"{}\"", "x".repeat(10_000))), None);
    }
}
