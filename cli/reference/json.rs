//! docs/reference/json.md: every field of every report, from the models' own schemas.
//! Takes each model's schema, gives Markdown.

use bundle_report as report;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// The page.
pub(crate) fn json() -> String {
    let mut page = Page { text: format!("{}{HEAD}", super::MADE), generator: SchemaGenerator::default() };
    page.add::<report::CreateReport>();
    page.add::<report::PlanReport>();
    page.add::<report::UnchangedReport>();
    page.add::<report::LockReport>();
    page.add::<report::ImagesReport>();
    page.add::<report::ConvertReport>();
    page.add::<report::WhyReport>();
    page.add::<report::VerifyReport>();
    page.add::<report::VerifySetReport>();
    page.add::<report::RepairReport>();
    page.add::<report::ExpandReport>();
    page.add::<report::InspectReport>();
    page.add::<report::InspectSetReport>();
    page.add::<report::DiffReport>();
    page.add::<report::ReviewReport>();
    page.add::<report::WrittenReport>();
    page.add::<report::BundleScanReport>();
    page.add::<report::ImportReport>();
    page.add::<report::ImportSetReport>();
    page.add::<report::PartReport>();
    page.add::<report::StepsReport>();
    page.add::<report::RepositoriesReport>();
    page.add::<report::OutlookReport>();
    page.add::<report::ReceiptReport>();
    page.add::<report::ReceiptSetReport>();
    page.add::<report::ShortReceiptReport>();
    page.add::<report::ShortReceiptSetReport>();
    page.add::<report::ExtractReport>();
    page.add::<report::FilesReport>();
    page.add::<report::MirrorConfigReport>();
    page.add::<report::NodeReport>();
    page.add::<report::DoctorReport>();
    page.add::<report::AccessReport>();
    page.add::<report::ExportReport>();
    page.add::<report::SyncImportReport>();
    page.add::<report::RecordedStreamsReport>();
    page.add::<report::ExportedStreamReport>();
    page.add::<report::StreamRepairReport>();
    page.add::<report::WhereReport>();
    page.add::<report::ReceiptLogReport>();
    page.add::<report::PruneReport>();
    page.add::<report::CheckReport>();
    page.add::<report::DriftReport>();
    page.add::<report::RescanReport>();
    page.add::<report::BootstrapReport>();
    page.add::<report::RotateReport>();
    page.add::<report::ValuesReport>();
    page.add::<report::FileReport>();
    page.add::<report::SchemaCheckReport>();
    page.add::<report::ConfigReport>();
    page.add::<report::SupportReport>();
    page.add::<report::KeyReport>();
    page.add::<report::SignReport>();
    page.add::<report::SignSetReport>();
    page.add::<report::TrustListReport>();
    page.add::<report::TrustReport>();
    page.add::<report::RevokeReport>();
    page.add::<report::RequireReport>();
    page.add::<report::RotationReport>();
    page.add::<report::AcceptReport>();
    page.add::<report::LoginReport>();
    page.add::<report::LogoutReport>();
    page.add::<report::CompletionReport>();
    page.add::<report::ProgressReport>();
    page.add::<report::ErrorReport>();
    page.shared()
}

const HEAD: &str = "# JSON output

Every command takes `--json` and then prints one JSON object on standard output. It has the field `reportVersion`, \
which is 1, beside those below. Fields may be added; a field that is taken away or gets another meaning raises the \
version. Sizes are bytes, durations are seconds, times are RFC 3339 in UTC. Errors are JSON on standard error: \
[exit-codes.md](exit-codes.md). `bundle schema` without `--check` prints a JSON Schema and no report; `serve` prints one \
object per line.

## Several files

`verify`, `inspect`, `sign`, `import`, `receipt show`, `receipt short` and `schema --check` take several files. With one file, the object is that \
file's report. With several, it is one object with a list of the reports, in the order of the command line, and `failed`: \
the files that failed, each with the identifier and the exit code that it has alone. A file that fails hides none of the \
others. The program ends with the gravest of their [codes](exit-codes.md).

`import` goes on with the next bundle only after the codes 5, 6 and 8, which are of one bundle alone. After any other \
failure the remaining files are listed in `notTried`.

## Recipes for jq

The bundles that must not be used:

```sh
bundle verify a.tar b.tar --json | jq -r '.failed[] | [.file, .id] | @tsv'
```

The images in a bundle, with their digests:

