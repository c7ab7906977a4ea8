//! What is known of a record beside its value.

use flow::{FlowError, RecordFile};
use log::{RecordIndex, Slab};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;

use crate::orders::{message, refused, run_files, try_plan};

/// Three records with keys and headers, handed over as one slab that begins at offset 40.
struct Handed(Option<Slab>);

impl RecordFile for Handed {
    fn next_slab(&mut self, _: usize) -> Result<Slab, FlowError> {
        Ok(self.0.take().unwrap_or_else(|| Slab::empty("trips".into(), 7, 43, i64::MAX)))
    }
}

fn handed() -> Box<dyn RecordFile> {
    let (mut data, mut records) = (Vec::new(), RecordIndex::default());
    for number in 0..3_i64 {
        let text = format!("{{\"id\": \"r{number}\", \"event_timestamp\": \"1970-01-01T00:00:0{number}Z\"}}");
        let mut json = serde_json::Deserializer::from_str(&text);
        let value = DynamicMessage::deserialize(message(), &mut json).unwrap().encode_to_vec();
        let mut put = |bytes: &[u8]| {
            data.extend_from_slice(bytes);
            ((data.len() - bytes.len()) as u32, bytes.len() as u32)
        };
        records.offsets.push(40 + number);
        records.timestamps_ms.push(1_000_000 + number);
        records.append_times_ms.push(i64::MAX);
        records.keys.push(if number == 1 { (0, log::NULL_SPAN) } else { put(b"key") });
        records.values.push(put(&value));
        let mut headers = Vec::new();
        if number == 2 {
            log::encode_headers(&mut headers, [("trace", &b"t1"[..]), ("hop", &b"2"[..])].into_iter());
        }
        records.headers.push(put(&headers));
    }
    let slab =
        Slab { topic: "trips".into(), partition: 7, data: data.into(), records, next_offset: 43, end_offset: i64::MAX };
    Box::new(Handed(Some(slab)))
}

fn check(query: &str, expected: &[&str]) {
    let (text, _) = run_files(query, vec![("orders", handed())]).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{query}");
}

#[test]
fn each_column() {
    check(
        "SELECT id, _topic, _partition, _offset, _timestamp FROM orders WHERE id <> 'r1'",
        &[
            r#"{"id":"r0","_topic":"trips","_partition":7,"_offset":40,"_timestamp":"1970-01-01T00:16:40Z"}"#,
            r#"{"id":"r2","_topic":"trips","_partition":7,"_offset":42,"_timestamp":"1970-01-01T00:16:40.002Z"}"#,
        ],
    );
    check(
        "SELECT _key AS k, ByteToString(_key) AS t FROM orders",
        &[r#"{"k":"a2V5","t":"key"}"#, r#"{"k":null,"t":null}"#, r#"{"k":"a2V5","t":"key"}"#],
    );
    check(
        "SELECT ByteToString(MapGet(_headers, 'trace')) AS t, ByteToString(_headers['hop']) AS h FROM orders",
        &[r#"{"t":null,"h":null}"#, r#"{"t":null,"h":null}"#, r#"{"t":"t1","h":"2"}"#],
    );
}

#[test]
fn in_windows_filters_and_sub_queries() {
    check(
        "SELECT max(o) AS newest, _partition, window_end AS e FROM (SELECT _offset AS o, _partition, window_start, window_end FROM \
         TABLE(TUMBLE(TABLE orders, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) WHERE _offset < 42) GROUP BY window_start, window_end, _partition",
        &[r#"{"newest":41,"_partition":7,"e":"1970-01-01T00:01:00Z"}"#],
    );
    check(
        "SELECT count(1) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders AS o WHERE o._key IS NOT NULL \
           GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)",
        &[r#"{"n":2,"e":"1970-01-01T00:01:00Z"}"#],
    );
}

#[test]
fn a_star_does_not_show_them_and_nothing_is_made_unasked() {
    let columns = |query: &str| {
        let plan = try_plan(query).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.sources.len(), 1);
        let names: Vec<String> = plan.schema.fields().iter().map(|field| field.name().clone()).collect();
        (names, plan.sources[0].metadata.len())
    };
    let (plain, made) = columns("SELECT * FROM orders");
    assert_eq!(made, 0);
    let (with_offset, made) = columns("SELECT *, _offset FROM orders");
    assert_eq!((made, with_offset.len()), (1, plain.len() + 1));
    assert_eq!(&with_offset[..plain.len()], &plain);
    assert_eq!(columns("SELECT * FROM orders WHERE _partition = 1"), (plain.clone(), 1));
    assert_eq!(columns("SELECT o.* FROM orders AS o WHERE o._partition = 1"), (plain, 1));
    refused("SELECT «_ofset» FROM orders", "_offset");
}
