//! Plain lists of images, one a line.
//! Takes text, gives images and choices of tags with their lines, or every bad line with what was meant.

use bundle_oci::{Printable, ProjectName};

use crate::exclude::is_excluded;
use crate::{
    CacheLayout, Exclude, ImagePolicy, Item, ItemError, Limits, Platforms, Reason, Request, TagItem,
    TagPattern,
};

/// A line that is no item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// The text of the line.
    pub text: String,
    /// The cause.
    pub error: ItemError,
    /// The intended line, where it is written for another tool.
    pub meant: Option<String>,
}

/// Every bad line of a list, and the list's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
    /// The name of the list.
    pub name: String,
    /// The bad lines.
    pub lines: Vec<BadLine>,
}

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        let name = Printable(&self.name);
        for (position, bad) in self.lines.iter().take(SHOWN).enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{name}:{}: '{}': {}", bad.line, Printable(&bad.text), bad.error)?;
            if let Some(meant) = &bad.meant {
                write!(f, "; did you mean '{}'?", Printable(meant))?;
            }
        }
        match self.lines.len().checked_sub(SHOWN) {
            Some(1) => write!(f, "\n{name}: and 1 more bad line"),
            Some(more) if more > 1 => write!(f, "\n{name}: and {more} more bad lines"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ListError {}

/// A line of a list, or an argument: an image, or a choice of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListItem {
    /// `reference` or `reference => new-name`.
    Image(Item),
    /// The same with a pattern in place of a tag.
    Tags(TagItem),
}

impl std::str::FromStr for ListItem {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, ItemError> {
        match TagItem::is_meant(text) {
            true => TagItem::parse(text).map(Self::Tags),
            false => text.parse().map(Self::Image),
        }
    }
}

/// The requests of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The images.
    pub requests: Vec<Request>,
    /// The choices of tags.
    pub patterns: Vec<TagPattern>,
}

impl Listed {
    /// Adds an item that `reason` asks for, unless it is excluded.
    ///
    /// # Errors
    /// It cannot be placed in the project.
    pub fn add(&mut self, item: ListItem, reason: Reason, with: &Wanted<'_>) -> Result<(), ItemError> {
        let reasons = vec![reason];
        let (platforms, policy) = (with.platforms.clone(), with.policy);
        match item {
            ListItem::Image(item) => {
                let target = item.place_by(with.project, with.layout)?;
                let reference = item.reference;
                if !is_excluded(with.exclude, &reference) {
                    self.requests.push(Request {
                        reference,
                        local: None,
                        target,
                        platforms,
                        policy,
                        reasons,
                    });
                }
            }
            ListItem::Tags(item) => {
                let target = item.place_by(with.project, with.layout)?;
                let TagItem { registry, repository, tags, .. } = item;
                let exclude = with.exclude.to_vec();
                self.patterns.push(TagPattern {
                    registry,
                    repository,
                    tags,
                    target,
                    platforms,
                    policy,
                    exclude,
                    reasons,
                });
            }
        }
        Ok(())
    }
}

/// What holds for all items of a list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The project that they go to.
    pub project: &'a ProjectName,
    /// How they are named there, if that is `cache`.
    pub layout: &'a CacheLayout,
    /// Which platforms of them.
    pub platforms: &'a Platforms,
    /// The policy for them.
    pub policy: ImagePolicy,
    /// The images that are left out.
    pub exclude: &'a [Exclude],
}

/// The requests of a list's text.
///
/// # Errors
/// All its bad lines.
pub fn from_list(text: &str, name: &str, with: &Wanted<'_>) -> Result<Listed, ListError> {
    let mut listed = Listed::default();
    let mut bad = Vec::new();
    for (line, text, item) in parse(text, name)? {
        let reason = Reason::File { name: name.to_owned(), line: line as u64 };
        if let Err(error) = listed.add(item, reason, with) {
            bad.push(BadLine { line, text, error, meant: None });
        }
    }
    if bad.is_empty() { Ok(listed) } else { Err(ListError { name: name.to_owned(), lines: bad }) }
}

