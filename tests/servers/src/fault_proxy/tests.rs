//! Each fault of the proxy does to a request what it says.
//! Takes a proxy in front of nothing or of a scripted one; looks at both sides of it.

use std::sync::mpsc;

use super::*;
use crate::{Check, Client, DockerRegistry, ImageSpec, LayerSpec, Manifest};

const SIZE: u64 = 300_000;

struct Bench {
    registry: DockerRegistry,
    proxy: FaultProxy,
    image: Manifest,
    blob: String,
}

impl Bench {
    /// A registry with one image, and a proxy in front.
    fn new() -> Bench {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().layer(LayerSpec::new(1, SIZE)).build();
        registry.client().push("a", "1", &image).unwrap();
        let proxy = FaultProxy::start(registry.host()).unwrap();
        let blob = format!("/v2/a/blobs/{}", image.blobs[1].digest);
        Bench { registry, proxy, image, blob }
    }

    fn add(&self, method: &str, fault: Fault) {
        self.proxy.clear_rules();
        self.proxy.add(Rule::new(Matcher::new(method, "/v2/a/"), fault));
    }

    fn get(&self) -> io::Result<Response> {
        Client::new(self.proxy.host()).get(&self.blob)
    }

    fn content(&self) -> Vec<u8> {
        self.image.blobs[1].bytes().unwrap()
    }
}

#[test]
fn a_push_through_the_proxy_arrives_whole_and_is_recorded() {
    let bench = Bench::new();
    let image = ImageSpec::docker().layer(LayerSpec::new(2, SIZE)).build();
    let client = Client::new(bench.proxy.host());
    client.push("b", "2", &image).unwrap();
    assert_eq!(bench.registry.client().check_complete(Check::Hash).unwrap(), []);
    assert_eq!(bench.registry.client().contents().unwrap()["b"]["2"], image.digest);
    let requests = bench.proxy.requests();
    let last = requests.last().unwrap();
    assert_eq!((last.method.as_str(), last.path_and_query.as_str()), ("PUT", "/v2/b/manifests/2"));
    assert_eq!((last.status, last.request_body_bytes), (Some(201), image.bytes.len() as u64));
    assert_eq!(last.headers.get("content-type"), Some(image.media_type.as_str()));
    // The upload's PUT went to the Location the registry gave, so it was rewritten.
    assert!(requests.iter().any(|r| r.method == "PUT" && r.request_body_bytes == image.blobs[1].size));
    assert_eq!(bench.proxy.bytes(Direction::Upload), image.total_size());
    bench.proxy.clear();
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    assert_eq!(bench.proxy.requests().len(), 1);
    assert_eq!(bench.proxy.bytes(Direction::Upload), 0);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    use std::io::Write as _;
    let bench = Bench::new();
    let mut stream = TcpStream::connect(bench.proxy.host()).unwrap();
    for _ in 0..3 {
        stream.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", bench.blob).as_bytes()).unwrap();
    }
    let mut reader = BufReader::new(stream);
    for _ in 0..3 {
        let head = crate::http::ResponseHead::read(&mut reader).unwrap();
        let mut body = Vec::new();
        let framing = head.framing("GET").unwrap();
        io::Read::read_to_end(&mut crate::http::Body::new(&mut reader, framing), &mut body).unwrap();
        assert_eq!(body, bench.content());
    }
    assert_eq!(bench.proxy.connections(), 1);
}

