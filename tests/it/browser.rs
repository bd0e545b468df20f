//! A real browser for tests of pages: Debian's Chromium, without a window. Takes a page's HTML; gives what it looks like:
//! its measures at a width, its text with colours, its headings, its keyboard order, pictures and print.
//!
//! The page stands in a frame of the wanted width, and a page around it measures it: the page itself may forbid scripts, and
//! Chromium makes no window narrower than 500 pixels.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

/// Chromium, with a profile of its own.
pub(crate) struct Browser {
    program: PathBuf,
    directory: TempDir,
}

/// What a page looks like at one width.
#[derive(Debug, Deserialize)]
pub(crate) struct Looks {
    /// The width in pixels that the page has to itself.
    pub(crate) width: f64,
    /// The width that its contents take: more than `width` if it scrolls sideways.
    pub(crate) scroll_width: f64,
    /// Texts that stand outside the page, to the left or right, with their right edges.
    pub(crate) outside: Vec<(String, f64)>,
    /// The levels and texts of the headings, in their order.
    pub(crate) headings: Vec<(u8, String)>,
    /// The texts of all rows of tables that are seen, those of heads among them.
    pub(crate) rows: Vec<String>,
    /// What the Tab key reaches, in its order: texts of links, labels or names of controls.
    pub(crate) stops: Vec<String>,
    /// Each pair of colours that text has, once.
    pub(crate) colours: Vec<Colours>,
    /// Where the page wanted to load something from.
    pub(crate) resources: Vec<String>,
}

/// The contrast that text of ordinary size needs (WCAG 2.2, §1.4.3, level AA).
const LEAST_CONTRAST: f64 = 4.5;

impl Looks {
    /// Whatever the page is about: nothing runs over its edge, nothing is loaded, headings follow each other by one level,
    /// and all text has contrast.
    #[track_caller]
    pub(crate) fn are_readable(&self) {
        let width = self.width;
        assert!(self.scroll_width <= width, "{width}: {}", self.scroll_width);
        assert!(self.outside.is_empty(), "{width}: {:?}", self.outside);
        assert!(self.resources.is_empty(), "{:?}", self.resources);
        assert_eq!(self.headings[0].0, 1, "{:?}", self.headings);
        for pair in self.headings.windows(2) {
            assert!(pair[1].0 > 1 && pair[1].0 <= pair[0].0 + 1, "{:?}", self.headings);
        }
        for colours in &self.colours {
            let (contrast, text) = (colours.contrast(), &colours.text);
            assert!(contrast >= LEAST_CONTRAST, "{contrast:.2} for {text:?}: {colours:?}");
        }
    }
}

/// The colours of a text.
#[derive(Debug, Deserialize)]
pub(crate) struct Colours {
    /// The text's first words.
    pub(crate) text: String,
    /// Its colour: red, green and blue, 0 to 255.
    ink: [f64; 3],
    /// The colour behind it.
    paper: [f64; 3],
}

