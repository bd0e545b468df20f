//! Renders all templates of a chart.
//! Takes [`TemplateSource`]s; gives their texts, with `include` and `tpl` among them, within [`Limits`].

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Instant;

use super::Error;
use super::ast::{Source, Template};
use super::error::place;
use super::evaluator::Evaluator;
use super::lexer::SyntaxError;
use super::parser::parse;
use super::trace::{self, FileTrace};
use crate::chart::File as ChartFile;
use crate::functions::{Context, DecodedTexts, Lookup};
use crate::limits::{Budget, STACK};
use crate::{Limit, Limits, Map, MapType, Value};

/// One template file of a chart or of a chart it depends on.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The name as Helm gives it: the chart's full path and the file's, like
    /// `harbor/templates/core/core-dpl.yaml` or `loki/charts/minio/templates/_helpers.tpl`.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// The value of `.` at its start. The templates of one chart share one map, as in Helm: a template sees
    /// the values that an earlier one `set`s. `Template` is put into it by the engine.
    pub root: Map,
    /// `.Template.BasePath`: the chart's full path with `/templates`.
    pub base_path: String,
}

/// The output of a template.
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
    program: Arc<Program>,
    limits: Limits,
    texts: Arc<DecodedTexts>,
}

/// A file that is rendered.
#[derive(Debug)]
struct File {
    name: Arc<str>,
    root: Map,
    base_path: String,
}

/// All templates of a tree of charts as they were read: what many renderings of it have in common.
#[derive(Debug, Default)]
pub(crate) struct Program {
    templates: HashMap<Arc<str>, Arc<Template>>,
    /// The files that are rendered, in Helm's order, and the path of the chart that each is of.
    files: Vec<(Arc<str>, String)>,
    /// Their names.
    names: HashSet<Arc<str>>,
}

/// Files, and texts in them, that were read before. A chart with one part switched on has most files in common with itself,
/// and many charts inside one chart have the same library inside them.
#[derive(Clone, Debug, Default)]
pub struct TemplateCache {
    files: Arc<Mutex<Files>>,
    texts: Arc<DecodedTexts>,
}

/// The files that were read before, by the address of their bytes.
type Files = HashMap<usize, Known>;

/// A text that was read, with its bytes, so that their place stays theirs.
#[derive(Debug)]
struct Known {
    _file: ChartFile,
    /// Its templates under the name of each file that has this text.
    files: HashMap<Arc<str>, Vec<Arc<Template>>>,
    /// How many nodes it has.
    nodes: usize,
}

impl Known {
    /// The templates as those of another file with the same text.
    fn of_file(&mut self, name: &Arc<str>) -> Vec<Arc<Template>> {
        if let Some(templates) = self.files.get(name) {
            return templates.clone();
        }
        let Some((first, templates)) = self.files.iter().next() else { return Vec::new() };
        let mut source = None;
        let renamed = |template: &Arc<Template>| {
            let source = source.get_or_insert_with(|| {
                Arc::new(Source { name: Arc::clone(name), text: Arc::clone(&template.source.text) })
            });
            Arc::new(Template {
                name: Arc::clone(if template.name == *first { name } else { &template.name }),
                source: Arc::clone(source),
                body: Arc::clone(&template.body),
                variables: template.variables,
            })
        };
        let templates: Vec<_> = templates.iter().map(renamed).collect();
        self.files.insert(Arc::clone(name), templates.clone());
        templates
    }
}

/// A template file whose text may have been read before.
pub(crate) struct ProgramFile {
    pub(crate) name: String,
    pub(crate) file: ChartFile,
    /// The full path of its chart.
    pub(crate) chart: String,
}

