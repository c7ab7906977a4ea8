//! The sink `http` against a receiver that keeps what it gets.

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::contract::{FaultyServer, Request, Response, Subject, Upstream, check};
use delivery::{CourierOptions, Destination, EncodedBatch, EncodedBatchBuilder, ErrorClass};
use serde_json::{Value, json};
use sinks::{Guarantee, PlannedSink};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::planned::{body, encode, json as json_of, plan, print, texts};
use crate::receiver::{Receiver, rows};

fn sink(url: &str, more: &Value) -> Box<dyn PlannedSink> {
    let mut document = json!({ "url": format!("{url}/take"), "timeout": "800ms" });
    more.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
    plan("http", document, &rows(&[]).schema()).unwrap()
}

struct Http {
    receiver: Arc<Receiver>,
    settings: Value,
    sink: Box<dyn PlannedSink>,
}

impl Http {
    fn new(settings: Value) -> Self {
        Self { receiver: Arc::default(), sink: sink("http://127.0.0.1:1", &settings), settings }
    }
}

#[async_trait]
impl Subject for Http {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.receiver) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        sink(url, &self.settings).destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, "good")]), number as i64).records.record(0).to_vec()
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, "poison")]), number as i64).records.record(0).to_vec()
    }

    async fn stored(&self) -> Vec<u64> {
        self.receiver.numbers()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { batch_records_max: options.batch_records_max.min(self.sink.limits().records_max), ..options }
    }

    /// The receiver does not know a request again.
    fn is_idempotent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_requests() {
    let outcomes = check(async || Http::new(json!({}))).await;
    print("HTTP, single", &outcomes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches() {
    let settings = json!({ "mode": "batch", "compression": "gzip", "auth": "bearer", "secret": "token" });
    let outcomes = check(async || Http::new(settings.clone())).await;
    print("HTTP, batch", &outcomes);
}

/// Answers as a function says.
struct Answers<F>(F);

#[async_trait]
impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Upstream for Answers<F> {
    async fn answer(&self, request: Request) -> Response {
        (self.0)(&request)
    }
}

async fn serve(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> FaultyServer {
    FaultyServer::start(Arc::new(Answers(answer))).await.unwrap()
}

async fn deliver(sink: &dyn PlannedSink, records: &EncodedBatch) -> Result<delivery::Answer, delivery::CallError> {
    sink.destination().unwrap().deliver(records).await
}

#[tokio::test]
async fn requests_are_as_the_document_says() {
    let receiver = Arc::new(Receiver::default());
    let server = FaultyServer::start(Arc::clone(&receiver) as _).await.unwrap();
    let settings = json!({
        "url": format!("{}/orders/{{{{ n }}}}?a=b", server.url()), "method": "PUT", "query": { "note": "{{ note }} & more" },
        "headers": { "X-Note": "{{ note }}", "X-Fixed": "yes" }, "secretHeaders": { "X-Key": "key" },
        "auth": "basic", "username": "user", "secret": "password", "inFlight": 1,
    });
    let planned = sink(&server.url(), &settings);
    assert!(matches!(planned.guarantee(), Guarantee::AtLeastOnce(_)));
    let encoded = encode(planned.as_ref(), &rows(&[(1, "a"), (2, "b c"), (3, "line\nfeed"), (4, "é")]), 0);
    let host = server.url();
    assert_eq!(
        texts(&encoded.records),
        [
            format!("{host}/orders/1?a=b&note=a+%26+more\nx-note: a\n\n{{\"n\":1,\"note\":\"a\"}}"),
            format!("{host}/orders/2?a=b&note=b+c+%26+more\nx-note: b c\n\n{{\"n\":2,\"note\":\"b c\"}}"),
            format!("{host}/orders/4?a=b&note=%C3%A9+%26+more\nx-note: é\n\n{{\"n\":4,\"note\":\"é\"}}"),
        ]
    );
    assert_eq!(encoded.rows, [0, 1, 3]);
    assert_eq!(encoded.refused, [(2, "the header `x-note` has \\u{a} in it, which a header cannot say".to_owned())]);
    assert_eq!(deliver(planned.as_ref(), &encoded.records).await.unwrap().errors, []);
    let requests = receiver.requests();
    let second = requests.iter().find(|request| request.target.starts_with("/orders/2")).unwrap();
    assert_eq!((second.method.as_str(), second.target.as_str()), ("PUT", "/orders/2?a=b&note=b+c+%26+more"));
    for (name, value) in [
        ("x-note", "b c"),
        ("x-fixed", "yes"),
        ("x-key", "k3y"),
        ("authorization", "Basic dXNlcjpvcGVuIHNlc2FtZQ=="),
        ("content-type", "application/json"),
    ] {
        assert_eq!(second.header(name), Some(value));
    }
    assert!(second.header("user-agent").unwrap().starts_with("millrace/"));
    assert_eq!(json_of(second), json!({ "n": 2, "note": "b c" }));
}

#[tokio::test]
async fn a_record_is_known_again_by_its_header() {
    let planned = sink("http://127.0.0.1:1", &json!({ "idempotencyHeader": "Idempotency-Key" }));
    let texts = texts(&encode(planned.as_ref(), &rows(&[(1, "a"), (1, "a")]), 16).records);
    assert_eq!(texts[1], "http://127.0.0.1:1/take\nidempotency-key: orders/0/17\n\n{\"n\":1,\"note\":\"a\"}");
    // A row of a query has no offset; it is known by what it says.
    let of_query = planned.encoder().encode(&rows(&[(1, "a"), (1, "a"), (2, "a")]), None).unwrap().records;
    assert_eq!(of_query.record(0), of_query.record(1));
    assert_ne!(of_query.record(0)[..80], of_query.record(2)[..80]);
}

#[tokio::test]
async fn records_with_the_same_address_share_a_request() {
    let receiver = Arc::new(Receiver::default());
    let server = FaultyServer::start(Arc::clone(&receiver) as _).await.unwrap();
    let settings = json!({
        "url": format!("{}/{{{{ note }}}}", server.url()), "mode": "batch", "batchFormat": "wrapper", "wrapper": "[{{ records }}]",
    });
    let planned = sink(&server.url(), &settings);
    let many: Vec<(u64, &str)> = (0..100).map(|n| (n, ["a", "b", "c"][n as usize % 3])).collect();
    let encoded = encode(planned.as_ref(), &rows(&many), 0);
    assert_eq!(deliver(planned.as_ref(), &encoded.records).await.unwrap().errors, []);
    let mut requests: Vec<(String, usize)> = receiver
        .requests()
        .iter()
        .map(|request| (request.target.clone(), json_of(request)[0].as_array().unwrap().len()))
        .collect();
    requests.sort();
    assert_eq!(requests, [("/a".to_owned(), 34), ("/b".to_owned(), 33), ("/c".to_owned(), 33)]);
}

/// When several requests are sent, only the refused one is tried by halves.
#[tokio::test]
async fn one_poison_in_one_of_several_requests() {
    let receiver = Arc::new(Receiver::default());
    let server = FaultyServer::start(Arc::clone(&receiver) as _).await.unwrap();
    let settings = json!({
        "url": format!("{}/take", server.url()), "mode": "batch", "batchFormat": "lines", "query": { "half": "{% if n < 50 %}a{% else %}b{% endif %}" },
    });
    let planned = sink(&server.url(), &settings);
    let many: Vec<(u64, &str)> = (0..100).map(|n| (n, if n == 31 { "poison" } else { "good" })).collect();
    let encoded = encode(planned.as_ref(), &rows(&many), 0);
    let answer = deliver(planned.as_ref(), &encoded.records).await.unwrap();
    let errors: Vec<_> = answer.errors.iter().map(|error| (error.index, error.class, error.reason.as_str())).collect();
    assert_eq!(errors, [(31, ErrorClass::Refused, "it answers 422 Unprocessable Entity: 31 is poison")]);
    let mut numbers = receiver.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).filter(|n| *n != 31).collect::<Vec<_>>());
}

/// Each request takes a while, and one fails.
struct Slow {
    order: Mutex<Vec<u64>>,
    running: AtomicU32,
    most: AtomicU32,
}

#[async_trait]
impl Upstream for Slow {
    async fn answer(&self, request: Request) -> Response {
        let n = json_of(&request)["n"].as_u64().unwrap();
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1 + 7 * n % 13)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.order.lock().unwrap().push(n);
        Response::new(if n == 40 { 503 } else { 200 }, "")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_key_keep_their_order() {
    const KEYS: u64 = 8;
    let slow = Arc::new(Slow { order: Mutex::default(), running: AtomicU32::new(0), most: AtomicU32::new(0) });
    let server = FaultyServer::start(Arc::clone(&slow) as _).await.unwrap();
    let planned = sink(&server.url(), &json!({ "inFlight": 16 }));
    let many: Vec<(u64, &str)> = (0..80).map(|n| (n, "")).collect();
    let encoded = encode(planned.as_ref(), &rows(&many), 0);
    let keys: Vec<u64> = (0..80).map(|n| n % KEYS).collect();
    let answer = deliver(planned.as_ref(), &encoded.records.keyed(&keys.into())).await.unwrap();
    // What is behind the one that failed did not go before it.
    let behind: Vec<usize> = (40..80).step_by(KEYS as usize).collect();
    assert_eq!(answer.errors.iter().map(|error| error.index).collect::<Vec<_>>(), behind);
    assert!(answer.errors.iter().all(|error| error.class == ErrorClass::Down));
    let mut of_keys: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    slow.order.lock().unwrap().iter().for_each(|n| of_keys.entry(n % KEYS).or_default().push(*n));
    assert!(of_keys.values().all(|numbers| numbers.is_sorted()), "{of_keys:?}");
    assert_eq!(of_keys[&0], [0, 8, 16, 24, 32, 40]);
    let most = u64::from(slow.most.load(Ordering::SeqCst));
    assert!((2..=KEYS).contains(&most), "{most} at a time");
}

#[tokio::test]
async fn a_server_in_trouble_is_not_tried_with_everything() {
    let server = serve(|_| Response::new(500, "broken")).await;
    let planned = sink(&server.url(), &json!({ "inFlight": 4 }));
    let many: Vec<(u64, &str)> = (0..1_000).map(|n| (n, "")).collect();
    let records = encode(planned.as_ref(), &rows(&many), 0).records;
    let error = deliver(planned.as_ref(), &records).await.unwrap_err();
    assert_eq!(
        (error.class, error.reason.as_str()),
        (ErrorClass::Down, "it answers 500 Internal Server Error: broken")
    );
    assert!(server.calls().len() < 16, "{} calls", server.calls().len());
}

#[tokio::test]
async fn an_answer_names_the_records_that_were_not_taken() {
    let server = serve(|request| {
        let records = json_of(request);
        let failed = records.as_array().unwrap().iter().enumerate().filter(|(_, record)| record["note"] == "poison");
        let failed: Vec<Value> = failed.map(|(index, _)| json!({ "index": index, "message": "no" })).collect();
        Response::new(207, json!({ "failed": failed }).to_string())
    })
    .await;
    let settings =
        json!({ "mode": "batch", "failedItems": "/failed", "failedIndex": "/index", "failedReason": "/message" });
    let planned = sink(&server.url(), &settings);
    let records = encode(planned.as_ref(), &rows(&[(1, ""), (2, "poison"), (3, ""), (4, "poison")]), 0).records;
    let answer = deliver(planned.as_ref(), &records).await.unwrap();
    assert_eq!(
        answer.errors.iter().map(|error| (error.index, error.reason.as_str())).collect::<Vec<_>>(),
        [(1, "no"), (3, "no")]
    );
}

/// A token endpoint and a server that takes the token of the number it is told.
struct Tokens {
    given: AtomicU32,
    valid: AtomicU32,
    asked: Mutex<Vec<(Option<String>, String)>>,
}

#[async_trait]
impl Upstream for Tokens {
    async fn answer(&self, request: Request) -> Response {
        if request.target == "/token" {
            let authorization = request.header("authorization").map(str::to_owned);
            self.asked.lock().unwrap().push((authorization, String::from_utf8(body(&request)).unwrap()));
            let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
            let token = json!({ "access_token": format!("t{number}"), "token_type": "Bearer", "expires_in": 3_600 });
            return Response::new(200, token.to_string());
        }
        let valid = format!("Bearer t{}", self.valid.load(Ordering::SeqCst));
        Response::new(if request.header("authorization") == Some(&valid) { 204 } else { 401 }, "")
    }
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_once_when_it_is_not_taken() {
    let tokens = Arc::new(Tokens { given: AtomicU32::new(0), valid: AtomicU32::new(1), asked: Mutex::default() });
    let server = FaultyServer::start(Arc::clone(&tokens) as _).await.unwrap();
    let settings = |client_auth: &str| {
        json!({
            "auth": "oauth2", "tokenUrl": format!("{}/token", server.url()), "clientId": "a client", "secret": "password",
            "scope": "orders:write", "clientAuth": client_auth,
        })
    };
    let planned = sink(&server.url(), &settings("header"));
    let destination = planned.destination().unwrap();
    let many: Vec<(u64, &str)> = (0..50).map(|n| (n, "")).collect();
    let records = encode(planned.as_ref(), &rows(&many), 0).records;
    assert_eq!(destination.deliver(&records).await.unwrap().errors, []);
    assert_eq!(tokens.given.load(Ordering::SeqCst), 1);
    // Taken back before its end.
    tokens.valid.store(2, Ordering::SeqCst);
    assert_eq!(destination.deliver(&records).await.unwrap().errors, []);
    assert_eq!(tokens.given.load(Ordering::SeqCst), 2);
    // And for good: it is not asked for again and again.
    tokens.valid.store(0, Ordering::SeqCst);
    assert_eq!(destination.deliver(&records.part(0..1)).await.unwrap_err().class, ErrorClass::Auth);
    assert_eq!(tokens.given.load(Ordering::SeqCst), 3);
    let in_body = sink(&server.url(), &settings("body"));
    assert_eq!(deliver(in_body.as_ref(), &records.part(0..1)).await.unwrap_err().class, ErrorClass::Auth);
    let asked = tokens.asked.lock().unwrap();
    // a+client:open+sesame
    let proof = "Basic YStjbGllbnQ6b3BlbitzZXNhbWU=".to_owned();
    assert_eq!(asked[0], (Some(proof), "grant_type=client_credentials&scope=orders%3Awrite".to_owned()));
    let form = "grant_type=client_credentials&scope=orders%3Awrite&client_id=a+client&client_secret=open+sesame";
    assert_eq!(asked.last().unwrap(), &(None, form.to_owned()));
}

#[tokio::test]
async fn secrets_do_not_go_where_they_are_not_meant_to() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let other = serve({
        let seen = Arc::clone(&seen);
        move |request| {
            seen.lock().unwrap().push(request.clone());
            Response::new(200, "")
        }
    })
    .await;
    let to = Arc::new(Mutex::new((307, format!("{}/there", other.url()))));
    let first = serve({
        let (seen, to) = (Arc::clone(&seen), Arc::clone(&to));
        move |request| {
            seen.lock().unwrap().push(request.clone());
            let (status, to) = to.lock().unwrap().clone();
            match request.target.as_str() {
                "/take" => Response { headers: vec![("Location".to_owned(), to)], ..Response::new(status, "") },
                _ => Response::new(200, ""),
            }
        }
    })
    .await;
    let settings = |follow: bool| json!({ "followRedirects": follow, "secretHeaders": { "X-Key": "key" }, "auth": "bearer", "secret": "token" });
    let planned = sink(&first.url(), &settings(true));
    let records = encode(planned.as_ref(), &rows(&[(1, "")]), 0).records;
    assert_eq!(deliver(planned.as_ref(), &records).await.unwrap().errors, []);
    let requests: Vec<(String, bool, bool, usize)> = std::mem::take(&mut *seen.lock().unwrap())
        .iter()
        .map(|request| {
            let has = |name| request.header(name).is_some();
            (request.target.clone(), has("authorization"), has("x-key"), request.body.len())
        })
        .collect();
    let body_bytes = records.size();
    assert_eq!(requests, [("/take".into(), true, true, body_bytes), ("/there".into(), false, false, body_bytes)]);
    // To the same server they go along.
    *to.lock().unwrap() = (308, "elsewhere".to_owned());
    assert_eq!(deliver(planned.as_ref(), &records).await.unwrap().errors, []);
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((last.target.as_str(), last.header("x-key")), ("/elsewhere", Some("k3y")));
    for (status, target, reason) in [
        (307, "http://10.0.0.1/", "a private address, which sinks may not reach"),
        (307, "http://169.254.169.254/latest", "a link-local address"),
        (307, "ftp://a.example/", "no address of a web server"),
        (308, "/take", "more than 5 times"),
        (302, "/there", "would make the POST a GET"),
    ] {
        *to.lock().unwrap() = (status, target.to_owned());
        let error = deliver(planned.as_ref(), &records).await.unwrap_err();
        assert!(error.class == ErrorClass::Down && error.reason.contains(reason), "{error:?}");
    }
    let still = deliver(sink(&first.url(), &settings(false)).as_ref(), &records).await.unwrap_err();
    assert!(still.class == ErrorClass::Down && still.reason.contains("redirects are not followed"), "{still:?}");
    // A dead letter that somebody has edited.
    seen.lock().unwrap().clear();
    let mut document = settings(true);
    document["headers"] = json!({ "X-N": "{{ n }}" });
    let planned = sink(&first.url(), &document);
    let text = texts(&encode(planned.as_ref(), &rows(&[(1, "")]), 0).records).remove(0);
    for (edited, reason) in [
        (text.replace(&first.url(), &other.url()), "is not at the server of this sink"),
        (text.replace("x-n: 1", "authorization: x"), "cannot have the header `authorization`"),
        (text.replace("\n\n", "\n"), "no empty line"),
    ] {
        let mut builder = EncodedBatchBuilder::default();
        builder.push(edited.as_bytes());
        let error = deliver(planned.as_ref(), &builder.finish()).await.unwrap_err();
        assert!(error.class == ErrorClass::BadRecord && error.reason.contains(reason), "{error:?}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn records_that_cannot_be_a_request_are_refused_alone() {
    let batch = RecordBatch::try_from_iter([
        ("path", Arc::new(StringArray::from(vec!["good", "../admin", "a b", "good", "good", "http://x/"])) as ArrayRef),
        ("price", Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0])) as ArrayRef),
        ("note", Arc::new(StringArray::from(vec!["", "", "", "", &"x".repeat(2_000), ""])) as ArrayRef),
    ])
    .unwrap();
    let document = json!({ "url": "http://127.0.0.1:1/{{ path }}", "bodyBytes": 1_024 });
    let planned = plan("http", document, &batch.schema()).unwrap();
    let encoded = encode(planned.as_ref(), &batch, 0);
    assert_eq!(encoded.rows, [0, 2, 5]);
    for ((row, reason), (expected, words)) in encoded.refused.iter().zip([
        (1, "has a step to another path"),
        (3, "`price` is not a finite number"),
        (4, "and 1024 are the most"),
    ]) {
        assert!(*row == expected && reason.contains(words), "{row}: {reason}");
    }
    let anywhere = plan("http", json!({ "url": "{{ path }}" }), &batch.schema()).unwrap();
    let encoded = encode(anywhere.as_ref(), &batch, 0);
    assert_eq!(encoded.rows, [5]);
    assert!(encoded.refused[0].1.contains("is no address"), "{:?}", encoded.refused);
}

#[tokio::test]
async fn secrets_without_encryption_are_noticed() {
    for (url, secret, is_noticed) in [
        ("http://shop.example", json!({ "X-Key": "key" }), true),
        ("http://shop.example/{{ n }}", json!({ "X-Key": "key" }), true),
        ("https://shop.example", json!({ "X-Key": "key" }), false),
        ("http://shop.example", json!({}), false),
    ] {
        let document = json!({ "url": url, "secretHeaders": secret });
        let planned = plan("http", document, &rows(&[]).schema()).unwrap();
        assert_eq!(planned.notice().await.is_some(), is_noticed, "{url}");
    }
}

#[test]
fn what_does_not_fit_is_refused_when_planned() {
    let schema = rows(&[]).schema();
    for (more, key) in [
        (json!({ "url": "http://a.example/{{ nobody }}" }), "url"),
        (json!({ "url": "shop" }), "url"),
        (json!({ "url": "ftp://shop.example/" }), "url"),
        (json!({ "url": "http://user:pass@shop.example/" }), "url"),
        (json!({ "url": "http://10.0.0.1/{{ n }}" }), "url"),
        (json!({ "url": "http://{{ note }}/", "auth": "bearer", "secret": "token" }), "url"),
        (json!({ "url": "http://{{ note }}/", "secretHeaders": { "X-Key": "key" } }), "url"),
        (json!({ "query": { "a": "{{ nobody }}" } }), "query"),
        (json!({ "headers": { "a b": "x" } }), "headers"),
        (json!({ "headers": { "Host": "x" } }), "headers"),
        (json!({ "headers": { "Authorization": "x" } }), "headers"),
        (json!({ "headers": { "X": "a\nb" } }), "headers"),
        (json!({ "secretHeaders": { "X": "nothing" } }), "secretHeaders"),
        (json!({ "secretHeaders": { "X": "lines" } }), "secretHeaders"),
        (json!({ "secretHeaders": { "Authorization": "key" }, "auth": "bearer", "secret": "token" }), "secretHeaders"),
        (json!({ "body": "template" }), "template"),
        (json!({ "body": "template", "template": "{{ nobody }}" }), "template"),
        (json!({ "body": "none", "mode": "batch" }), "body"),
        (json!({ "mode": "batch", "batchFormat": "wrapper" }), "wrapper"),
        (json!({ "mode": "batch", "batchFormat": "wrapper", "wrapper": "[]" }), "wrapper"),
        (json!({ "contentType": "a\nb" }), "contentType"),
        (json!({ "idempotencyHeader": "a b" }), "idempotencyHeader"),
        (json!({ "auth": "basic", "secret": "password" }), "username"),
        (json!({ "auth": "bearer" }), "secret"),
        (json!({ "auth": "bearer", "secret": "lines" }), "secret"),
        (json!({ "auth": "oauth2", "secret": "password", "clientId": "c" }), "tokenUrl"),
        (json!({ "auth": "oauth2", "secret": "password", "tokenUrl": "http://a.example/" }), "clientId"),
        (
            json!({ "auth": "oauth2", "secret": "password", "clientId": "c", "tokenUrl": "http://10.0.0.1/" }),
            "tokenUrl",
        ),
        (json!({ "statuses": { "404": "fine" } }), "statuses"),
        (json!({ "statuses": { "400": "partial" } }), "statuses"),
        (json!({ "failedIndex": "/i" }), "failedIndex"),
        (json!({ "failedItems": "errors" }), "failedItems"),
        (json!({ "timeout": "1m" }), "timeout"),
    ] {
        let mut document = json!({ "url": "http://shop.example/take" });
        more.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
        let error = plan("http", document, &schema).err().unwrap_or_else(|| panic!("{more} is taken"));
        assert_eq!(error.key.as_deref(), Some(key), "{more}: {error:?}");
        assert!(!format!("{error:?}").contains("pass@"), "{error:?}");
    }
}