impl Colours {
    /// The contrast ratio (WCAG 2.2, §1.4.3 and "relative luminance"): 1 to 21. AA wants 4.5 for text of ordinary size.
    pub(crate) fn contrast(&self) -> f64 {
        let luminance = |[red, green, blue]: [f64; 3]| {
            let linear = |part: f64| {
                let part = part / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        let (one, other) = (luminance(self.ink), luminance(self.paper));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }
}

/// Measures the page in the frame, and replaces this page by the result as JSON.
const MEASURE: &str = r#"
const frame = document.querySelector('iframe'), page = frame.contentDocument, view = frame.contentWindow;
const seen = element => {
  const box = element.getBoundingClientRect(), style = view.getComputedStyle(element);
  return box.width > 0 && box.height > 0 && style.visibility !== 'hidden';
};
const words = element => element.innerText.replace(/\s+/g, ' ').trim();
const parts = colour => colour.match(/[\d.]+/g).map(Number);
const paper = element => {
  for (let at = element; at; at = at.parentElement) {
    const [red, green, blue, alpha] = parts(view.getComputedStyle(at).backgroundColor);
    if (alpha === undefined || alpha > 0) return [red, green, blue];
  }
  return [255, 255, 255];
};
const pairs = new Map(), outside = [], width = page.documentElement.clientWidth;
const walker = page.createTreeWalker(page.body, view.NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
  if (!text || ['STYLE', 'SCRIPT'].includes(element.tagName) || !seen(element)) continue;
  const ink = parts(view.getComputedStyle(element).color).slice(0, 3), behind = paper(element);
  pairs.set([ink, behind].join(), {text: text.slice(0, 60), ink, paper: behind});
  const range = page.createRange();
  range.selectNodeContents(walker.currentNode);
  const box = range.getBoundingClientRect();
  if (box.right > 0 && (box.right > width + 0.5 || box.left < -0.5)) outside.push([text.slice(0, 60), box.right]);
}
const reached = [...page.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter(element => element.tabIndex >= 0 && !element.disabled);
// A tabindex above 0 goes before everything else (HTML, §6.6.3).
reached.sort((one, other) => (one.tabIndex || 1e9) - (other.tabIndex || 1e9));
const result = {
  width,
  scroll_width: page.documentElement.scrollWidth,
  outside,
  headings: [...page.querySelectorAll('h1,h2,h3,h4,h5,h6')].filter(seen).map(it => [Number(it.tagName[1]), words(it)]),
  rows: [...page.querySelectorAll('tr')].filter(seen).map(words),
  stops: reached.map(it => it.getAttribute('aria-label') || (it.labels && it.labels[0] && words(it.labels[0])) || words(it)),
  colours: [...pairs.values()],
  resources: view.performance.getEntriesByType('resource').map(it => it.name),
};
document.documentElement.textContent = JSON.stringify(result);
"#;

impl Browser {
    /// The browser; none if it is not installed and tests may go without.
    #[track_caller]
    pub(crate) fn find() -> Option<Self> {
        let program = bundle_test_needs::program("chromium")?;
        Some(Self { program, directory: tempfile::tempdir().unwrap() })
    }

    /// What a page looks like in a frame that is `width` pixels wide.
    pub(crate) fn looks(&self, html: &str, width: u32) -> Looks {
        let url = self.framed(html, width, 900, MEASURE);
        let dump = self.run(&["--dump-dom", "--hide-scrollbars", "--virtual-time-budget=10000", &url]);
        let text = dump.split_once("<html>").unwrap().1.rsplit_once("</html>").unwrap().0;
        let text =
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
        serde_json::from_str(&text).unwrap()
    }

    /// Takes a picture of the page's first `height` pixels, for people: it stays in the build's directory as `name`.png.
    pub(crate) fn picture(&self, html: &str, (width, height): (u32, u32), name: &str) -> PathBuf {
        let url = self.framed(html, width, height, "");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let (size, to) = (
            format!("--window-size={},{height}", width.max(500)),
            format!("--screenshot={}", path.display()),
        );
        self.run(&[&size, &to, "--hide-scrollbars", &url]);
        path
    }

    /// Prints the page as it would be on paper, to `name`.pdf in the build's directory. Gives the number of sheets.
    pub(crate) fn print(&self, html: &str, name: &str) -> usize {
        let page = self.directory.path().join("print.html");
        std::fs::write(&page, html).unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pdf"));
        let to = format!("--print-to-pdf={}", path.display());
        self.run(&["--no-pdf-header-footer", &to, &format!("file://{}", page.display())]);
        let pdf = std::fs::read(&path).unwrap();
        assert!(pdf.starts_with(b"%PDF-"));
        pdf.windows(b"/Type /Page\n".len()).filter(|bytes| bytes == b"/Type /Page\n").count()
    }

    /// A page with the HTML in a frame, which runs `script` when the frame is there.
    fn framed(&self, html: &str, width: u32, height: u32, script: &str) -> String {
        let at = |name: &str| self.directory.path().join(name);
        std::fs::write(at("page.html"), html).unwrap();
        let around = format!(
            "<!doctype html><meta charset=utf-8><style>body{{margin:0}}iframe{{border:0;width:{width}px;height:{height}px}}\
             </style><iframe src=page.html></iframe><script>addEventListener('load', () => {{{script}}});</script>"
        );
        std::fs::write(at("frame.html"), around).unwrap();
        format!("file://{}", at("frame.html").display())
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        let profile = format!("--user-data-dir={}", self.directory.path().join("profile").display());
        // The pages are our own: containers of CI may run as root, where Chromium's sandbox refuses to start.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile]);
        command.args(["--no-first-run", "--disable-background-networking", "--allow-file-access-from-files"]);
        let output = command.args(arguments).env("HOME", self.directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }
}
