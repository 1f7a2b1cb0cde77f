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

/// What a test sends as events of the streams, in the order in which they were asked for.
type Event = Result<&'static str, io::Error>;

struct Server {
    address: SocketAddr,
    streams: mpsc::UnboundedReceiver<mpsc::UnboundedSender<Event>>,
    quiet: CancellationToken,
    served: JoinHandle<()>,
}

async fn server() -> Server {
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
        .route("/hello", get(async || "hello"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, quiet) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve(listener, router, quiet.clone()));
    Server { address, streams, quiet, served }
}

/// Says how much it has heard after it has begun to answer.
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

    /// Reads until what was read ends so, and no further.
    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let got = tokio::time::timeout(Duration::from_secs(20), self.0.read_u8()).await;
            let got = got.unwrap_or_else(|_| panic!("nothing comes after {:?}", String::from_utf8_lossy(&read)));
            read.push(got.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    /// Reads to the end.
    async fn rest(&mut self) -> String {
        let mut read = String::new();
        tokio::time::timeout(Duration::from_secs(20), self.0.read_to_string(&mut read)).await.expect("no end").unwrap();
        read
    }
}

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
    // Part of a request before, part of it during the stream.
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
    // This one answers before it has heard.
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
    for request in
        ["GET /events HTTP/1.0\r\nhost: a\r\n\r\n", "GET /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]
    {
        let mut client = Client::ask(&server, request).await;
        let events = server.streams.recv().await.unwrap();
        events.send(Ok("one")).unwrap();
        drop(events);
        assert!(client.rest().await.contains("one"));
    }
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
