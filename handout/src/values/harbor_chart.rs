//! Rules for Harbor's own chart: resources of its components, its scanner's databases, its pull secret. No
//! other place of the project knows a chart by name.

use bundle_chart::{IngressError, Map, Overlay, OverlayError, Resources, Value};
use bundle_oci::Registry;

use super::ValuesError;
use bundle_site::TrivyDatabases;
use bundle_site::TrivySetting;

/// The resource requests of Harbor's components, by their tables in its chart. They are the minimum from the
/// platform's table, not limits: a scan or a garbage collection may take more for a while.
const RESOURCES: [(&str, Resources<'_>); 7] = [
    ("core", Resources { memory: "512Mi", cpu: "200m" }),
    ("portal", Resources { memory: "256Mi", cpu: "100m" }),
    ("registry", Resources { memory: "256Mi", cpu: "200m" }),
    ("database", Resources { memory: "512Mi", cpu: "200m" }),
    ("redis", Resources { memory: "128Mi", cpu: "50m" }),
    ("trivy", Resources { memory: "512Mi", cpu: "200m" }),
    ("jobservice", Resources { memory: "128Mi", cpu: "50m" }),
];

/// Harbor's part of a chart: the chart itself, or one inside it.
pub(super) struct HarborChart {
    /// The path of its values, with a full stop at its end.
    prefix: String,
}

impl HarborChart {
    /// Finds it by the values that only a Harbor has: an address for the world, how it is exposed, and
    /// its core.
    pub(super) fn of(values: &Map) -> Option<Self> {
        if is_harbor(values) {
            return Some(Self { prefix: String::new() });
        }
        values.entries().into_iter().find_map(|(key, value)| {
            value.as_map().is_some_and(is_harbor).then(|| Self { prefix: format!("{key}.") })
        })
    }

    /// The address under which its users and its own registry tokens know it, with the scheme that it
    /// has already, unless someone's values say it.
    pub(super) fn address(&self, overlay: &mut Overlay<'_>, host: &str) -> Result<(), ValuesError> {
        let path = format!("{}externalURL", self.prefix);
        if overlay.is_given(&path) {
            return Ok(());
        }
        let tls = format!("{}expose.tls.enabled", self.prefix);
        let plain = text(overlay, &tls).and_then(|value| value.as_bool()) == Some(false);
        let scheme = if plain { "http" } else { "https" };
        overlay.set(&path, Value::from(format!("{scheme}://{host}")))?;
        Ok(())
    }

    /// Gives its ingress the registry's name, unless someone's values say one or it has none.
    pub(super) fn ingress(&self, overlay: &mut Overlay<'_>, registry: &Registry) -> Result<(), ValuesError> {
        let is_given = ["externalURL", "expose.ingress.hosts", "expose.route.hosts"]
            .iter()
            .any(|path| overlay.is_given(&format!("{}{path}", self.prefix)));
        if is_given {
            return Ok(());
        }
        let host = registry.as_str();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        match overlay.host(name) {
            Ok(_) | Err(IngressError::None | IngressError::Several(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the resource requests of its components.
    pub(super) fn resources(&self, overlay: &mut Overlay<'_>) -> Result<(), OverlayError> {
        for (component, resources) in RESOURCES {
            overlay.ask_for(&format!("{}{component}", self.prefix), resources)?;
        }
        Ok(())
    }

    /// Whether its scanner runs.
    pub(super) fn scans(&self, overlay: &Overlay<'_>) -> bool {
        text(overlay, &format!("{}trivy.enabled", self.prefix)).and_then(|value| value.as_bool())
            == Some(true)
    }

    /// Sets the source of its scanner's databases. Values that another version of the chart does not have are
    /// left out.
    pub(super) fn scanner(
        &self,
        overlay: &mut Overlay<'_>,
        databases: &TrivyDatabases,
        registry: &Registry,
    ) -> Result<(), OverlayError> {
        for (field, setting) in databases.settings(registry) {
            let path = format!("{}trivy.{field}", self.prefix);
            let value = match setting {
                TrivySetting::Is(is) => Value::Bool(is),
                TrivySetting::From(place) => match text(overlay, &path) {
                    Some(Value::String(_)) => Value::from(place),
                    _ => Value::strings([place]),
                },
            };
            overlay.set(&path, value)?;
        }
        Ok(())
    }
}

fn is_harbor(values: &Map) -> bool {
    let is_table = |key: &str| values.get(key).is_some_and(|value| value.as_map().is_some());
    values.get("externalURL").is_some_and(|value| value.as_str().is_some())
        && ["expose", "core", "registry"].into_iter().all(is_table)
}

/// The value at a path of keys.
fn text(overlay: &Overlay<'_>, path: &str) -> Option<Value> {
    let mut keys = path.split('.');
    let first = overlay.rendering().values.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.as_map()?.get(key))
}
