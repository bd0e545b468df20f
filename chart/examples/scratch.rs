//! Throwaway: renders chart directories or archives.
use bundle_chart::{Chart, Limits, RenderOptions, ValueSet, ValuesFile, render};
fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut values = Vec::new();
    while let Some(i) = args.iter().position(|a| a == "-f") {
        let file = args.remove(i + 1);
        args.remove(i);
        values.push(file);
    }
    let quiet = args.iter().position(|a| a == "-q").map(|i| args.remove(i)).is_some();
    for path in args {
        let limits = Limits::DEFAULT;
        let chart = if std::path::Path::new(&path).is_dir() {
            Chart::from_directory(std::path::Path::new(&path), &limits)
        } else {
            Chart::from_archive(&path, &std::fs::read(&path).unwrap(), &limits)
        };
        let chart = match chart {
            Ok(c) => c,
            Err(e) => {
                println!("LOADERROR {path} {e:?}");
                continue;
            }
        };
        let files = values
            .iter()
            .map(|f| ValuesFile { name: f.clone(), text: std::fs::read_to_string(f).unwrap() })
            .collect();
        let set = ValueSet { files, ..ValueSet::defaults() };
        let start = std::time::Instant::now();
        let r = render(
            &chart,
            &set,
            &RenderOptions { release_name: Some("release-name".into()), ..RenderOptions::default() },
        );
        eprintln!("{path} {:?}", start.elapsed());
        println!("=== {path}");
        match r {
            Err(e) => {
                println!("ERROR {e}");
                let mut s = std::error::Error::source(&e);
                while let Some(x) = s {
                    println!("  {x}");
                    s = x.source();
                }
            }
            Ok(r) if quiet => println!("{} documents", r.documents.len()),
            Ok(r) => {
                for d in r.documents {
                    println!("---\n# Source: {}\n{}", d.file, d.text);
                }
            }
        }
    }
}
