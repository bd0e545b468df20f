//! Retention rules in `harbor.yaml`: what Harbor itself keeps of a project's tags. Takes the rules as they are written,
//! in Harbor's names; gives Harbor's policy, and whether its rules would remove what bundles want.

use std::collections::BTreeMap;

use bundle_harbor::{Keeps, RetentionPolicy, RetentionRule};
use bundle_oci::RepositoryName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::TagPattern;

/// How many rules Harbor takes (its handler/retention.go), less the one for the importer's own record.
const MOST: usize = 14;
/// Harbor's pkg/retention/policy/rule: counts of artifacts stay below `MaxInt16`, and days below this.
const MOST_ARTIFACTS: u32 = 32_766;
const MOST_DAYS: u32 = 36_500;

/// The rules of a project, and when Harbor follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    rules: Vec<RetentionRule>,
    schedule: Option<String>,
}

impl Retention {
    /// Harbor's policy. Where there are rules, one more keeps the record by which an import knows a stream's newest
    /// bundle: without it, an older bundle would be accepted.
    pub fn policy(&self, id: Option<i64>) -> RetentionPolicy {
        let mut rules = self.rules.clone();
        if !rules.is_empty() {
            rules.push(RetentionRule {
                keeps: Keeps::Always,
                repositories: Some(bundle_format::RECORD_REPOSITORY.to_owned()),
                tags: Some("**".to_owned()),
                disabled: false,
            });
        }
        RetentionPolicy { id, rules, schedule: self.schedule.clone() }
    }
}

/// Whether two policies do the same. The order of rules has no meaning, for Harbor keeps what any of them keeps.
pub(crate) fn is_same(is: &RetentionPolicy, should: &RetentionPolicy) -> bool {
    let sorted = |policy: &RetentionPolicy| {
        let mut rules = policy.rules.clone();
        rules.sort();
        rules
    };
    sorted(is) == sorted(should) && (is.rules.is_empty() || is.schedule == should.schedule)
}

/// A policy in words.
pub(crate) fn text(policy: &RetentionPolicy) -> String {
    if policy.rules.is_empty() {
        return "no rules".to_owned();
    }
    let rules: Vec<String> = policy.rules.iter().map(ToString::to_string).collect();
    let schedule = match &policy.schedule {
        Some(cron) => format!("at {}", bundle_oci::Printable(cron)),
        None => "when somebody starts it".to_owned(),
    };
    format!("{}, {schedule}", rules.join(" or "))
}

/// Why a policy would remove artifacts that the newest bundle wants, if it would: `wanted` says how many the bundle
/// wants in each repository. An artifact that is present is not pushed again, and an import is no pull; so an image
/// that stays the same gets older.
pub(crate) fn danger(policy: &RetentionPolicy, wanted: &BTreeMap<RepositoryName, usize>) -> Option<String> {
    let rules: Vec<&RetentionRule> = policy.rules.iter().filter(|rule| !rule.disabled).collect();
    let is_all = |pattern: &Option<String>| matches!(pattern.as_deref(), Some("**"));
    let others: Vec<&&RetentionRule> = rules
        .iter()
        .filter(|rule| rule.repositories.as_deref() != Some(bundle_format::RECORD_REPOSITORY))
        .collect();
    let keeps_all = |rule: &&&RetentionRule| {
        rule.keeps == Keeps::Always && is_all(&rule.repositories) && is_all(&rule.tags)
    };
    if others.is_empty() || others.iter().any(keeps_all) {
        return None;
    }
    // As many as are wanted in any repository, if pushes keep them: what was pushed last is mostly what is wanted.
    let latest = others.iter().filter_map(|rule| match rule.keeps {
        Keeps::LatestPushed(number) if is_all(&rule.repositories) && is_all(&rule.tags) => Some(number),
        _ => None,
    });
    let most = wanted.iter().max_by_key(|(_, count)| **count);
    match (latest.max(), most) {
        (Some(latest), Some((repository, count))) if *count > latest as usize => Some(format!(
            "latestPushedK {latest} keeps fewer than the {count} artifacts that the bundle wants in {repository}"
        )),
        (Some(_), _) | (_, None) => None,
        (None, Some(_)) => Some(
            "an image that stays the same is not pushed again, and an import is no pull, so that none of these rules \
             keeps it for good"
                .to_owned(),
        ),
    }
}

/// What Harbor itself keeps of a project's tags
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    /// When Harbor follows the rules: cron with seconds, which must be 0, such as '0 0 2 * * *'; without it, when
    /// somebody starts it
    #[serde(default)]
    #[schemars(regex(pattern = r"^0( [0-9*/,?-]+){5}$"))]
    schedule: Option<String>,
    /// The rules; what none of them keeps is removed. With an empty list nothing is removed
    #[schemars(length(max = 14))]
    keep: Vec<WrittenRule>,
}

/// A rule, by exactly one of Harbor's templates
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct WrittenRule {
    /// Keeps everything
    #[serde(deserialize_with = "bundle_input::plain")]
    always: Option<bool>,
    /// Keeps as many artifacts of each repository, those that were pushed last
    #[serde(rename = "latestPushedK")]
    #[schemars(range(min = 1, max = 32766))]
    latest_pushed: Option<u32>,
    /// Keeps as many artifacts of each repository, those that were pulled last
    #[serde(rename = "latestPulledN")]
    #[schemars(range(min = 1, max = 32766))]
    latest_pulled: Option<u32>,
    /// Keeps what was pushed within so many days
    #[serde(rename = "nDaysSinceLastPush")]
    #[schemars(range(min = 1, max = 36500))]
    pushed_within: Option<u32>,
    /// Keeps what was pulled within so many days
    #[serde(rename = "nDaysSinceLastPull")]
    #[schemars(range(min = 1, max = 36500))]
    pulled_within: Option<u32>,
    /// The pattern of repositories, without the project; the default is **
    repositories: Option<String>,
    /// The pattern of tags; the default is **
    tags: Option<String>,
}

