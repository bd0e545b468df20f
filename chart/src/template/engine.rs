use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Error;
use super::ast::{Source, Template};
use super::error::place;
use super::evaluator::{Evaluator, STACK};
use super::lexer::SyntaxError;
use super::parser::parse;
use crate::functions::Context;
use crate::limits::Budget;
use crate::{Limit, Limits, Map, MapType, Value};

/// One template file of a chart or of a chart it depends on.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The name as Helm gives it: the chart's full path and the file's, like
    /// `harbor/templates/core/core-dpl.yaml` or `loki/charts/minio/templates/_helpers.tpl`.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// What `.` is at its start. The templates of one chart share one map, as in Helm: what one of them
    /// `set`s the next one sees. `Template` is put into it by the engine.
    pub root: Map,
    /// `.Template.BasePath`: the chart's full path with `/templates`.
    pub base_path: String,
}

/// What a template wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The template's name.
    pub name: String,
    /// The text it wrote.
    pub text: String,
}

/// The templates of a chart and of all charts below it, in one namespace.
///
/// ```
/// use bundle_chart::{Engine, Limits, Map, TemplateSource, Value};
/// let source = TemplateSource {
///     name: "web/templates/pod.yaml".to_owned(),
///     text: "image: {{ .Values.image | quote }}".to_owned(),
///     root: Map::from_iter([("Values", Value::Map(Map::from_iter([("image", Value::from("nginx"))])))]),
///     base_path: "web/templates".to_owned(),
/// };
/// let rendered = Engine::new(vec![source], Limits::DEFAULT)?.render(None)?;
/// assert_eq!(rendered[0].text, "image: \"nginx\"");
/// # Ok::<(), bundle_chart::Error>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    files: Vec<File>,
    templates: HashMap<Arc<str>, Arc<Template>>,
    limits: Limits,
}

/// A file that is rendered.
#[derive(Debug)]
struct File {
    name: Arc<str>,
    root: Map,
    base_path: String,
}

impl Engine {
    /// Reads all templates, in Helm's order, so that of two `define`s with one name the same one wins.
    ///
    /// # Errors
    ///
    /// A template that cannot be read, or is larger than the limits allow.
    pub fn new(mut sources: Vec<TemplateSource>, limits: Limits) -> Result<Self, Error> {
        // Deep files come first, so that the charts further out override what those inside define.
        sources.sort_by(|left, right| {
            let key = |source: &TemplateSource| source.name.matches('/').count();
            key(right).cmp(&key(left)).then_with(|| right.name.cmp(&left.name))
        });
        let mut engine = Self { files: Vec::with_capacity(sources.len()), templates: HashMap::new(), limits };
        for source in sources {
            let name: Arc<str> = source.name.into();
            for template in read(&name, source.text.into(), &limits)? {
                add(&mut engine.templates, template);
            }
            let file_name = name.rsplit('/').next().unwrap_or_default();
            if !file_name.starts_with('_') {
                engine.files.push(File { name, root: source.root, base_path: source.base_path });
            }
        }
        Ok(engine)
    }

    /// Renders every template in Helm's order; partial ones (`_*`) write nothing and are left out.
    ///
    /// # Errors
    ///
    /// The first template that fails, or more than the limits or `deadline` allow.
    pub fn render(&self, deadline: Option<Instant>) -> Result<Vec<Rendered>, Error> {
        // Templates may nest deeper than the stack of a caller's thread allows.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("render".to_owned()).stack_size(STACK);
            let failed = |message: String| Error {
                template: String::new(),
                line: 1,
                column: 1,
                function: None,
                message,
                includes: Vec::new(),
            };
            match thread.spawn_scoped(scope, || self.render_here(deadline)) {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(error) => Err(failed(format!("no thread to render in: {error}"))),
            }
        })
    }

    fn render_here(&self, deadline: Option<Instant>) -> Result<Vec<Rendered>, Error> {
        let context = Context::new(Budget::new(self.limits, deadline));
        let mut evaluator = Evaluator::new(&self.templates, &context);
        let mut rendered = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let template = Map::from_iter([
                ("Name", Value::String(Arc::clone(&file.name))),
                ("BasePath", Value::from(file.base_path.as_str())),
            ]);
            file.root.insert("Template", Value::Map(template.as_type(MapType::Values)));
            let text = evaluator.render(&file.name, Value::Map(file.root.clone()))?;
            rendered.push(Rendered { name: file.name.to_string(), text });
        }
        Ok(rendered)
    }
}

/// Reads the templates of a text; the main one comes last.
pub(super) fn read(name: &Arc<str>, text: Arc<str>, limits: &Limits) -> Result<Vec<Arc<Template>>, Error> {
    let source = Arc::new(Source { name: Arc::clone(name), text });
    let parsed = match source.text.len() > limits.template {
        true => Err(SyntaxError::new(0, Limit::Template(limits.template).to_string())),
        false => parse(&source, name, limits.syntax_depth),
    };
    parsed.map_err(|error| {
        let (line, column) = place(&source.text, error.at);
        Error {
            template: name.to_string(),
            line,
            column,
            function: None,
            message: error.message,
            includes: Vec::new(),
        }
    })
}

/// Adds a template to those with names. One that is empty never replaces another.
pub(super) fn add(templates: &mut HashMap<Arc<str>, Arc<Template>>, template: Arc<Template>) {
    if template.is_empty() && templates.contains_key(&template.name) {
        return;
    }
    templates.insert(Arc::clone(&template.name), template);
}
