use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

/// The events that a test sends on its streams, in the order of the requests.
type Event = Result<&'static str, io::Error>;

struct Server {
    address: SocketAddr,
    streams: mpsc::UnboundedReceiver<mpsc::UnboundedSender<Event>>,
    quiet: CancellationToken,
    served: JoinHandle<()>,
}

async fn server() -> Server {
    server_with(Limits { write_timeout: Duration::from_secs(60) }).await
}

async fn server_with(limits: Limits) -> Server {
    let (opened, streams) = mpsc::unbounded_channel();
    let opened = Arc::new(Mutex::new(opened));
    let events = move || {
        let (events, stream) = mpsc::unbounded_channel::<Event>();
        opened.lock().send(events).unwrap();
        let stream = futures::stream::unfold(stream, async |mut stream| Some((stream.recv().await?, stream)));
        ([(CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(stream))
    };
    let heard = events.clone();
    let router = Router::new()
        .route("/events", get(async move || events()))
        .route("/heard", post(async move |_: Bytes| heard()))
        .route("/unheard", post(answers_early))
        .route(
            "/later",
            post(async |_: Bytes| {
                tokio::time::sleep(Duration::from_millis(100)).await;
                "later"
            }),
        )
        .route("/large", get(async || vec![b'x'; LARGE]))
        .route("/hello", get(async || "hello"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, quiet) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve(listener, router, limits, quiet.clone()));
    Server { address, streams, quiet, served }
}

/// Begins to answer before it reads the request's body, then reports how many bytes it has read.
async fn answers_early(body: Body) -> Response {
    let early = futures::stream::once(async { Ok::<_, axum::Error>("early".to_owned()) });
    let late = async { axum::body::to_bytes(body, 100).await.map(|body| body.len().to_string()) };
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(early.chain(futures::stream::once(late)))).into_response()
}

struct Client(TcpStream);

impl Client {
    async fn ask(server: &Server, request: &str) -> Self {
        let mut client = Self(TcpStream::connect(server.address).await.unwrap());
        client.send(request).await;
        client
    }

    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Reads until the text read so far ends with `end`, and no further.
    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let got = tokio::time::timeout(Duration::from_secs(20), self.0.read_u8()).await;
            let got = got.unwrap_or_else(|_| panic!("nothing comes after {:?}", String::from_utf8_lossy(&read)));
            read.push(got.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    /// Reads to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), self.0.read_to_end(&mut read)).await.expect("no end").unwrap();
        // A client that began like HTTP/2 gets frames of HTTP/2, which are no text.
        String::from_utf8_lossy(&read).into_owned()
    }
}

/// More bytes than the system buffers for a client.
const LARGE: usize = 32 << 20;

const EVENTS: &str = "GET /events HTTP/1.1\r\nhost: a\r\n\r\n";
const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_stream_is_sent_in_chunks_and_the_connection_serves_on() {
    let mut server = server().await;
    let mut client = Client::ask(&server, EVENTS).await;
    for _ in 0..3 {
        let events = server.streams.recv().await.unwrap();
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("transfer-encoding: chunked"), "{head}");
        for (event, chunk) in [("one", "3\r\none\r\n"), ("", ""), ("sixteen letters.", "10\r\nsixteen letters.\r\n")] {
            events.send(Ok(event)).unwrap();
            assert_eq!(if chunk.is_empty() { String::new() } else { client.until(chunk).await }, chunk);
        }
        drop(events);
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        client.send(HELLO).await;
        assert!(client.until("hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
        client.send(EVENTS).await;
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_wait_for_the_end_of_the_stream() {
    let mut server = server().await;
    let mut client = Client::ask(&server, &[EVENTS, HELLO].concat()).await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    // The client sends one part of a request before the stream and one part during it.
    client.send(&HELLO[..9]).await;
    events.send(Ok("one")).unwrap();
    client.until("3\r\none\r\n").await;
    client.send(&HELLO[9..]).await;
    drop(events);
    assert!(client.until("hello").await.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    client.send(HELLO).await;
    client.until("\r\n\r\nhello").await;
    client.until("\r\n\r\nhello").await;
}

#[tokio::test]
async fn what_a_client_sends_during_a_stream_waits_too() {
    let mut server = server().await;
    let mut client = Client::ask(&server, EVENTS).await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    client.send(&HELLO.repeat(500)).await;
    events.send(Ok("one")).unwrap();
    client.until("3\r\none\r\n").await;
    drop(events);
    client.until("0\r\n\r\n").await;
    for _ in 0..500 {
        assert!(client.until("\r\n\r\nhello").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn a_stream_whose_client_is_gone_is_given_up() {
    let mut server = server().await;
    let mut client = Client::ask(&server, EVENTS).await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(20), events.closed()).await.expect("the stream is still there");
}

#[tokio::test]
async fn a_stream_that_fails_has_no_last_chunk() {
    let mut server = server().await;
    let mut client = Client::ask(&server, EVENTS).await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    events.send(Ok("one")).unwrap();
    events.send(Err(io::Error::other("broken"))).unwrap();
    assert_eq!(client.rest().await, "3\r\none\r\n");
}

#[tokio::test]
async fn a_request_is_heard_to_its_end_before_the_next() {
    let mut server = server().await;
    let mut client = Client::ask(&server, "POST /heard HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo").await;
    client.send("dy").await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    events.send(Ok("one")).unwrap();
    client.until("3\r\none\r\n").await;
    drop(events);
    client.until("0\r\n\r\n").await;
    // This handler answers before it has read the request's body.
    client.send("POST /unheard HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").await;
    client.until("5\r\nearly\r\n").await;
    client.send(&["body", HELLO].concat()).await;
    assert!(client.until("hello").await.starts_with("1\r\n4\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn other_requests_are_answered_as_before() {
    let mut server = server().await;
    let mut client = Client::ask(&server, "HEAD /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client.send(HELLO).await;
    client.until("hello").await;
    server.streams.recv().await.unwrap();
    for request in [
        "GET /events HTTP/1.0\r\nhost: a\r\n\r\n",
        "GET /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /events HTTP/1.1\r\nhost: a\r\nconnection: TE\r\n\r\n",
    ] {
        let mut client = Client::ask(&server, request).await;
        let events = server.streams.recv().await.unwrap();
        events.send(Ok("one")).unwrap();
        drop(events);
        if request.contains("TE") {
            client.until("0\r\n\r\n").await;
            client.send(HELLO).await;
            client.until("hello").await;
        } else {
            assert!(client.rest().await.contains("one"));
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_its_sending_half_gets_its_answer() {
    let mut server = server().await;
    for (request, ends) in [
        (HELLO, "hello"),
        ("POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody", "later"),
        ("POST /later HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "later"),
        ("POST /later HTTP/1.0\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody", "later"),
    ] {
        let mut client = Client::ask(&server, request).await;
        client.0.shutdown().await.unwrap();
        let answer = client.rest().await;
        assert!(answer.contains(" 200 OK\r\n") && answer.ends_with(ends), "{request}: {answer}");
    }
    let mut client = Client::ask(&server, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.0.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(client.rest().await.len() > LARGE);
    for request in [EVENTS, "GET /events HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"] {
        let mut client = Client::ask(&server, request).await;
        let events = server.streams.recv().await.unwrap();
        client.until("\r\n\r\n").await;
        client.0.shutdown().await.unwrap();
        // The probe is a leading zero of a chunk's length.
        client.until("0").await;
        events.send(Ok("one")).unwrap();
        client.until("3\r\none\r\n").await;
        drop(events);
        assert_eq!(client.rest().await, "0\r\n\r\n");
    }
    // An incomplete request gets no answer.
    let mut client = Client::ask(&server, "POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo").await;
    client.0.shutdown().await.unwrap();
    assert!(!client.rest().await.contains("later"));
}

#[tokio::test]
async fn a_connection_that_ends_within_its_first_bytes_is_over_at_once() {
    let server = server().await;
    for begin in ["", "P", "PR", "PRI"] {
        let mut client = Client::ask(&server, begin).await;
        client.0.shutdown().await.unwrap();
        // The server closes long before the time limit for a head.
        assert!(!client.rest().await.contains("200"), "{begin}");
    }
    for begin in ["P", "PO", "PR"] {
        let mut client = Client::ask(&server, begin).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let rest = "POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        client.send(rest.strip_prefix(begin).unwrap_or("OPFIND /hello HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 "), "{begin}");
    }
    // HTTP/2 in pieces: the preface, and an empty SETTINGS frame.
    let mut client = Client::ask(&server, "P").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.send("RI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    let mut settings = [0; 9];
    client.0.read_exact(&mut settings).await.unwrap();
    assert_eq!(settings[3], 4, "the server answers with its settings");
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_connection() {
    let server = server_with(Limits { write_timeout: Duration::from_millis(200) }).await;
    let mut client = Client::ask(&server, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.quiet.cancel();
    // The server ends the connection, although the client is still connected and has read nothing.
    tokio::time::timeout(Duration::from_secs(20), server.served).await.expect("the connection lives on").unwrap();
    let mut read = Vec::new();
    let _ = client.0.read_to_end(&mut read).await;
    assert!(read.len() < LARGE);
}

#[tokio::test]
async fn open_streams_may_end_when_no_more_requests_are_taken() {
    let mut server = server().await;
    let mut client = Client::ask(&server, EVENTS).await;
    let events = server.streams.recv().await.unwrap();
    client.until("\r\n\r\n").await;
    server.quiet.cancel();
    events.send(Ok("one")).unwrap();
    client.until("3\r\none\r\n").await;
    assert!(!server.served.is_finished());
    drop(events);
    assert_eq!(client.rest().await, "0\r\n\r\n");
    server.served.await.unwrap();
}
