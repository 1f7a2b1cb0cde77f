//! Encodes and decodes frames.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

use super::{Frame, Kind};

/// The part of a frame's length beyond its payload: kind and stream.
const HEADER: usize = 5;

/// The longest frame that either side may send.
const MAX_FRAME: usize = 512 * 1024 * 1024;

/// The longest frame of a peer that has not authenticated.
const MAX_STRANGERS_FRAME: usize = 64 * 1024;

/// Splits a byte stream into frames. A payload shares the read buffer and is not copied.
#[derive(Debug)]
pub(crate) struct FrameCodec(LengthDelimitedCodec);

impl Default for FrameCodec {
    fn default() -> Self {
        Self(LengthDelimitedCodec::builder().length_field_type::<u32>().max_frame_length(MAX_FRAME).new_codec())
    }
}

impl FrameCodec {
    /// A codec for a peer that has not authenticated: it accepts only short frames.
    pub(crate) fn for_stranger() -> Self {
        let mut codec = Self::default();
        codec.0.set_max_frame_length(MAX_STRANGERS_FRAME);
        codec
    }

    /// Accepts long frames from now on: the peer has authenticated.
    pub(crate) fn trust(&mut self) {
        self.0.set_max_frame_length(MAX_FRAME);
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, io::Error> {
        let Some(mut frame) = self.0.decode(source)? else { return Ok(None) };
        if frame.len() < HEADER {
            return Err(damaged("a frame is shorter than its header"));
        }
        let code = frame.get_u8();
        let stream = frame.get_u32();
        let kind = Kind::of(code).ok_or_else(|| damaged("a frame is of a kind that this version does not know"))?;
        Ok(Some(Frame { kind, stream, payload: frame.freeze() }))
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, target: &mut BytesMut) -> Result<(), io::Error> {
        let length = HEADER + frame.payload.len();
        if length > MAX_FRAME {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame is longer than 512 MiB"));
        }
        target.reserve(4 + length);
        // The check above ensures that it fits into 32 bits.
        target.put_u32(length as u32);
        target.put_u8(frame.kind.code());
        target.put_u32(frame.stream);
        target.extend_from_slice(&frame.payload);
        Ok(())
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let frames = [Frame::new(Kind::Run, 7, &b"{}"[..]), Frame::new(Kind::Ping, 0, &b"12345678"[..])];
        let mut bytes = BytesMut::new();
        for frame in &frames {
            FrameCodec::default().encode(frame.clone(), &mut bytes).unwrap();
        }
        for cut in 0..bytes.len() {
            let mut codec = FrameCodec::default();
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let mut seen = Vec::new();
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                seen.push(frame);
            }
            buffer.extend_from_slice(&bytes[cut..]);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                seen.push(frame);
            }
            assert_eq!(seen, frames, "cut at {cut}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&b"\x00\x00\x00\x01\x10"[..], &b"\x00\x00\x00\x05\xff\0\0\0\0"[..], &b"\xff\xff\xff\xff"[..]] {
            assert!(FrameCodec::default().decode(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_stranger_may_send_short_frames_alone() {
        let long = &b"\x00\x02\x00\x00\x01"[..];
        let mut codec = FrameCodec::for_stranger();
        assert!(codec.decode(&mut BytesMut::from(long)).is_err());
        codec.trust();
        assert!(codec.decode(&mut BytesMut::from(long)).is_ok_and(|frame| frame.is_none()));
    }
}