#[test]
fn each_scripted_answer_is_given_as_often_as_said() {
    let bench = Bench::new();
    let limited = Response::error(429, "TOOMANYREQUESTS", "slow down").with_header("Retry-After", "1");
    bench.proxy.add(Rule::new(Matcher::path("/blobs/"), Fault::Status(limited)).times(2));
    bench.proxy.add(Rule::new(Matcher::path("/blobs/"), Fault::Html(502)).after(1).once());
    bench.proxy.add(Rule::new(Matcher::path("/blobs/"), Fault::SetHeader("X-Seen".into(), "yes".into())));
    let redirect = Fault::Redirect { url: "http://elsewhere.example/".into(), code: 307 };
    bench.proxy.add(Rule::new(Matcher::any().and(|head| head.query("to").is_some()), redirect));
    let answers: Vec<Response> = (0..5).map(|_| bench.get().unwrap()).collect();
    assert_eq!(answers.iter().map(|a| a.status).collect::<Vec<_>>(), [429, 429, 200, 502, 200]);
    assert_eq!(answers[0].header("retry-after"), Some("1"));
    assert!(answers[3].header("content-type").unwrap().starts_with("text/html"));
    assert!(answers.iter().all(|a| a.header("x-seen") == Some("yes")));
    let redirected = Client::new(bench.proxy.host()).get("/v2/?to=x").unwrap();
    assert_eq!((redirected.status, redirected.header("location")), (307, Some("http://elsewhere.example/")));
}