impl Program {
    /// Reads all templates, in Helm's order, so that of two `define`s with one name the same one wins.
    ///
    /// # Errors
    ///
    /// A template that cannot be read, or is larger than the limits allow.
    pub(crate) fn read(
        mut sources: Vec<ProgramFile>,
        limits: &Limits,
        parsed: &TemplateCache,
    ) -> Result<Self, Error> {
        sort(&mut sources, |source| &source.name);
        let room = Cell::new(limits.syntax_nodes);
        let mut program = Self::default();
        let mut known = parsed.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Equal files count once.
        let mut counted = HashSet::new();
        for source in sources {
            let name: Arc<str> = source.name.into();
            let key = source.file.address();
            let is_first = counted.insert(key);
            let templates = match known.get_mut(&key) {
                Some(known) if !is_first || known.nodes <= room.get() => {
                    room.set(room.get() - if is_first { known.nodes } else { 0 });
                    known.of_file(&name)
                }
                _ => {
                    let before = room.get();
                    let templates = read(&name, source.file.shared_text(), limits, &room)?;
                    let nodes = before.saturating_sub(room.get());
                    let files = HashMap::from([(Arc::clone(&name), templates.clone())]);
                    known.insert(key, Known { _file: source.file, files, nodes });
                    templates
                }
            };
            for template in templates {
                add(&mut program.templates, template);
            }
            if is_rendered(&name) {
                program.names.insert(Arc::clone(&name));
                program.files.push((name, source.chart));
            }
        }
        Ok(program)
    }

    /// The full paths of the charts of the files that are `wanted`.
    pub(crate) fn homes(&self, wanted: &dyn Fn(&str) -> bool) -> BTreeSet<&str> {
        self.files.iter().filter(|(name, _)| wanted(name)).map(|(_, chart)| chart.as_str()).collect()
    }

    /// Whether a file is among those that are rendered.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// Deep files come first, so that the charts further out override what those inside define.
fn sort<T>(sources: &mut [T], name: impl Fn(&T) -> &str) {
    sources.sort_by_cached_key(|source| {
        let name = name(source).to_owned();
        std::cmp::Reverse((name.matches('/').count(), name))
    });
}

/// Partial templates, whose names start with `_`, write nothing.
fn is_rendered(name: &str) -> bool {
    !name.rsplit('/').next().unwrap_or_default().starts_with('_')
}

impl Engine {
    /// Reads all templates, in Helm's order, so that of two `define`s with one name the same one wins.
    ///
    /// # Errors
    ///
    /// A template that cannot be read, or is larger than the limits allow.
    pub fn new(mut sources: Vec<TemplateSource>, limits: Limits) -> Result<Self, Error> {
        sort(&mut sources, |source| &source.name);
        let room = Cell::new(limits.syntax_nodes);
        let (mut files, mut program) = (Vec::with_capacity(sources.len()), Program::default());
        for source in sources {
            let name: Arc<str> = source.name.into();
            for template in read(&name, source.text.into(), &limits, &room)? {
                add(&mut program.templates, template);
            }
            if is_rendered(&name) {
                files.push(File { name, root: source.root, base_path: source.base_path });
            }
        }
        Ok(Self { files, program: Arc::new(program), limits, texts: Arc::default() })
    }