/// Reads a list of images: one item a line, and `#` starts a comment, at the start of a line or
/// after white space. Each item comes with its line and the text there.
///
/// # Errors
/// All lines that are no items.
pub(crate) fn parse(text: &str, name: &str) -> Result<Vec<(usize, String, ListItem)>, ListError> {
    let mut items = Vec::new();
    let mut bad = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (position, line) in lines(text).enumerate() {
        let line_number = position + 1;
        let content = without_comment(line).trim();
        if content.is_empty() {
            continue;
        }
        if items.len() + bad.len() == Limits::DEFAULT.images {
            bad.push(BadLine {
                line: line_number,
                text: content.to_owned(),
                error: ItemError::TooMany,
                meant: None,
            });
            break;
        }
        match content.parse() {
            Ok(item) => items.push((line_number, content.to_owned(), item)),
            Err(error) => {
                let meant = meant(content);
                bad.push(BadLine { line: line_number, text: content.to_owned(), error, meant });
            }
        }
    }
    if bad.is_empty() { Ok(items) } else { Err(ListError { name: name.to_owned(), lines: bad }) }
}

/// Whether `text` is a list of images, and of one image at least.
pub(crate) fn is_list(text: &str) -> bool {
    parse(text, "").is_ok_and(|items| !items.is_empty())
}

/// Lines that end with a line feed, a carriage return, or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The item inside a line of another tool: skopeo's `docker://`, an address of a browser, an entry of a YAML
/// file, a list with quotes or commas, a mapping with another arrow. None if that is no item either.
pub fn meant(line: &str) -> Option<String> {
    let mut text: String = line.chars().filter(|letter| !matches!(letter, '\u{200b}' | '\u{feff}')).collect();
    loop {
        let mut rest = text.trim().trim_end_matches(',').trim_matches(['"', '\'']);
        for prefix in ["- ", "image:", "docker://", "https://", "http://"] {
            rest = rest.strip_prefix(prefix).unwrap_or(rest).trim_start();
        }
        if rest == text {
            break;
        }
        text = rest.to_owned();
    }
    let arrow = ["->", "="].into_iter().find_map(|arrow| text.split_once(arrow));
    if let Some((reference, name)) = arrow.filter(|_| !text.contains("=>")) {
        // A new name has no registry here.
        let name = name.trim();
        let below = name.split_once('/').filter(|(host, _)| host.contains(['.', ':'])).map(|(_, path)| path);
        text = format!("{} => {}", reference.trim(), below.unwrap_or(name));
    }
    (text != line && text.parse::<ListItem>().is_ok()).then_some(text)
}

