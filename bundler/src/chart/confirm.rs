//! Asks registries for the images that charts name.
//! Takes discovered charts; says of each image whether it exists, and fails only for what a rendering with
//! the values given asks for and cannot be had.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_chart::Grade;
use bundle_oci::{Manifest, Platform, Reference};
use bundle_registry::{Client, Error, Name};
use futures_util::StreamExt;

use super::discovery::{ChartImage, Confirmation, DiscoveredChart};
use super::error::{ChartCause, ChartError};
use crate::choose::missing;
use crate::kind::kind_of;
use crate::policy::MissingImages;
use crate::resolve::{platform_of, whole_blob};
use crate::{Limits, Lock, Platforms};
use bundle_format::Kind;

/// The question about one image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    reference: Reference,
    /// The digest in the lock, asked for in place of the tag.
    name: Option<bundle_oci::Digest>,
    platforms: Vec<Platform>,
}

impl Question {
    fn of(image: &ChartImage, chart: &DiscoveredChart, lock: Option<&Lock>) -> Self {
        let platforms = match chart.platforms() {
            Platforms::All => Vec::new(),
            Platforms::Only(platforms) => platforms.clone(),
        };
        let reference = image.find.reference.clone();
        let name = lock.and_then(|lock| lock.digest(&reference, &image.target));
        Self { reference, name, platforms }
    }

    fn name(&self) -> Name {
        self.name.map_or_else(|| Name::of(&self.reference), Name::Digest)
    }
}

/// A registry's answer.
enum Answer {
    Found,
    NotFound,
    NoPlatform {
        wanted: Platform,
        available: Vec<Platform>,
    },
    /// The account may not see it, or it does not exist: some registries answer both alike.
    Refused(Error),
    Failed(Error),
}

/// Asks registries for all images that are not excluded or left out by the chart's policy; each once.
pub(super) async fn confirm(
    client: &Client,
    charts: &mut [DiscoveredChart],
    lock: Option<&Lock>,
    jobs: usize,
) -> Vec<ChartError> {
    let mut asked = BTreeSet::new();
    for chart in charts.iter() {
        let open = chart.images.iter().filter(|image| image.confirmation == Confirmation::NotAsked);
        asked.extend(open.map(|image| Question::of(image, chart, lock)));
    }
    let answers: BTreeMap<Question, Answer> = futures_util::stream::iter(asked)
        .map(|question| async move {
            let answer = ask(client, &question).await;
            (question, answer)
        })
        .buffer_unordered(jobs.max(1))
        .collect()
        .await;
    let mut errors = Vec::new();
    for chart in charts.iter_mut() {
        let questions: Vec<Question> =
            chart.images.iter().map(|image| Question::of(image, chart, lock)).collect();
        let found: BTreeSet<Reference> = questions
            .iter()
            .filter(|question| matches!(answers.get(question), Some(Answer::Found)))
            .map(|question| question.reference.clone())
            .collect();
        let policy = chart.policy();
        let who = (format!("{} {}", chart.name, chart.version), chart.reason.clone());
        let mut absent: HashMap<Reference, usize> = HashMap::new();
        for (image, question) in chart.images.iter_mut().zip(&questions) {
            if image.confirmation != Confirmation::NotAsked {
                continue;
            }
            let Some(answer) = answers.get(question) else { continue };
            let other = image.find.readings.iter().find(|reading| found.contains(reading));
            image.confirmation = match (answer, other) {
                (Answer::Found, _) => Confirmation::Found,
                (_, Some(other)) => Confirmation::OtherReading(other.clone()),
                (Answer::NotFound, None) => Confirmation::NotFound,
                (Answer::NoPlatform { wanted, .. }, None) => Confirmation::NoPlatform(wanted.clone()),
                (Answer::Refused(error), None) => Confirmation::Refused(bundle_oci::chain(error)),
                (Answer::Failed(error), None) => Confirmation::Unreachable(bundle_oci::chain(error)),
            };
            if image.find.grade != Grade::Rendered || image.is_wanted() || other.is_some() {
                continue;
            }
            // The resolver asks again, and does what the policy says if it is gone.
            if image.confirmation == Confirmation::NotFound && policy.missing_images != MissingImages::Fail {
                image.confirmation = Confirmation::NotAsked;
                continue;
            }
            // One word for all readings of the same fields.
            if image.find.readings.iter().any(|reading| absent.contains_key(reading)) {
                continue;
            }
            absent.insert(image.find.reference.clone(), errors.len());
            let reference = image.find.reference.clone();
            let place = image.find.places.first().map(ToString::to_string).unwrap_or_default();
            let cause = match answer {
                Answer::NotFound => {
                    let readings = image.find.readings.iter().cloned().collect();
                    let tags = alike(client, &reference).await;
                    ChartCause::Absent { image: reference, readings, tags, place }
                }
                Answer::NoPlatform { wanted, available } => {
                    let (wanted, available) = (Box::new(wanted.clone()), available.clone());
                    ChartCause::Platform { image: reference, wanted, available, place }
                }
                Answer::Refused(_) | Answer::Failed(_) => {
                    // The answer stays with the others; the registry is asked once more for the words.
                    match ask(client, question).await {
                        Answer::Refused(error) | Answer::Failed(error) => {
                            ChartCause::Confirm { image: reference, error }
                        }
                        Answer::Found => {
                            image.confirmation = Confirmation::Found;
                            continue;
                        }
                        Answer::NotFound | Answer::NoPlatform { .. } => {
                            let (readings, tags) = (Vec::new(), Vec::new());
                            ChartCause::Absent { image: reference, readings, tags, place }
                        }
                    }
                }
                Answer::Found => continue,
            };
            errors.push(ChartError { chart: who.0.clone(), reason: who.1.clone(), cause });
        }
    }
    errors
}

