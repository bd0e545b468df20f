//! The reports of `images` and `images --why`. Takes charts and their images, gives a model with the place
//! that asks for each.

use std::collections::BTreeMap;

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::table::{Align, Table};
use crate::{Report, count};

/// `images`: the images that lists and charts ask for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImagesReport {
    /// The images of lists and of bundle.yaml itself.
    pub listed: Vec<ListedEntry>,
    /// The charts and their images.
    pub charts: Vec<ChartEntry>,
}

/// An image of a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ListedEntry {
    /// The reference.
    pub image: String,
    /// The target at the destination.
    pub target: String,
    /// The places that ask for it.
    pub why: Vec<String>,
}

/// A chart or a directory of manifests.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartEntry {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The place that asks for it.
    pub why: String,
    /// The reference of the chart; null for manifests.
    pub source: Option<String>,
    /// The target of the chart; null for manifests.
    pub target: Option<String>,
    /// The images that the program could not be sure of.
    pub warnings: Vec<String>,
    /// Its images.
    pub images: Vec<ChartImageEntry>,
    /// Its name for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub label: String,
}

/// An image that a chart asks for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartImageEntry {
    /// The reference.
    pub image: String,
    /// How it is asked for: the grade of the find.
    pub grade: String,
    /// The values that switch it on.
    pub switches: Vec<String>,
    /// Other references that the same text may mean.
    pub readings: Vec<String>,
    /// certain or probable.
    pub certainty: String,
    /// Whether the rendered manifests ask for it.
    pub rendered: bool,
    /// The registry's answer: "not asked", found, "not found", "other platforms", refused or unreachable.
    pub registry: String,
    /// Why it is left out; null if it is carried.
    pub left_out: Option<String>,
    /// Whether an exclude leaves it out.
    pub excluded: bool,
    /// Whether the bundle carries it.
    pub carried: bool,
    /// The target at the destination.
    pub target: String,
    /// The places in the chart.
    pub why: Vec<String>,
}

impl Report for ImagesReport {
    fn text(&self) -> String {
        let mut text = String::new();
        let heads = [("FOUND", Align::Left), ("IMAGE", Align::Left), ("REQUESTED BY", Align::Left)];
        let mut table = Table::new(heads);
        for ListedEntry { image, why, .. } in &self.listed {
            table.row(["listed".to_owned(), image.clone(), why.join(", ")], []);
        }
        text.push_str(&table.text());
        for chart in &self.charts {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!(
                "{gap}{} ({}): {}\n",
                chart.label,
                Printable(&chart.why),
                count(chart.images.len(), "image")
            ));
            let mut table = Table::new(heads);
            chart.images.iter().for_each(|image| table.row(image.cells(), []));
            text.push_str(&table.text());
        }
        text
    }
}

impl ChartImageEntry {
    /// The cells for an image: how it is asked for, its name, and remarks.
    fn cells(&self) -> [String; 3] {
        let mut remarks = Vec::new();
        if let (true, Some(switch)) = (self.grade == "switched", self.switches.first()) {
            remarks.push(format!("once {switch}"));
        }
        if !self.readings.is_empty() && self.registry == "not asked" && !self.excluded {
            remarks.push(format!("or {}", self.readings.join(", ")));
        }
        remarks.extend(self.left_out.iter().map(|why| format!("left out: {why}")));
        remarks.extend(self.why.first().cloned());
        [self.grade.clone(), self.image.clone(), remarks.join("; ")]
    }
}

/// `images --why IMAGE`: the places that ask for one image, by reference.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct WhyReport {
    /// The places, by reference.
    pub places: BTreeMap<String, Vec<String>>,
}

impl Report for WhyReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for (image, places) in &self.places {
            text.push_str(&format!("{image}\n"));
            places.iter().for_each(|place| text.push_str(&format!("  {place}\n")));
        }
        text
    }
}
