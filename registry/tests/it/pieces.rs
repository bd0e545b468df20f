//! Uploads in pieces: how they are cut, resumed, started again and given up, against registries that
//! keep count of what they have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_oci::Digest;
use bundle_registry::{BlobSource, Client, Error, Limits, Uploaded};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::repository;
use crate::server::{Answer, Asked, Server};

/// A blob, and how often it was opened.
struct Source {
    bytes: Vec<u8>,
    opened: AtomicUsize,
    once: bool,
}

/// Bytes of which no four are the same.
fn blob() -> Vec<u8> {
    bytes(1000)
}

fn bytes(words: u32) -> Vec<u8> {
    (0..words).flat_map(|number| number.to_le_bytes()).collect()
}

impl BlobSource for Source {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        if self.opened.fetch_add(1, Ordering::SeqCst) > 0 && self.once {
            return None;
        }
        let pieces: Vec<_> =
            self.bytes.chunks(self.bytes.len() / 57).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Some(futures_util::stream::iter(pieces).boxed())
    }

    fn is_repeatable(&self) -> bool {
        !self.once
    }
}

/// The outcome of one PATCH.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Taken,
    /// The connection ends after so many of its bytes were stored.
    Cut(usize),
    /// An ingress says that the client was too slow (Traefik 3 after `readTimeout`).
    Status(u16),
}

/// A registry with one upload at a time, whose address changes with each request (distribution's
/// `_state`).
#[derive(Default)]
struct State {
    stored: Vec<u8>,
    patches: usize,
    /// Whether the whole blob arrived.
    done: bool,
}

/// With `forgets`, an upload that broke off is dropped when it is asked for (distribution 2.8,
/// registry/handlers/blobupload.go, ResumeBlobUpload).
fn registry(
    forgets: bool,
    fate: impl Fn(usize) -> Fate + Send + Sync + 'static,
) -> (Server, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State::default()));
    let shared = state.clone();
    let server = Server::start(move |asked, _| answer(&mut shared.lock().unwrap(), asked, forgets, &fate));
    (server, state)
}

fn answer(state: &mut State, asked: &Asked, forgets: bool, fate: &dyn Fn(usize) -> Fate) -> Answer {
    let place = |state: &State| format!("/v2/team/app/blobs/uploads/1?_state={}", state.stored.len());
    let range = |state: &State| format!("0-{}", state.stored.len().saturating_sub(1));
    let current = asked.line.contains(&format!("{}&", place(state)))
        || asked.line.contains(&format!("{} ", place(state)));
    match asked.line.split(' ').next().unwrap() {
        "POST" => {
            state.stored.clear();
            Answer::new(202, "").with("Location", &place(state))
        }
        "PATCH" => {
            assert!(current, "{} while there are {}", asked.line, state.stored.len());
            assert_eq!(asked.header("content-type"), Some("application/octet-stream"));
            let first = state.stored.len();
            let expected = format!("{first}-{}", first + asked.body.len() - 1);
            assert_eq!(asked.header("content-range"), Some(expected.as_str()));
            state.patches += 1;
            match fate(state.patches) {
                Fate::Taken => state.stored.extend_from_slice(&asked.body),
                Fate::Cut(bytes) => {
                    state.stored.extend_from_slice(&asked.body[..bytes]);
                    return Answer::hang_up();
                }
                Fate::Status(status) => return Answer::new(status, ""),
            }
            Answer::new(202, "").with("Location", &place(state)).with("Range", &range(state))
        }
        "GET" if current || !forgets => {
            Answer::new(204, "").with("Location", &place(state)).with("Range", &range(state))
        }
        "GET" => Answer::new(404, r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}"#),
        "PUT" => {
            assert!(current, "{} while there are {}", asked.line, state.stored.len());
            state.stored.extend_from_slice(&asked.body);
            let digest = Digest::of(&state.stored).to_string();
            state.done = asked.line.contains(&digest);
            Answer::new(if state.done { 201 } else { 400 }, "")
        }
        _ => Answer::new(404, ""),
    }
}

fn limits() -> Limits {
    Limits {
        backoff: Duration::from_millis(1),
        attempts: 3,
        whole_upload: 1000,
        first_piece: 1024,
        smallest_piece: 256,
        held_piece: 512,
        trial_piece: 512,
        quick_rate: 1,
        ..Limits::default()
    }
}

