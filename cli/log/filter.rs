//! Which events are shown: a level for all parts of the program, or for some. Takes the text of BUNDLE_LOG,
//! gives an answer for a part and a level.

use tracing::Level;

/// The parts of the program that have events, as BUNDLE_LOG names them.
pub(crate) const PARTS: [&str; 6] = ["registry", "bundler", "importer", "harbor", "serve", "sync"];

/// The least grave level that each part shows; nothing for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    all: Option<Level>,
    parts: Vec<(&'static str, Option<Level>)>,
}

/// The part of the program whose event this is; nothing for other crates.
pub(crate) fn part_of(target: &str) -> Option<&'static str> {
    let name = target.split("::").next()?.strip_prefix("bundle_")?;
    PARTS.into_iter().find(|part| *part == name)
}

impl Filter {
    /// The same level for all parts.
    pub(crate) fn all(level: Option<Level>) -> Self {
        Self { all: level, parts: Vec::new() }
    }

    /// Whether an event is shown.
    pub(crate) fn shows(&self, part: &str, level: &Level) -> bool {
        let own = self.parts.iter().rev().find(|(name, _)| *name == part).map(|(_, level)| level);
        own.unwrap_or(&self.all).as_ref().is_some_and(|most| level <= most)
    }
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut filter = Self::all(None);
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                None => filter.all = level(word)?,
                Some((part, word)) => {
                    let part = PARTS.into_iter().find(|known| *known == part.trim());
                    let part = part.ok_or_else(|| format!("the parts are {}", PARTS.join(", ")))?;
                    filter.parts.push((part, level(word.trim())?));
                }
            }
        }
        Ok(filter)
    }
}

fn level(word: &str) -> Result<Option<Level>, String> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Ok(None),
        "error" => Ok(Some(Level::ERROR)),
        "warn" => Ok(Some(Level::WARN)),
        "info" => Ok(Some(Level::INFO)),
        "debug" => Ok(Some(Level::DEBUG)),
        _ => Err("the levels are off, error, warn, info and debug".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_own_level_or_that_of_all() {
        let filter: Filter = "info, registry=debug,sync=off".parse().unwrap();
        assert!(filter.shows("registry", &Level::DEBUG) && filter.shows("importer", &Level::INFO));
        assert!(!filter.shows("importer", &Level::DEBUG) && !filter.shows("sync", &Level::ERROR));
        assert!(!Filter::all(None).shows("registry", &Level::ERROR));
        for wrong in ["loud", "registry=loud", "hyper=debug"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_of_other_crates_are_nobodys() {
        assert_eq!(part_of("bundle_registry::trace"), Some("registry"));
        assert_eq!(part_of("hyper_util::client"), None);
        assert_eq!(part_of("bundle_registry_of_others"), None);
    }
}
