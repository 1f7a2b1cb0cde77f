//! Answers before the request's body is read: the connection stays usable although the client is still sending the
//! body.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{NOWHERE, server};

/// Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = server().await.router;
        tokio::spawn(axum::serve(listener, router).into_future());
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// Reads the next answer's status and headers and skips its body; `None` if the connection is closed.
    async fn answer(&mut self) -> Option<(u16, String)> {
        tokio::time::timeout(PATIENCE, self.read()).await.unwrap()
    }

    async fn read(&mut self) -> Option<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if matches!(self.0.read_line(&mut head).await, Ok(0) | Err(_)) {
                return None;
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or("0", str::trim);
        self.0.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
        Some((head.split(' ').nth(1)?.parse().unwrap(), head))
    }

    async fn ok(&mut self) -> Option<u16> {
        self.send("GET /ok HTTP/1.1\r\nhost: x\r\n\r\n").await;
        Some(self.answer().await?.0)
    }
}

#[tokio::test]
async fn a_body_after_its_answer() {
    let thread = format!("/threads/{NOWHERE}");
    let mut connection = Connection::open().await;
    for round in 0..50 {
        for (method, path, status) in [
            ("POST", "/threads/", 307),
            ("POST", "/nowhere", 404),
            ("PUT", "/threads", 405),
            ("POST", "/threads/no-id/runs", 422),
            ("GET", thread.as_str(), 404),
            ("DELETE", thread.as_str(), 404),
        ] {
            let (framing, body) = match round % 2 {
                0 => ("content-length: 20000", "x".repeat(20_000)),
                _ => ("transfer-encoding: chunked", format!("4e20\r\n{}\r\n0\r\n\r\n", "x".repeat(20_000))),
            };
            let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n");
            connection.send(head).await;
            let (got, head) = connection.answer().await.unwrap();
            assert_eq!(got, status, "{method} {path}");
            assert!(!head.contains("connection: close"), "{head}");
            let (first, rest) = body.split_at(body.len() / 2);
            connection.send(first).await;
            tokio::task::yield_now().await;
            connection.send(rest).await;
            assert_eq!(connection.ok().await, Some(200), "after {method} {path}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_body_in_the_same_packet() {
    let mut connection = Connection::open().await;
    for _ in 0..200 {
        connection.send("POST /threads/ HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
        assert_eq!(connection.answer().await.unwrap().0, 307);
        assert_eq!(connection.ok().await, Some(200));
    }
}

#[tokio::test]
async fn unwanted_bodies_are_not_requested() {
    let mut connection = Connection::open().await;
    connection.send("POST /nowhere HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().0, 404, "not 100");
    let mut connection = Connection::open().await;
    connection.send("POST /threads HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().0, 100);
    connection.send("{}").await;
    assert_eq!(connection.answer().await.unwrap().0, 200);
    assert_eq!(connection.ok().await, Some(200));
}

#[tokio::test]
async fn bodies_without_end_are_cut_off() {
    for body in ["x".repeat(3 << 20), String::new()] {
        let mut connection = Connection::open().await;
        connection.send("POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n").await;
        assert_eq!(connection.answer().await.unwrap().0, 404);
        // Either too many bytes follow or none. The server may close the connection during this write.
        let _ = connection.0.write_all(body.as_bytes()).await;
        assert_eq!(connection.answer().await, None);
    }
}