async fn send(client: &Client, server: &Server, once: bool) -> Result<(Uploaded, usize), Error> {
    send_bytes(client, server, once, blob()).await
}

async fn send_bytes(
    client: &Client,
    server: &Server,
    once: bool,
    bytes: Vec<u8>,
) -> Result<(Uploaded, usize), Error> {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    let source = Source { bytes, opened: AtomicUsize::new(0), once };
    let sent = client.upload_blob(&server.registry(), &repository(), digest, size, None, &source).await?;
    Ok((sent, source.opened.into_inner()))
}

fn client() -> Client {
    Client::builder().limits(limits()).build().unwrap()
}

/// The lengths of the bodies of all requests of a kind.
fn lengths(server: &Server, method: &str) -> Vec<usize> {
    let seen = server.seen();
    seen.iter().filter(|asked| asked.line.starts_with(method)).map(|asked| asked.body.len()).collect()
}

#[tokio::test]
async fn a_large_blob_is_sent_in_pieces_and_closed_by_an_empty_put() {
    for (once, pieces) in [(false, vec![1024, 1024, 1024, 928]), (true, vec![512; 7])] {
        let (server, state) = registry(true, |_| Fate::Taken);
        assert_eq!(send(&client(), &server, once).await.unwrap(), (Uploaded::Sent, 1));
        let mut expected = pieces;
        let missing = 4000 - expected.iter().sum::<usize>();
        expected.extend((missing > 0).then_some(missing));
        assert_eq!(lengths(&server, "PATCH"), expected);
        // Harbor takes the size from the PUT, unless it is empty.
        assert_eq!(lengths(&server, "PUT"), [0]);
        let puts = server.seen();
        assert_eq!(puts.last().unwrap().header("content-length"), Some("0"));
        assert!(state.lock().unwrap().done);
    }
}

#[tokio::test]
async fn a_piece_that_breaks_off_goes_on_where_the_registry_says() {
    for once in [false, true] {
        let fate = |patch| if patch == 2 { Fate::Cut(100) } else { Fate::Taken };
        let (server, state) = registry(false, fate);
        let (sent, opened) = send(&client(), &server, once).await.unwrap();
        assert_eq!((sent, state.lock().unwrap().done), (Uploaded::Sent, true));
        // One is read from the start again and skips what is there; the other was kept.
        assert_eq!(opened, if once { 1 } else { 2 });
        assert_eq!((server.count("POST"), server.count("GET"), server.count("HEAD")), (1, 1, 0));
        let lost = if once { 512 } else { 1024 } - 100;
        assert_eq!(lengths(&server, "PATCH").iter().sum::<usize>(), 4000 + lost);
    }
}

/// Bytes that can be read once and were kept are sent again even from the start, as distribution up to 2.8
/// and Harbor need it; bytes no longer kept cannot be, and the error says why.
#[tokio::test]
async fn a_pipes_upload_that_the_registry_dropped_starts_again_while_all_of_it_is_kept() {
    let fate = |patch| if patch == 1 { Fate::Cut(100) } else { Fate::Taken };
    let (server, state) = registry(true, fate);
    assert_eq!(send(&client(), &server, true).await.unwrap(), (Uploaded::Sent, 1));
    assert!(state.lock().unwrap().done);
    assert_eq!(server.count("POST"), 2);
    let fate = |patch| if patch == 2 { Fate::Cut(100) } else { Fate::Taken };
    let (server, _) = registry(true, fate);
    let error = send(&client(), &server, true).await.unwrap_err();
    assert!(error.to_string().contains("dropped an upload that broke off"), "{error}");
}

#[tokio::test]
async fn a_pipes_blob_that_is_refused_at_first_is_sent_again() {
    let state = Arc::new(Mutex::new(State::default()));
    let refusals = AtomicUsize::new(0);
    let server = Server::start(move |asked, _| {
        let refuses = asked.line.starts_with("PUT") && refusals.fetch_add(1, Ordering::SeqCst) < 2;
        if refuses {
            Answer::new(503, "")
        } else {
            answer(&mut state.lock().unwrap(), asked, true, &|_| Fate::Taken)
        }
    });
    let client =
        Client::builder().limits(Limits { held_piece: 4000, trial_piece: 4000, ..limits() }).build().unwrap();
    assert_eq!(send(&client, &server, true).await.unwrap(), (Uploaded::Sent, 1));
    assert_eq!(lengths(&server, "PUT"), [4000, 4000, 4000]);
}