```sh
bundle inspect a.tar --json | jq -r '.artifacts[] | [.source, .digest] | @tsv'
```

The ten largest images in it, with what each takes alone:

```sh
bundle inspect a.tar --json | jq -r '[.artifacts[]] | sort_by(-.ownSize) | .[:10][] | [.ownSize, .source] | @tsv'
```

The newest bundle of several, by its number in the stream:

```sh
bundle inspect a.tar b.tar --json | jq -r '.bundles | max_by(.sequence) | .file'
```

The tags that move with the next bundle, and its new bytes:

```sh
bundle diff a.tar b.tar --trust key.pub --json | jq -r '.diff | (.changes[] | select(.change == \"moved\") | .target), .newBytes'
```

What an import would push:

```sh
bundle import a.tar --to harbor.example --dry-run --json | jq -r '.steps[] | select(.decision == \"push\") | .target'
```

The identifier of an error, for a script that tells stale from damaged:

```sh
bundle verify damaged.tar --json 2>&1 >/dev/null | jq -rR 'fromjson? | .error.id'
```

The images of a receipt that are in place:

```sh
bundle receipt show r.json --json | jq -r '.receipt.artifacts[] | [.outcome, .target.project, .target.repository] | @tsv'
```
";

struct Page {
    text: String,
    generator: SchemaGenerator,
}

impl Page {
    fn add<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(&mut self.generator);
        self.entry(&T::schema_name(), &schema);
    }

    /// The types that several reports have in common, or that reports consist of.
    fn shared(mut self) -> String {
        self.text.push_str("\n# Parts of reports\n");
        let mut parts: Vec<(String, Value)> = self.generator.take_definitions(true).into_iter().collect();
        parts.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, part) in parts {
            if let Ok(schema) = Schema::try_from(part) {
                self.entry(&name, &schema);
            }
        }
        self.text
    }

    fn entry(&mut self, name: &str, schema: &Schema) {
        let value = schema.as_value();
        self.text.push_str(&format!("\n## {name}\n\n{}\n", description(value)));
        let variants = value["oneOf"].as_array().into_iter().flatten();
        for variant in variants {
            match variant["properties"]["change"]["const"].as_str().or(variant["const"].as_str()) {
                Some(word) if variant["properties"].is_object() => {
                    self.text.push_str(&format!("\n`{word}`: {}\n", description(variant)));
                    self.fields(variant);
                }
                Some(word) => self.text.push_str(&format!("\n- `\"{word}\"`: {}", description(variant))),
                None => {}
            }
        }
        if value["oneOf"].is_array() {
            self.text.push('\n');
        }
        self.fields(value);
    }

    fn fields(&mut self, schema: &Value) {
        let mut fields = Vec::new();
        collect(schema, &mut fields);
        if fields.is_empty() {
            if schema["additionalProperties"].is_object() {
                self.text.push_str(&format!(
                    "\nAn object; each field is {}.\n",
                    kind(&schema["additionalProperties"])
                ));
            }
            return;
        }
        self.text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
        for (name, field, required) in fields {
            let optional = if required { "" } else { ", optional" };
            self.text.push_str(&format!(
                "| `{name}` | {}{optional} | {} |\n",
                kind(field),
                description(field)
            ));
        }
    }
}

/// The fields of an object, those of flattened parts included.
fn collect<'a>(schema: &'a Value, fields: &mut Vec<(&'a str, &'a Value, bool)>) {
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
    if let Some(properties) = schema["properties"].as_object() {
        fields.extend(properties.iter().map(|(name, field)| (name.as_str(), field, required(name))));
    }
}

fn description(schema: &Value) -> String {
    if schema["const"].is_string() && schema["description"].is_null() {
        return "Tells which form it is.".to_owned();
    }
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// The type of a field, in a word.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(either) = schema["anyOf"].as_array() {
        return either.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`\"{word}\"`");
    }
    match &schema["type"] {
        Value::String(word) if word == "array" && schema["items"].is_object() => {
            format!("array of {}", kind(&schema["items"]))
        }
        Value::String(word) if word == "object" && schema["additionalProperties"].is_object() => {
            format!("object of {}", kind(&schema["additionalProperties"]))
        }
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            match words.contains(&"array") && schema["items"].is_object() {
                true => format!("array of {} or null", kind(&schema["items"])),
                false => words.join(" or "),
            }
        }
        _ => "any".to_owned(),
    }
}