    /// The files of a program that are `wanted`, each with what `.` is in its chart.
    pub(crate) fn of(
        program: &Arc<Program>,
        roots: &HashMap<String, Map>,
        limits: Limits,
        parsed: &TemplateCache,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Self {
        let file = |(name, chart): &(Arc<str>, String)| {
            let root = roots.get(chart).filter(|_| wanted(name))?.clone();
            Some(File { name: Arc::clone(name), root, base_path: format!("{chart}/templates") })
        };
        let files = program.files.iter().filter_map(file).collect();
        Self { files, program: Arc::clone(program), limits, texts: Arc::clone(&parsed.texts) }
    }

    /// Renders every template in Helm's order; partial ones (`_*`) write nothing and are left out.
    ///
    /// # Errors
    ///
    /// The first template that fails, or more than the limits or `deadline` allow.
    pub fn render(&self, deadline: Option<Instant>) -> Result<Vec<Rendered>, Error> {
        let mut rendered = Vec::with_capacity(self.files.len());
        std::thread::scope(|scope| {
            let render =
                || self.render_here(deadline, Lookup::Nothing, Tracing::Off, &mut |file| rendered.push(file));
            join(with_stack(scope, render)?)
        })?;
        Ok(rendered)
    }

    /// As [`Engine::render`], with what each file read, if that is wanted. The text of each is given to
    /// `see` as soon as it is there. Only on a thread of [`with_stack`].
    pub(crate) fn render_here(
        &self,
        deadline: Option<Instant>,
        lookup: Lookup,
        tracing: Tracing,
        see: &mut dyn FnMut(Rendered),
    ) -> Result<Vec<FileTrace>, Error> {
        let context = Context::new(Budget::new(self.limits, deadline), lookup, Arc::clone(&self.texts));
        let mut evaluator = Evaluator::new(&self.program.templates, &context);
        let mut traces = Vec::new();
        for file in &self.files {
            let template = Map::from_iter([
                ("Name", Value::String(Arc::clone(&file.name))),
                ("BasePath", Value::from(file.base_path.as_str())),
            ]);
            file.root.insert("Template", Value::Map(template.as_type(MapType::Values)));
            if tracing == Tracing::On {
                trace::start(&file.name);
            }
            let text = evaluator.render(&file.name, Value::Map(file.root.clone()));
            traces.extend(trace::finish());
            see(Rendered { name: file.name.to_string(), text: text? });
        }
        Ok(traces)
    }
}

/// Starts work that renders, on a thread of its own: templates may nest deeper than the stack of others
/// allows.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn with_stack<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<ScopedJoinHandle<'s, T>, Error> {
    let thread = std::thread::Builder::new().name("render".to_owned()).stack_size(STACK);
    thread.spawn_scoped(scope, work).map_err(|error| Error {
        template: String::new(),
        line: 1,
        column: 1,
        function: None,
        message: format!("no thread to render in: {error}"),
        includes: Vec::new(),
    })
}

/// The result of a thread, or its panic.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether it is noted what templates read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracing {
    On,
    Off,
}

