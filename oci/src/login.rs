//! User names and passwords that people write before a host, as in `https://user:password@host`, and in other places
//! where they do not belong. Takes any text; gives it without them, for terminals, logs and files that others read.

use std::borrow::Cow;
use std::ops::Range;

/// What stands for a login.
const HIDDEN: &str = "***";

/// Ends what is before a login within a word, as in `docker.io=user:password@host`.
const BEFORE: [char; 14] = ['=', ',', ';', '(', '[', '{', '<', '>', '\'', '"', '`', '|', ':', '^'];

/// The text with `***` in place of each login: what is before the `@` in the address of a URL, and `user:password`
/// before `@` anywhere else. A digest after an `@` makes no login of what is before. Where a text can be read in two ways,
/// more is hidden.
///
/// ```
/// assert_eq!(bundle_oci::hide_logins("https://user:word@quay.io/a is no host"), "https://***@quay.io/a is no host");
/// ```
pub fn hide_logins(text: &str) -> Cow<'_, str> {
    replaced(text, HIDDEN)
}

/// The text without logins and their `@`.
pub fn strip_logins(text: &str) -> Cow<'_, str> {
    replaced(text, "")
}

/// Whether there is a login in the text.
pub fn has_login(text: &str) -> bool {
    !logins(text).is_empty()
}

fn replaced<'t>(text: &'t str, with: &str) -> Cow<'t, str> {
    let found = logins(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for login in found {
        out.push_str(&text[end..login.start]);
        out.push_str(with);
        // Without a login, the @ has no meaning.
        end = login.end + usize::from(with.is_empty());
    }
    out.push_str(&text[end..]);
    Cow::Owned(out)
}

/// The places of logins, each up to its `@`.
fn logins(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !text.contains('@') {
        return found;
    }
    let mut start = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        in_word(word, start, &mut found);
        start += word.len();
    }
    found
}

/// The logins of a word that begins at byte `start` of the text.
fn in_word(word: &str, start: usize, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(scheme) = word[at..].find("://") {
        found.extend(without_scheme(&word[at..at + scheme], start + at));
        at += scheme + "://".len();
        let rest = &word[at..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let end = match last_at(authority) {
            // A slash in a password, which should be %2F there, ends the address before its host.
            None if has_odd_port(authority) => last_at(rest),
            end => end,
        };
        match end {
            Some(end) => {
                found.push(start + at..start + at + end);
                at += end + 1;
            }
            None => at += authority.len(),
        }
    }
    found.extend(without_scheme(&word[at..], start + at));
}

/// A login in a text without schemes, which begins at byte `start`: `user:password@`.
fn without_scheme(text: &str, start: usize) -> Option<Range<usize>> {
    let end = last_at(text)?;
    let before = &text[..end];
    let user = before.match_indices(':').find_map(|(colon, _)| {
        let begin = before[..colon].rfind(BEFORE).map_or(0, |at| at + 1);
        let user = &before[begin..colon];
        // `path:tag` is no login, and neither is `host:port/path`.
        (!user.is_empty() && !user.contains('/') && !is_port(&before[colon + 1..])).then_some(begin)
    })?;
    Some(start + user..start + end)
}

/// Whether a text begins with a port and a path.
fn is_port(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && text[digits..].starts_with('/')
}

/// Whether the port of a URL's address is no number.
fn has_odd_port(authority: &str) -> bool {
    let host = authority.rfind(']').map_or(0, |end| end + 1);
    let port = authority[host..].rsplit_once(':').map_or("", |(_, port)| port);
    !port.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last `@` that has something before it, and behind it something that is no digest.
fn last_at(text: &str) -> Option<usize> {
    let mut ats = text.match_indices('@').map(|(at, _)| at).rev();
    ats.find(|at| *at > 0 && at + 1 < text.len() && !begins_with_digest(&text[at + 1..]))
}

fn begins_with_digest(text: &str) -> bool {
    let Some((algorithm, hash)) = text.split_once(':') else { return false };
    let hexadecimal = hash.bytes().take_while(u8::is_ascii_hexdigit).count();
    matches!(algorithm, "sha256" | "sha512") || (!algorithm.contains('/') && hexadecimal >= 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logins_are_hidden_wherever_people_write_them() {
        for (text, shown) in [
            ("https://u:p@harbor.example/x", "https://***@harbor.example/x"),
            ("'https://token@github.com/a.git' is in Git", "'https://***@github.com/a.git' is in Git"),
            ("u:p@harbor.example/team/app", "***@harbor.example/team/app"),
            ("--to=https://u:p@harbor.example/x", "--to=https://***@harbor.example/x"),
            ("'docker.io=u:p=q@m/x'", "'docker.io=***@m/x'"),
            ("docker://u:p@q@harbor.example/x:1", "docker://***@harbor.example/x:1"),
            ("f.yaml:5: u:p@h:5000/a:1: no", "f.yaml:5: ***@h:5000/a:1: no"),
            ("https://u:p/w@h/x", "https://***@h/x"),
            ("a https://u:p@h,https://v:q@i/x", "a https://***@h,https://***@i/x"),
            ("https://h/x,https://u:p@h/y", "https://h/x,https://***@h/y"),
            ("u:p@h/a@sha256:0123", "***@h/a@sha256:0123"),
            ("(http://u:p@h)", "(http://***@h)"),
            ("docker.io=h:5000/x,quay.io=u:p@n", "docker.io=h:5000/x,quay.io=***@n"),
            ("https://ü:pß@h\nhttps://a:b@c", "https://***@h\nhttps://***@c"),
        ] {
            assert_eq!(hide_logins(text), shown);
            assert!(has_login(text), "{text}");
        }
        assert_eq!(strip_logins("https://u:p@h/x"), "https://h/x");
    }

    #[test]
    fn what_has_no_login_stays_as_it_is() {
        for text in [
            "nginx:1.25@sha256:0123",
            "harbor.example:5000/team/app:1@sha256:0123",
            "team/app@sha256:0123",
            "a:1@sha265:0123456789abcdef0123456789abcdef",
            "docker://nginx:1@sha256:0123",
            "alice@example.com",
            "--username=alice@example.com",
            "https://harbor.example:8443/a@b",
            "https://[::1]:5000/a@b",
            "https://[::1]/a@b",
            "[::1]:5000/a@b",
            "quay.io/a:1@b",
            "localhost:5000/a@b",
            "b.tar",
            "f.yaml:5: mail alice@example.com",
            "x:@",
            "@h",
        ] {
            assert_eq!(hide_logins(text), text);
            assert!(matches!(hide_logins(text), Cow::Borrowed(_)));
        }
    }

    proptest! {
        #[test]
        fn no_password_stays(before in "[ a-z=(']{0,6}", password in "[^\\s@/?#]{3,12}x", path in "[a-z/]{0,5}") {
            let text = format!("{before}https://user:{password}@host/{path}");
            let shown = hide_logins(&text);
            prop_assert!(shown.contains("://***@host/") && !shown.contains(&format!(":{password}")), "{}", shown);
            // It is safe to do twice.
            prop_assert_eq!(hide_logins(&shown), shown.as_ref());
        }

        #[test]
        fn any_text_is_taken(text in "[a-zé:/@=,\\[\\] ]{0,40}") {
            let shown = hide_logins(&text).into_owned();
            prop_assert_eq!(hide_logins(&shown), shown.as_str());
        }
    }
}
