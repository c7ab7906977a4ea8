//! The wire formats of the topics that a stream reads, which may differ.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use codec::{FrameReader, Payloads, RecordPart, WireFormat};
use log::{RecordIndex, Slab};
use prost_reflect::MessageDescriptor;

/// In a topic of replayed records: the header that names the topic whose wire format a record has.
pub const ORIGIN_HEADER: &str = "millrace-origin-topic";

/// What is around the messages of each topic.
#[derive(Debug, Clone, Default)]
pub struct TopicFormats {
    by_topic: HashMap<String, WireFormat>,
    /// A topic whose records have the formats of the others.
    replayed: Option<String>,
}

impl TopicFormats {
    /// A topic that is not named is bare protobuf.
    pub fn new(by_topic: impl IntoIterator<Item = (String, WireFormat)>) -> Self {
        Self { by_topic: by_topic.into_iter().collect(), replayed: None }
    }

    /// `topic` has records of the others; each names its own in [`ORIGIN_HEADER`].
    pub fn with_replayed(mut self, topic: String) -> Self {
        self.replayed = Some(topic);
        self
    }

    pub(crate) fn framing(&self, topic: &str, message: &MessageDescriptor) -> Framing {
        let reader = |format| FrameReader::new(format, message, RecordPart::Value).map(Arc::new);
        if self.replayed.as_deref() == Some(topic) {
            let readers = self.by_topic.iter().filter_map(|(topic, format)| Some((topic.clone(), reader(format)?)));
            let readers: HashMap<_, _> = readers.collect();
            return if readers.is_empty() { Framing::Same(None) } else { Framing::ByOrigin(readers) };
        }
        Framing::Same(self.by_topic.get(topic).and_then(reader))
    }
}

/// How the records of one lane are framed.
pub(crate) enum Framing {
    Same(Option<Arc<FrameReader>>),
    /// By the topic that a record comes from; one that is not here is bare.
    ByOrigin(HashMap<String, Arc<FrameReader>>),
}

impl Framing {
    /// The slab in parts that are framed alike, in order.
    pub fn runs<'a>(&self, slab: &'a Slab) -> Vec<(Cow<'a, Slab>, Option<Arc<FrameReader>>)> {
        let readers = match self {
            Framing::Same(reader) => return vec![(Cow::Borrowed(slab), reader.clone())],
            Framing::ByOrigin(readers) => readers,
        };
        let origins: Vec<&[u8]> =
            (0..slab.len()).map(|record| slab.header(record, ORIGIN_HEADER).unwrap_or_default()).collect();
        let (mut runs, mut start) = (Vec::new(), 0);
        for run in origins.chunk_by(|a, b| a == b) {
            let reader = std::str::from_utf8(run[0]).ok().and_then(|topic| readers.get(topic)).cloned();
            runs.push((Cow::Owned(part(slab, start..start + run.len())), reader));
            start += run.len();
        }
        runs
    }
}

/// Some records of a slab, over the same bytes.
fn part(slab: &Slab, records: Range<usize>) -> Slab {
    let all = &slab.records;
    let records = RecordIndex {
        offsets: all.offsets[records.clone()].to_vec(),
        timestamps_ms: all.timestamps_ms[records.clone()].to_vec(),
        append_times_ms: all.append_times_ms[records.clone()].to_vec(),
        keys: all.keys[records.clone()].to_vec(),
        values: all.values[records.clone()].to_vec(),
        headers: all.headers[records].to_vec(),
    };
    Slab { records, ..slab.clone() }
}

pub(crate) fn payloads(frames: &FrameReader, slab: &Slab) -> Payloads {
    match frames.header() {
        Some(name) => frames.read(&slab.data, &slab.records.values, |record| slab.header(record, name)),
        None => frames.read(&slab.data, &slab.records.values, |_| None),
    }
}