/// Reads the templates of a text; the main one comes last.
pub(super) fn read(
    name: &Arc<str>,
    text: Arc<str>,
    limits: &Limits,
    room: &Cell<usize>,
) -> Result<Vec<Arc<Template>>, Error> {
    let source = Arc::new(Source { name: Arc::clone(name), text });
    let parsed = match source.text.len() > limits.template {
        true => Err(SyntaxError::new(0, Limit::Template(limits.template).to_string())),
        false => parse(&source, name, limits, room),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sources<const N: usize>(files: [(&str, &str); N]) -> Vec<TemplateSource> {
        let values = Map::from_iter([("a", Value::from("text")), ("n", Value::Float(3.0))]);
        let root = Map::from_iter([("Values", Value::Map(values.as_type(MapType::Values)))]);
        let source = |(name, text): (&str, &str)| TemplateSource {
            name: name.to_owned(),
            text: text.to_owned(),
            root: root.clone(),
            base_path: "c/templates".to_owned(),
        };
        files.into_iter().map(source).collect()
    }

    fn rendered<const N: usize>(files: [(&str, &str); N], limits: Limits) -> Result<Vec<Rendered>, Error> {
        Engine::new(sources(files), limits)?.render(None)
    }

    fn one(text: &str) -> Result<String, Error> {
        rendered([("c/templates/t.yaml", text)], Limits::DEFAULT).map(|mut files| files.remove(0).text)
    }

    #[test]
    fn charts_further_out_override_what_those_inside_define() {
        let files = rendered(
            [
                ("c/templates/_a.tpl", r#"{{ define "x" }}outer{{ end }}"#),
                ("c/charts/d/templates/_a.tpl", r#"{{ define "x" }}inner{{ end }}"#),
                ("c/charts/d/templates/b.yaml", r#"{{ include "x" . }}"#),
                ("c/templates/z.yaml", r#"{{ define "y" }}z{{ end }}{{ include "y" . }}"#),
                ("c/templates/a.yaml", r#"{{ define "y" }}a{{ end }}{{ define "x" }} {{ end }}"#),
            ],
            Limits::DEFAULT,
        );
        let texts: Vec<_> = files.unwrap().into_iter().map(|file| (file.name, file.text)).collect();
        let expected = [
            ("c/charts/d/templates/b.yaml", "outer"),
            // Of two files at one depth the first by name is read last; an empty one replaces nothing.
            ("c/templates/z.yaml", "a"),
            ("c/templates/a.yaml", ""),
        ];
        assert_eq!(texts, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn equal_files_are_read_once_and_keep_their_own_names() {
        let text = r#"{{ define "x" }}{{ .Values.a }}{{ end }}{{ include "x" . }}"#;
        let file = ChartFile::new("templates/t.yaml", text.as_bytes().to_vec());
        let source = |chart: &str| ProgramFile {
            name: format!("{chart}/templates/t.yaml"),
            file: file.clone(),
            chart: chart.to_owned(),
        };
        let names = ["c/charts/d/templates/t.yaml", "c/templates/t.yaml"];
        let parsed = TemplateCache::default();
        // Room for one of them.
        let limits = Limits { syntax_nodes: 12, ..Limits::DEFAULT };
        let read = || Program::read(vec![source("c"), source("c/charts/d")], &limits, &parsed).unwrap();
        for program in [read(), read()] {
            let [inner, outer] = names.map(|name| Arc::clone(&program.templates[name]));
            assert!(Arc::ptr_eq(&inner.body, &outer.body));
            assert_eq!([&*inner.source.name, &*outer.source.name], names);
            assert_eq!(&*program.templates["x"].source.name, names[1]);
        }
    }

    #[test]
    fn what_one_template_sets_the_next_one_sees() {
        let files = rendered(
            [
                ("c/templates/b.yaml", r#"{{ $_ := set .Values "new" .Template.Name }}"#),
                ("c/templates/a.yaml", "{{ .Values.new }} {{ .Template.Name }} {{ .Template.BasePath }}"),
            ],
            Limits::DEFAULT,
        );
        assert_eq!(files.unwrap()[1].text, "c/templates/b.yaml c/templates/a.yaml c/templates");
    }

    #[test]
    fn what_tpl_defines_is_known_inside_it_only() {
        let text = r#"{{ define "x" }}file{{ end }}{{ tpl "{{ define \"x\" }}tpl{{ end }}{{ include \"x\" . }}" . }} {{ include "x" . }}"#;
        assert_eq!(one(text).unwrap(), "tpl file");
    }

    #[test]
    fn errors_say_where_and_how_it_came_there() {
        let helpers = "{{ define \"image\" -}}\n  {{- required \"set\\n image\" .Values.image }}\n{{- end }}";
        let files = [
            ("c/templates/_h.tpl", helpers),
            ("c/templates/t.yaml", "a: 1\nimage: {{ include \"image\" . | quote }}\n"),
        ];
        let error = rendered(files, Limits::DEFAULT).unwrap_err();
        let include = |template: &str, line, name: &str| super::super::Include {
            template: template.to_owned(),
            line,
            name: name.to_owned(),
        };
        assert_eq!(
            error,
            Error {
                template: "c/templates/_h.tpl".to_owned(),
                line: 2,
                column: 7,
                function: Some("required".to_owned()),
                message: "set image".to_owned(),
                includes: vec![include("c/templates/t.yaml", 2, "image")],
            }
        );
        assert_eq!(error.to_string(), "c/templates/_h.tpl:2:7: set image");
        let error = one("é {{ upper .Values.n }}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "c/templates/t.yaml:1:12: upper: wrong type for value; expected string; got float64"
        );
        let error = one("{{ tpl \"{{ .Values.none.x }}\" . }}").unwrap_err();
        assert_eq!(error.to_string(), "gotpl:1:4: nil pointer evaluating interface {}.x");
        assert_eq!(error.includes, [include("c/templates/t.yaml", 1, "tpl")]);
    }

    #[test]
    fn two_renderings_are_the_same() {
        let text = "{{ randAlphaNum 9 }}{{ uuidv4 }}{{ now }}{{ (genCA \"x\" 1).Cert }}{{ htpasswd \"u\" \"p\" }}{{ shuffle \"abc\" }}";
        assert_eq!(one(text).unwrap(), one(text).unwrap());
    }

    /// Each is refused, and fast; none overflows the stack or fills the memory.
    #[test]
    fn templates_without_end_are_refused_within_the_limits() {
        let limits = Limits { steps: 200_000, bytes: 4 << 20, ..Limits::DEFAULT };
        let parentheses = format!(
            "{{{{ define \"r\" }}}}{{{{ {}include \"r\" .{} }}}}{{{{ end }}}}{{{{ include \"r\" . }}}}",
            "(".repeat(190),
            ")".repeat(190)
        );
        let blocks = format!(
            "{{{{ define \"r\" }}}}{}{{{{ template \"r\" . }}}}{}{{{{ end }}}}{{{{ include \"r\" . }}}}",
            "{{ range list 1 }}{{ with $ }}".repeat(90),
            "{{ end }}{{ end }}".repeat(90)
        );
        let cases = [
            (
                r#"{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}"#,
                "more than 1000 templates inside each other",
            ),
            (
                r#"{{ define "r" }}{{ template "r" . }}{{ end }}{{ include "r" . }}"#,
                "more than 1000 templates inside each other",
            ),
            (
                r#"{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
                "more than 1000 templates",
            ),
            (r#"{{ $t := "{{ tpl . . }}" }}{{ tpl $t $t }}"#, "more than 1000 templates"),
            (parentheses.as_str(), "inside each other"),
            (blocks.as_str(), "inside each other"),
            ("{{ range until 1000000000 }}{{ end }}", "more than"),
            ("{{ range 1000000000 }}{{ end }}", "more than"),
            ("{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}", "more than"),
            (r#"{{ $x := "ab" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}"#, "more than"),
            (r#"{{ $x := "ab" }}{{ range 100 }}{{ $x = replace "a" "aaaa" $x }}{{ end }}"#, "more than"),
            (r#"{{ $x := "a\n" }}{{ range 100 }}{{ $x = indent 1000000 $x }}{{ end }}"#, "more than"),
            (r#"{{ repeat 1000000000 "abc" }}"#, "more than"),
            (r#"{{ randAlphaNum 1000000000 }}"#, "more than"),
            (r#"{{ printf "%1000000d%1000000d%1000000d%1000000d%1000000d" 1 1 1 1 1 }}"#, "more than"),
            (
                r#"{{ $x := list 1 }}{{ range 100 }}{{ $x = list $x $x }}{{ end }}{{ toYaml $x }}"#,
                "more than",
            ),
            (
                r#"{{ $x := dict "a" 1 }}{{ range 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ deepCopy $x }}"#,
                "more than",
            ),
            (r#"{{ $x := list 1 }}{{ range 60 }}{{ $x = concat $x $x }}{{ end }}"#, "more than"),
            ("{{ until 190000 }}", "more than"),
            (r#"{{ $d := dict }}{{ range 100000 }}{{ $_ := set $d (print .) . }}{{ end }}"#, "more than"),
            (r#"{{ fromYaml (repeat 100000 "- a\n") }}"#, "more than"),
            (r#"{{ fromJson (printf "[%s1]" (repeat 100000 "1,")) }}"#, "more than"),
            (
                r#"{{ printf "%.999999f%.999999e" 1.5 1.5 | len }}{{ printf "%1000000d%1000000d%1000000d" 1 2 3 }}"#,
                "more than",
            ),
            (
                r#"{{ range 100000 }}{{ tpl (printf "{{ %d }}%s" . (repeat 10 "{{ 1 }}")) $ }}{{ end }}"#,
                "more than",
            ),
            (r#"{{ range 1000 }}{{ regexMatch (printf "a{%d}" .) "a" }}{{ end }}"#, "more than"),
            (r#"{{ $x := repeat 1000000 "a" }}{{ range 1000 }}{{ contains "b" $x }}{{ end }}"#, "more than"),
            (r#"{{ $x := dict }}{{ $_ := set $x "x" $x }}{{ toYaml $x }}"#, "nests deeper than 200"),
            (r#"{{ $x := dict }}{{ $_ := set $x "x" $x }}{{ $x }}"#, "nests deeper than 200"),
            (r#"{{ $x := dict }}{{ $_ := set $x "x" $x }}{{ toJson $x }}"#, "nests deeper than 200"),
            (r#"{{ $x := dict }}{{ $_ := set $x "x" $x }}{{ $y := deepCopy $x }}"#, "nests deeper than 200"),
            (
                r#"{{ $x := dict }}{{ $_ := set $x "x" $x }}{{ $y := dict }}{{ $_ := set $y "x" $y }}{{ $_ := merge $x $y }}"#,
                "nests deeper than 200",
            ),
            (r#"{{ regexReplaceAll "" (repeat 1000 "a") (repeat 100000 "b") }}"#, "more than"),
            (
                r#"{{ regexMatch "(((((a{1,100}){1,100}){1,100}){1,100}){1,100})" "a" | ternary "" (fail "too large") }}"#,
                "too large",
            ),
        ];
        for (text, expected) in cases {
            let error = rendered([("c/templates/t.yaml", text)], limits);
            let error = error.expect_err(&text[..text.len().min(120)]);
            assert!(error.message.contains(expected), "{}: {error}", &text[..text.len().min(120)]);
        }
        let deep = format!("{}{}", "{{ if true }}".repeat(10_000), "{{ end }}".repeat(10_000));
        assert!(one(&deep).unwrap_err().message.contains("inside each other"));
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(one(&deep).unwrap_err().message.contains("inside each other"));
        let large = " ".repeat(limits.template + 1);
        assert!(one(&large).unwrap_err().message.contains("template of more than"));
    }

    #[test]
    fn the_deepest_nesting_that_is_allowed_fits_the_stack() {
        let limits = Limits { include_depth: usize::MAX, ..Limits::DEFAULT };
        for body in [
            format!("{{{{ {}include \"r\" .{} }}}}", "(".repeat(190), ")".repeat(190)),
            format!(
                "{}{{{{ template \"r\" . }}}}{}",
                "{{ range list 1 }}{{ with $ }}".repeat(90),
                "{{ end }}{{ end }}".repeat(90)
            ),
            "{{ tpl \"{{ include \\\"r\\\" . }}\" . }}".to_owned(),
            "{{ (include \"r\" .).a.b.c | quote }}".to_owned(),
        ] {
            let text = format!("{{{{ define \"r\" }}}}{body}{{{{ end }}}}{{{{ include \"r\" . }}}}");
            let error = rendered([("c/templates/t.yaml", text.as_str())], limits).unwrap_err();
            assert!(error.message.contains("more than 8000 blocks"), "{error}");
        }
    }

    proptest::proptest! {
        /// Renders or refuses any template without a panic.
        #[test]
        fn no_template_breaks_the_engine(parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..40)) {
            let limits = Limits { steps: 10_000, bytes: 1 << 20, ..Limits::DEFAULT };
            let text = parts.concat();
            let _ = rendered([("c/templates/t.yaml", text.as_str())], limits);
        }
    }

    const PARTS: &[&str] = &[
        "{{",
        "}}",
        "{{",
        "}}",
        "{{ ",
        " }}",
        "{{- ",
        " -}}",
        " ",
        "\n",
        "-",
        "if ",
        "else ",
        "end",
        "{{ end }}",
        "range ",
        "with ",
        "define \"x\"",
        "template \"x\" ",
        "block \"x\" ",
        "break",
        "continue",
        "nil",
        "true ",
        "$x",
        "$",
        ":=",
        "=",
        ",",
        ".",
        ".Values",
        ".a",
        "(",
        ")",
        "|",
        "1",
        "-1.5",
        "0x",
        "'c'",
        "\"s\"",
        "`r`",
        "\\",
        "/*",
        "*/",
        "include \"x\" ",
        "upper ",
        "printf \"%d %[3]*.[2]*f\" ",
        "tpl ",
        "list ",
        "dict ",
        "index ",
        "slice ",
        "trunc ",
        "substr ",
        "abbrevboth ",
        "set ",
        "é",
        "text",
    ];

    #[test]
    fn a_deadline_ends_a_rendering() {
        let engine =
            Engine::new(sources([("c/templates/t.yaml", "{{ range 10000000 }}{{ end }}")]), Limits::DEFAULT);
        let error = engine.unwrap().render(Some(Instant::now())).unwrap_err();
        assert_eq!(error.message, "the time is over");
    }
}