impl WrittenRule {
    fn read(self) -> Result<RetentionRule, &'static str> {
        let number = |number: Option<u32>, most: u32| match number {
            Some(number) if (1..=most).contains(&number) => Ok(Some(number)),
            Some(_) => Err("the number of a retention rule must be at least 1, and one that Harbor takes"),
            None => Ok(None),
        };
        let all = [
            self.always.filter(|always| *always).map(|_| Keeps::Always),
            number(self.latest_pushed, MOST_ARTIFACTS)?.map(Keeps::LatestPushed),
            number(self.latest_pulled, MOST_ARTIFACTS)?.map(Keeps::LatestPulled),
            number(self.pushed_within, MOST_DAYS)?.map(Keeps::PushedWithin),
            number(self.pulled_within, MOST_DAYS)?.map(Keeps::PulledWithin),
        ];
        let mut all = all.into_iter().flatten();
        let (Some(keeps), None) = (all.next(), all.next()) else {
            return Err(
                "a retention rule must have exactly one of always: true, latestPushedK, latestPulledN, \
                        nDaysSinceLastPush and nDaysSinceLastPull",
            );
        };
        let pattern = |text: Option<String>, valid: &dyn Fn(&str) -> bool| {
            let text = text.unwrap_or_else(|| "**".to_owned());
            if valid(&text) {
                Ok(Some(text))
            } else {
                Err("pattern of a retention rule is not one of Harbor's")
            }
        };
        let is_tag = |text: &str| text.parse::<TagPattern>().is_ok();
        let is_repository = |text: &str| text.replace('/', "").parse::<TagPattern>().is_ok();
        Ok(RetentionRule {
            keeps,
            repositories: pattern(self.repositories, &is_repository)?,
            tags: pattern(self.tags, &is_tag)?,
            disabled: false,
        })
    }
}

/// Harbor's cron has six fields, and no seconds (its common/utils, ValidateCronString).
fn is_cron(text: &str) -> bool {
    let fields: Vec<&str> = text.split(' ').collect();
    let known = |byte: u8| byte.is_ascii_digit() || b"*/,?-".contains(&byte);
    fields.len() == 6
        && fields[0] == "0"
        && fields.iter().all(|field| (1..=64).contains(&field.len()) && field.bytes().all(known))
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { schedule, keep } = Written::deserialize(deserializer)?;
        if keep.len() > MOST {
            return Err(de::Error::custom(format!("more than {MOST} retention rules")));
        }
        if schedule.as_deref().is_some_and(|cron| !is_cron(cron)) {
            return Err(de::Error::custom("schedule must be cron with six fields, of which the first is 0"));
        }
        let rules: Vec<RetentionRule> =
            keep.into_iter().map(|rule| rule.read().map_err(de::Error::custom)).collect::<Result<_, _>>()?;
        for (number, rule) in rules.iter().enumerate() {
            // Harbor answers 409 (its handler/retention.go, checkRuleConflict).
            if rules.iter().take(number).any(|other| other == rule) {
                return Err(de::Error::custom(format!("the retention rule '{rule}' is listed twice")));
            }
        }
        Ok(Self { rules, schedule })
    }
}

impl JsonSchema for Retention {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(keeps: Keeps, repositories: &str, tags: &str) -> RetentionRule {
        let pattern = |text: &str| Some(text.to_owned());
        RetentionRule { keeps, repositories: pattern(repositories), tags: pattern(tags), disabled: false }
    }

    #[test]
    fn rules_that_remove_what_a_bundle_wants_are_known() {
        let wanted = BTreeMap::from([("app".parse().unwrap(), 3), ("web".parse().unwrap(), 1)]);
        let judge = |rules: &[RetentionRule]| {
            let rules = rules.to_vec();
            danger(&Retention { rules, schedule: None }.policy(None), &wanted)
        };
        assert_eq!(judge(&[]), None);
        assert_eq!(judge(&[rule(Keeps::LatestPushed(3), "**", "**")]), None);
        let few = judge(&[rule(Keeps::LatestPushed(2), "**", "**")]).unwrap();
        assert!(few.contains("fewer than the 3 artifacts that the bundle wants in app"), "{few}");
        let aging = judge(&[rule(Keeps::PushedWithin(30), "**", "**")]).unwrap();
        assert!(aging.contains("not pushed again"), "{aging}");
        // Other tags of the repository are removed, whatever number the rule has.
        assert!(judge(&[rule(Keeps::LatestPushed(9), "**", "v*")]).is_some());
        let always = rule(Keeps::Always, "**", "**");
        assert_eq!(judge(&[rule(Keeps::PulledWithin(30), "**", "**"), always]), None);
    }

    #[test]
    fn the_record_of_the_importer_is_always_kept() {
        let some = Retention { rules: vec![rule(Keeps::LatestPushed(2), "**", "**")], schedule: None };
        assert_eq!(some.policy(None).rules[1].to_string(), "always of repositories bundle-state");
        assert!(Retention { rules: Vec::new(), schedule: None }.policy(None).rules.is_empty());
    }

    #[test]
    fn cron_has_six_fields_and_no_seconds() {
        for (text, valid) in
            [("0 0 2 * * *", true), ("0 */5 0-6 ? * 1,3", true), ("5 0 2 * * *", false), ("0 2 * * *", false)]
        {
            assert_eq!(is_cron(text), valid, "{text}");
        }
    }
}