/// Over a line that is known to be good, a pipe's blob is sent at once; what the registry kept of it when the line
/// breaks nevertheless need not be sent again, and the rest was kept here.
#[tokio::test]
async fn a_pipes_blob_over_a_good_line_goes_on_where_it_broke() {
    const MIB: usize = 1 << 20;
    let fate = |patch| if patch == 2 { Fate::Cut(3 * MIB / 2) } else { Fate::Taken };
    let (server, state) = registry(false, fate);
    let held = MIB as u64;
    let limits = Limits { held_piece: held, trial_piece: held, ..limits() };
    let client = Client::builder().limits(limits).build().unwrap();
    let sent = send_bytes(&client, &server, true, bytes(3 << 18)).await.unwrap();
    assert_eq!((sent, state.lock().unwrap().done), ((Uploaded::Sent, 1), true));
    let patches = lengths(&server, "PATCH");
    // The first piece says that the line is good, so that the second is the rest.
    assert_eq!(patches[..2], [MIB, 2 * MIB], "{patches:?}");
    assert_eq!(patches[2..].iter().sum::<usize>(), MIB / 2, "{patches:?}");
}

#[tokio::test]
async fn an_upload_that_the_registry_dropped_starts_again_in_smaller_pieces() {
    let fate = |patch| if patch == 2 { Fate::Cut(100) } else { Fate::Taken };
    let (server, state) = registry(true, fate);
    let (sent, _) = send(&client(), &server, false).await.unwrap();
    assert_eq!((sent, state.lock().unwrap().done), (Uploaded::Sent, true));
    assert_eq!(server.count("POST"), 2);
    let patches = lengths(&server, "PATCH");
    assert_eq!(patches[..2], [1024, 1024]);
    // Half of what broke, and more with each that arrives.
    assert_eq!(patches[2..4], [512, 512], "{patches:?}");
}

#[tokio::test]
async fn a_put_that_an_ingress_ended_goes_on_in_pieces() {
    let state = Arc::new(Mutex::new(State::default()));
    let limits = Limits { whole_upload: 5000, piece_time: Duration::from_millis(100), ..limits() };
    let whole = Client::builder().limits(limits).build().unwrap();
    // The first PUT of the whole blob meets an ingress that had enough of it.
    let cut = Arc::new(AtomicUsize::new(0));
    let seen = cut.clone();
    let shared = state.clone();
    let ingress = Server::start(move |asked, _| {
        if asked.line.starts_with("PUT")
            && asked.body.len() == 4000
            && seen.fetch_add(1, Ordering::SeqCst) == 0
        {
            return Answer::new(499, "");
        }
        answer(&mut shared.lock().unwrap(), asked, true, &|_| Fate::Taken)
    });
    assert_eq!(send(&whole, &ingress, false).await.unwrap().0, Uploaded::Sent);
    assert!(state.lock().unwrap().done);
    assert_eq!(lengths(&ingress, "PUT"), [4000, 0]);
    assert!(!lengths(&ingress, "PATCH").is_empty());
}

#[tokio::test]
async fn a_registry_without_pieces_gets_the_blob_whole_from_then_on() {
    for status in [404, 405, 416] {
        for once in [false, true] {
            let (server, state) = registry(true, move |_| Fate::Status(status));
            let client = client();
            assert_eq!(send(&client, &server, once).await.unwrap().0, Uploaded::Sent, "{status}");
            assert!(state.lock().unwrap().done);
            assert_eq!(send(&client, &server, once).await.unwrap().0, Uploaded::Sent, "{status}");
            assert_eq!((server.count("PATCH"), lengths(&server, "PUT")), (1, vec![4000, 4000]));
        }
    }
}

#[tokio::test]
async fn an_upload_that_never_ends_is_given_up_after_as_many_attempts_as_any() {
    let (server, _) = registry(true, |_| Fate::Status(502));
    let error = send(&client(), &server, false).await.unwrap_err();
    assert!(matches!(&error, Error::Answer(answer) if answer.status == 502), "{error}");
    assert_eq!(server.count("PATCH"), 4);
    // A right that is missing is no matter of pieces.
    let (server, _) = registry(true, |_| Fate::Status(403));
    assert!(send(&client(), &server, false).await.is_err());
    assert_eq!((server.count("PATCH"), server.count("PUT")), (1, 0));
}