#[test]
fn a_token_service_can_be_a_closure() {
    let bench = Bench::new();
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", bench.proxy.host());
    bench.proxy.answer_with(move |head| {
        if head.path() == "/token" {
            return Some(Response::json(200, r#"{"token":"t"}"#));
        }
        let authorized = head.headers.get("authorization") == Some("Bearer t");
        (!authorized)
            .then(|| Response::error(401, "UNAUTHORIZED", "").with_header("WWW-Authenticate", &realm))
    });
    let client = Client::new(bench.proxy.host());
    assert_eq!(client.get("/v2/").unwrap().status, 401);
    assert_eq!(client.get("/token?scope=x").unwrap().text(), r#"{"token":"t"}"#);
    assert_eq!(client.with_authorization("Bearer t").get("/v2/").unwrap().status, 200);
}

#[test]
fn a_body_is_damaged_as_said() {
    let bench = Bench::new();
    let content = bench.content();

    bench.add("GET", Fault::WrongBytes { at: 200_000 });
    let damaged = bench.get().unwrap().body;
    let differing: Vec<usize> = (0..content.len()).filter(|&i| damaged[i] != content[i]).collect();
    assert_eq!((damaged.len(), differing), (content.len(), vec![200_000]));

    bench.add("GET", Fault::LongerBy(5));
    let longer = bench.get().unwrap().body;
    assert_eq!((&longer[..content.len()], &longer[content.len()..]), (&content[..], &[0; 5][..]));

    bench.add("GET", Fault::ShorterBy(5));
    assert_eq!(bench.get().unwrap().body, content[..content.len() - 5]);

    bench.add("GET", Fault::LyingLength(5));
    assert_eq!(bench.get().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

    bench.add("GET", Fault::LyingLength(-5));
    assert_eq!(bench.get().unwrap().body, content[..content.len() - 5]);

    bench.add("GET", Fault::DropHeader("Content-Length".into()));
    let chunked = bench.get().unwrap();
    assert_eq!((chunked.header("content-length"), chunked.body == content), (None, true));

    bench.add("GET", Fault::ResetAfter(100_000));
    bench.proxy.clear();
    assert!(bench.get().is_err());
    assert_eq!(bench.proxy.requests()[0].response_body_bytes, 100_000);
}

#[test]
fn an_endless_body_ends_with_the_client() {
    let bench = Bench::new();
    bench.add("GET", Fault::EndlessBody);
    let mut download = Client::new(bench.proxy.host()).download(&bench.blob).unwrap();
    let mut some = vec![1; 4_000_000];
    io::Read::read_exact(&mut download, &mut some).unwrap();
    assert_eq!(some[..100_000], bench.content()[..100_000]);
    assert_eq!(some[3_999_999], 0);
}

#[test]
fn a_range_is_served_unless_it_is_to_be_ignored() {
    let bench = Bench::new();
    let client = Client::new(bench.proxy.host());
    let range = || client.request("GET", &bench.blob, &[("Range", "bytes=10-19")], b"").unwrap();
    let part = range();
    assert_eq!((part.status, &part.body[..]), (206, &bench.content()[10..20]));
    bench.add("GET", Fault::IgnoreRange);
    let whole = range();
    assert_eq!((whole.status, whole.body.len() as u64), (200, bench.image.blobs[1].size));
}

#[test]
fn a_stalled_download_goes_on_when_released() {
    let bench = Bench::new();
    bench.add("GET", Fault::StallAfter(1000));
    thread::scope(|scope| {
        let download = scope.spawn(|| bench.get().unwrap().body);
        bench.proxy.wait_for_stall();
        assert_eq!(bench.proxy.bytes(Direction::Download), 1000);
        bench.proxy.release();
        assert_eq!(download.join().unwrap(), bench.content());
    });
}

#[test]
fn a_stalled_transfer_ends_with_the_proxy() {
    let Bench { registry: _registry, proxy, image: _, blob } = Bench::new();
    proxy.add(Rule::new(Matcher::any(), Fault::StallAfter(0)));
    let client = Client::new(proxy.host());
    thread::scope(|scope| {
        let download = scope.spawn(|| client.get(&blob));
        proxy.wait_for_stall();
        drop(proxy);
        assert!(download.join().unwrap().is_err());
    });
}

#[test]
fn an_interrupted_upload_leaves_no_blob() {
    let bench = Bench::new();
    let layer = LayerSpec::new(9, 5_000_000).build().blob(crate::Format::Oci);
    let client = Client::new(bench.proxy.host());
    bench.add("PUT", Fault::ResetUploadAfter(70_000));
    assert!(client.push_blob("a", &layer).is_err());
    assert_eq!(bench.proxy.bytes(Direction::Upload), 70_000);
    assert!(!client.has_blob("a", &layer.digest).unwrap());

    bench.add("PUT", Fault::StallUploadAfter(70_000));
    thread::scope(|scope| {
        let upload = scope.spawn(|| client.push_blob("a", &layer));
        bench.proxy.wait_for_stall();
        bench.proxy.release();
        upload.join().unwrap().unwrap();
    });
    assert!(client.has_blob("a", &layer.digest).unwrap());
}

#[test]
fn a_swallowed_response_has_taken_effect_upstream() {
    let bench = Bench::new();
    bench.add("PUT", Fault::SwallowResponse);
    let client = Client::new(bench.proxy.host());
    assert!(client.put_manifest("a", "2", &bench.image).is_err());
    assert_eq!(bench.proxy.requests()[0].status, None);
    assert_eq!(bench.registry.client().tags("a").unwrap(), ["1", "2"]);
}

#[test]
fn hooks_run_once_and_hold_the_bytes_back() {
    let bench = Bench::new();
    let (sender, hooked) = mpsc::channel();
    let of_requests = sender.clone();
    bench.proxy.on_request(2, move || of_requests.send("second request").unwrap());
    bench.proxy.on_bytes(Direction::Download, SIZE, move || sender.send("bytes").unwrap());
    bench.get().unwrap();
    bench.get().unwrap();
    assert_eq!(hooked.iter().collect::<Vec<_>>(), ["bytes", "second request"]);
}

#[test]
fn an_upstream_that_is_gone_is_a_bad_gateway() {
    let bench = Bench::new();
    drop(bench.registry);
    let client = Client::new(bench.proxy.host());
    assert_eq!(client.get("/v2/").unwrap().status, 502);
    assert_eq!(client.request("PUT", "/v2/a/manifests/1", &[], &[0; 1000]).unwrap().status, 502);
}

#[test]
fn a_delay_changes_nothing_else() {
    let bench = Bench::new();
    bench.add("GET", Fault::Delay(Duration::from_millis(1)));
    bench.proxy.delay_connections(Duration::from_millis(1));
    assert_eq!(bench.get().unwrap().body, bench.content());
}

#[test]
fn a_dripping_body_arrives_a_byte_at_a_time_and_whole() {
    let proxy = FaultProxy::scripted().unwrap();
    proxy.add(Rule::new(Matcher::path("/slow"), Fault::Drip(Duration::from_micros(1))));
    proxy.answer_with(|_| Some(Response::new(200).with_body("slow but whole")));
    let mut download = Client::new(proxy.host()).download("/slow").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut download, &mut text).unwrap();
    assert_eq!(text, "slow but whole");
}
