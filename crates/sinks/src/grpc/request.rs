//! A call between its encoder and the server, and the bytes that go over the wire as they are.

use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A record as it is encoded: message and metadata in one piece of bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingCall {
    #[prost(bytes = "bytes", tag = "1")]
    pub message: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub metadata: Vec<WaitingMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingMetadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Messages are encoded and decoded elsewhere.
pub(super) struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
