//! Sets the resources of containers in values.
//! Takes an [`Overlay`] and [`Resources`]; changes the overlay.

use super::edit::{at, field, keys, shown};
use super::pull_secret::pods;
use super::{Overlay, OverlayError};
use crate::{Map, Rendering, Value};

/// The resources that a container requests from its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources<'a> {
    /// Memory, as Kubernetes writes it: `512Mi`.
    pub memory: &'a str,
    /// Processor time: `200m`.
    pub cpu: &'a str,
}

impl Overlay<'_> {
    /// Sets the resources of a component's containers, wherever below the component's table the chart takes
    /// them: there itself, or in the table `internal`, or in one of the component's own name. Values that the
    /// user set already stay. The path is returned; `None` if the chart has no such component, does not run
    /// it with these values, or has the values already.
    ///
    /// # Errors
    /// Only [`OverlayError::Trials`].
    pub fn ask_for(
        &mut self,
        component: &str,
        wanted: Resources<'_>,
    ) -> Result<Option<String>, OverlayError> {
        let table = keys(component);
        let own = table.last().cloned();
        let below = [
            Some(table.clone()),
            Some(field(&table, "internal")),
            own.map(|own| table.iter().cloned().chain([own]).collect()),
        ];
        for table in below.into_iter().flatten() {
            if at(&self.rendering.declared, &table).is_none_or(|found| found.as_map().is_none()) {
                continue;
            }
            let path = field(&table, "resources");
            if at(&self.given, &path).is_some() {
                return Ok(None);
            }
            let requests = [("cpu", Value::from(wanted.cpu)), ("memory", Value::from(wanted.memory))];
            let requests = Map::from_iter(requests);
            let Some(values) = self.put(&field(&path, "requests"), Value::Map(requests)) else { continue };
            let Some(rendering) = self.attempt(&values)? else { continue };
            if count(&rendering, wanted) > count(&self.rendering, wanted) {
                self.take(values, rendering);
                return Ok(Some(shown(&path)));
            }
        }
        Ok(None)
    }
}

/// How many containers ask for just this.
fn count(rendering: &Rendering, wanted: Resources<'_>) -> usize {
    let asks = |container: &Value| {
        let resources = container.as_map()?.get("resources")?;
        let requests = resources.as_map()?.get("requests")?;
        let requests = requests.as_map()?;
        let is = |key: &str, text: &str| requests.get(key).is_some_and(|value| value.as_str() == Some(text));
        Some(is("cpu", wanted.cpu) && is("memory", wanted.memory))
    };
    let containers = rendering.documents.iter().flat_map(pods).filter_map(|pod| pod.get("containers"));
    containers
        .filter_map(|list| Some(list.as_list()?.iter().filter(|one| asks(one) == Some(true)).count()))
        .sum()
}