async fn ask(client: &Client, question: &Question) -> Answer {
    let (registry, repository) = (question.reference.registry(), question.reference.repository());
    match client.manifest_exists(registry, repository, &question.name()).await {
        Ok(Some(_)) if question.platforms.is_empty() => Answer::Found,
        Ok(Some(_)) => match platforms(client, question).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(error),
        },
        Ok(None) => Answer::NotFound,
        // Docker Hub says 401 to strangers who ask for what is not there, others say 403.
        Err(error) if matches!(error.status(), Some(401 | 403)) => Answer::Refused(error),
        // A mere guess at an image may name an invalid host.
        Err(Error::NotARegistry { .. }) => Answer::NotFound,
        Err(error) => Answer::Failed(error),
    }
}

/// Whether an image has the wanted platforms. The resolver reports a manifest that cannot be read.
async fn platforms(client: &Client, question: &Question) -> Result<Answer, Error> {
    let (registry, repository) = (question.reference.registry(), question.reference.repository());
    let fetched = client.manifest(registry, repository, &question.name()).await?;
    let available: Vec<Platform> = match Manifest::parse(&fetched.bytes, &fetched.media_type) {
        // The resolver looks into children without a platform.
        Ok(Manifest::Index(index))
            if index.children.iter().all(|child| child.platform.is_some() || child.attests().is_some()) =>
        {
            let named = index.children.into_iter().filter_map(|child| child.platform);
            named.filter(|platform| !platform.is_unknown()).collect()
        }
        Ok(Manifest::Image(image)) if kind_of(image.kind(), image.artifact_type.is_some()) == Kind::Image => {
            let config = &image.config;
            if config.size > Limits::DEFAULT.config {
                return Ok(Answer::Found);
            }
            let bytes = whole_blob(client, &question.reference, config.digest, config.size).await?;
            match platform_of(&bytes) {
                Some(platform) => vec![platform],
                None => return Ok(Answer::Found),
            }
        }
        _ => return Ok(Answer::Found),
    };
    let missing = missing(&available, &question.platforms);
    Ok(match missing.first() {
        Some(first) if missing.len() == question.platforms.len() => {
            Answer::NoPlatform { wanted: first.clone(), available }
        }
        _ => Answer::Found,
    })
}

/// The number of tags in a message.
const TAGS: usize = 10;

/// Tags that begin like the one that is missing: some operators add what the nodes are.
async fn alike(client: &Client, image: &Reference) -> Vec<String> {
    let Some(wanted) = image.tag() else { return Vec::new() };
    let Ok(tags) = client.tags(image.registry(), image.repository()).await else { return Vec::new() };
    let mut found: Vec<String> = tags
        .tags
        .iter()
        .map(|tag| tag.as_str())
        .filter(|tag| tag.starts_with(wanted.as_str()))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.truncate(TAGS);
    found
}
