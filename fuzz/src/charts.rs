//! Charts: an archive as a stranger packs it, and a template as a stranger writes it.
//! Takes any bytes; loading and rendering end within their limits.

use std::io::Write;

use bundle_chart::{Chart, Engine, Limits, Map, TemplateSource};

pub(crate) fn archive(bytes: &[u8]) {
    let _ = Chart::from_archive("chart", bytes, &Limits::DEFAULT);
    // The gzip around it is no obstacle to what is inside.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    let _ = Chart::from_archive("chart", &packed.finish().unwrap(), &Limits::DEFAULT);
}

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let files = [
        (
            "app/Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.x.x, repository: ''}\n",
        ),
        ("app/values.yaml", "image: {repository: nginx, tag: '1.25'}\n"),
        ("app/templates/deployment.yaml", "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}\n"),
        ("app/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
    ];
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let plain = builder.into_inner().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&plain).unwrap();
    vec![plain, packed.finish().unwrap()]
}

pub(crate) fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = TemplateSource {
        name: "app/templates/a.yaml".to_owned(),
        text: text.to_owned(),
        base_path: "app/templates".to_owned(),
        root: Map::default(),
    };
    if let Ok(engine) = Engine::new(vec![source], Limits::DEFAULT) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(3);
        let _ = engine.render(Some(deadline));
    }
}

pub(crate) fn templates() -> Vec<Vec<u8>> {
    [
        "{{- define \"a\" }}{{ . | quote }}{{ end -}}\n{{ range $i, $x := list 1 2 3 }}{{ template \"a\" $x }}{{ else }}no{{ end }}",
        "{{ if and (eq 1 1) (not false) }}{{ printf \"%s-%d\" `raw` 0x1f | trunc 3 | nindent 2 }}{{ else if .x.y }}{{ with $z := .a }}{{ $z }}{{ end }}{{ end }}",
        "{{/* comment */}}{{ $d := dict \"a\" 1.5e3 'c' nil }}{{ toYaml $d }}{{ index $d \"a\" }}{{ include \"x\" . | default \"q\" }}{{ tpl \"{{ 1 }}\" . }}",
        "{{ regexReplaceAll \"a(x*)b\" \"-ab-axxb-\" \"${1}W\" }}{{ semverCompare \">=1.2\" \"1.3.0\" }}{{ b64enc \"x\" | b64dec | sha256sum }}{{ until 5 | join \",\" }}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
