//! Frames between a runner and a graph host, and between a runner and its clients: the header and the codec. The
//! crate's README describes every kind.

mod codec;
pub(crate) mod payload;

use bytes::Bytes;

pub(crate) use codec::FrameCodec;

/// The kind of a frame. It decides the shape of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hello,
    Init,
    Ready,
    Fatal,
    Ping,
    Pong,
    Log,
    Shutdown,
    Status,
    Run,
    Event,
    Done,
    Cancel,
    Credit,
    Span,
    Lost,
    Suspect,
    Call,
    Reply,
    Error,
    HttpRequest,
    HttpResponse,
    HttpBody,
    HttpEnd,
    HttpCredit,
    HttpAbort,
}

const KINDS: [(Kind, u8); 26] = [
    (Kind::Hello, 0x01),
    (Kind::Init, 0x02),
    (Kind::Ready, 0x03),
    (Kind::Fatal, 0x04),
    (Kind::Ping, 0x05),
    (Kind::Pong, 0x06),
    (Kind::Log, 0x07),
    (Kind::Shutdown, 0x08),
    (Kind::Status, 0x09),
    (Kind::Run, 0x10),
    (Kind::Event, 0x11),
    (Kind::Done, 0x12),
    (Kind::Cancel, 0x13),
    (Kind::Credit, 0x14),
    (Kind::Span, 0x15),
    (Kind::Lost, 0x16),
    (Kind::Suspect, 0x17),
    (Kind::Call, 0x20),
    (Kind::Reply, 0x21),
    (Kind::Error, 0x22),
    (Kind::HttpRequest, 0x30),
    (Kind::HttpResponse, 0x31),
    (Kind::HttpBody, 0x32),
    (Kind::HttpEnd, 0x33),
    (Kind::HttpCredit, 0x34),
    (Kind::HttpAbort, 0x35),
];

impl Kind {
    fn code(self) -> u8 {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, code)| *code)
    }

    fn of(code: u8) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// The handle of the run, the id of the call or exchange, or 0.
    pub(crate) stream: u32,
    pub(crate) payload: Bytes,
}

impl Frame {
    pub(crate) fn new(kind: Kind, stream: u32, payload: impl Into<Bytes>) -> Self {
        Self { kind, stream, payload: payload.into() }
    }
}