fn without_comment(line: &str) -> &str {
    let starts = |&(at, _): &(usize, &str)| at == 0 || line[..at].ends_with(char::is_whitespace);
    line.match_indices('#').find(starts).map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_blank_lines_and_windows_endings_are_fine() {
        let text = "\u{feff}# images\r\nnginx:1.25   # the proxy\r\n\r\n  quay.io/a/b => bee\r\n\t#\ta\n";
        let items = parse(text, "images.txt").unwrap();
        let image = |item: &ListItem| match item {
            ListItem::Image(item) => item.reference.to_string(),
            ListItem::Tags(item) => panic!("{item:?}"),
        };
        let lines: Vec<_> = items.iter().map(|(line, _, item)| (*line, image(item))).collect();
        assert_eq!(
            lines,
            [(2, "docker.io/library/nginx:1.25".to_owned()), (4, "quay.io/a/b:latest".to_owned())]
        );
    }

    #[test]
    fn a_pattern_in_place_of_a_tag_is_a_choice_of_tags() {
        let (project, layout) = (ProjectName::cache(), CacheLayout::default());
        let exclude = [Exclude::new("b", Reason::CommandLine).unwrap()];
        let with = Wanted {
            project: &project,
            layout: &layout,
            platforms: &Platforms::All,
            policy: ImagePolicy::default(),
            exclude: &exclude,
        };
        let text = "nginx:1.27.* => tools/nginx\nb:1\na:1\nquay.io/x/y:v?.*\n";
        let Listed { requests, patterns } = from_list(text, "l", &with).unwrap();
        assert_eq!(
            requests.iter().map(|it| it.reference.to_string()).collect::<Vec<_>>(),
            ["docker.io/library/a:1"]
        );
        let shown: Vec<_> =
            patterns.iter().map(|it| format!("{it} {} {}", it.target, it.reasons[0])).collect();
        assert_eq!(
            shown,
            [
                "docker.io/library/nginx:1.27.* cache/tools/nginx l:1",
                "quay.io/x/y:v?.* cache/quay.io/x/y l:4"
            ]
        );
        let message = from_list("a:1.[0-9]*\na:*@b\n*:1\n", "l", &with).unwrap_err().to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert!(lines[0].starts_with("l:1: 'a:1.[0-9]*': pattern of tags may have letters"), "{message}");
        assert_eq!(lines.len(), 3, "{message}");
    }

    #[test]
    fn all_bad_lines_are_told_at_once() {
        let text =
            "foo/Bar\nok\nhttps://x/y\na b\nnginx:1#2\n=> a\na =>\na => b@c\na => b/c:D:\nx => y:1/z\n";
        let tag = "tag may have letters, digits, '_', '.' and '-', and starts with none of the last two";
        let expected = format!(
            "images.txt:1: 'foo/Bar': repository name must be lower case\n\
             images.txt:3: 'https://x/y': reference must not start with a scheme such as https://; did you mean 'x/y'?\n\
             images.txt:4: 'a b': reference has white space in it\n\
             images.txt:5: 'nginx:1#2': {tag}\n\
             images.txt:6: '=> a': reference is empty\n\
             images.txt:7: 'a =>': new name is empty\n\
             images.txt:8: 'a => b@c': new name must not have a digest\n\
             images.txt:9: 'a => b/c:D:': new name: tag has 0 characters where 1 to 128 are allowed\n\
             images.txt:10: 'x => y:1/z': new name must not have a registry"
        );
        assert_eq!(parse(text, "images.txt").unwrap_err().to_string(), expected);
    }

    #[test]
    fn lines_of_other_tools_say_what_to_write() {
        for (line, meant) in [
            ("docker://a.example/x:1", "a.example/x:1"),
            ("- a.example/x:1", "a.example/x:1"),
            ("image: a.example/x:1", "a.example/x:1"),
            ("- image: \"a.example/x:1\"", "a.example/x:1"),
            ("\"a.example/x:1\",", "a.example/x:1"),
            ("a.example/x:1\u{200b}", "a.example/x:1"),
            ("- docker://nginx:1.27.*", "nginx:1.27.*"),
            ("a.example/x:1 -> y/app", "a.example/x:1 => y/app"),
            ("a.example/x:1=b.example/y/app:2", "a.example/x:1 => y/app:2"),
        ] {
            let message = parse(line, "list").unwrap_err().to_string();
            assert!(message.ends_with(&format!("; did you mean '{meant}'?")), "{message}");
        }
        assert!(!parse("A b", "list").unwrap_err().to_string().contains("mean"));
    }

    #[test]
    fn a_line_may_end_with_a_carriage_return_alone() {
        let items = parse("a:1\rb:2\r\nc:3\n", "list").unwrap();
        assert_eq!(items.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(parse("a\nb\n", "list").unwrap().len(), 2);
    }

    #[test]
    fn many_bad_lines_are_counted() {
        for (lines, last) in [
            (20, "list:20: 'A b': reference has white space in it"),
            (21, "list: and 1 more bad line"),
            (25, "list: and 5 more bad lines"),
        ] {
            let message = parse(&"A b\n".repeat(lines), "list").unwrap_err().to_string();
            assert_eq!(message.lines().last(), Some(last));
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let most = "a\n".repeat(Limits::DEFAULT.images);
        assert_eq!(parse(&most, "list").unwrap().len(), Limits::DEFAULT.images);
        let message = parse(&format!("{most}a\na\n"), "list").unwrap_err().to_string();
        assert_eq!(message, "list:100001: 'a': more than 100000 images");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), line in "[ \ta-c:/@#=>é\u{feff}\n]{0,60}") {
            let _ = parse(&text, "list").map_err(|error| error.to_string());
            let _ = parse(&line, "list").map_err(|error| error.to_string());
        }
    }
}
