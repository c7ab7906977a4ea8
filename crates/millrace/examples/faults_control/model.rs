//! What was done to each resource, and what it may therefore be.

use crate::Random;
use serde_json::{Value, json};

/// One change; without a body it is a deletion.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub body: Option<Value>,
    pub key: String,
    /// As the audit log calls it; records are not in it.
    action: Option<&'static str>,
    after: Option<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Topic { description: u64, records: u64 },
    Dagger { variant: u64, is_running: bool },
}

#[derive(Debug)]
pub struct Thing {
    pub name: String,
    is_dagger: bool,
    now: Option<State>,
    /// What the audit log has to have.
    actions: Vec<&'static str>,
    /// The one without an answer.
    maybe: Option<Request>,
    /// Records whose publishing got no answer may be there.
    records_maybe: u64,
    /// It was sent again and answered, so it must have been done.
    is_repeated: bool,
    /// Grows with each request, so that no two are alike.
    asked: u64,
}

const RECORDS: u64 = 3;

impl Thing {
    /// The topics and daggers of one client.
    pub fn all_of(client: u64) -> Vec<Thing> {
        let thing = |is_dagger, name| Thing {
            name,
            is_dagger,
            now: None,
            actions: Vec::new(),
            maybe: None,
            records_maybe: 0,
            is_repeated: false,
            asked: 0,
        };
        let topics = (0..2).map(|number| thing(false, format!("topic-{client}-{number}")));
        topics.chain((0..3).map(|number| thing(true, format!("dagger-{client}-{number}")))).collect()
    }

    pub fn is_dagger(&self) -> bool {
        self.is_dagger
    }

    pub fn is_there(&self) -> bool {
        self.now.is_some()
    }

    pub fn kind(&self) -> &'static str {
        if self.is_dagger { "Dagger" } else { "Topic" }
    }

    pub fn path(&self) -> String {
        format!("/{}s/{}", self.kind().to_lowercase(), self.name)
    }

    pub fn maybe(&self) -> Option<&Request> {
        self.maybe.as_ref().filter(|request| request.action.is_some())
    }

    /// What is done to it next.
    pub fn next(&mut self, random: &mut Random) -> Request {
        self.asked += 1;
        let fresh = self.asked;
        let key = format!("{}-{fresh}", self.name);
        let request = |path: String, body, action, after| Request { path, body, key, action, after };
        match &self.now {
            None if self.is_dagger => {
                let after = State::Dagger { variant: fresh, is_running: random.below(2) == 0 };
                request("/daggers".to_owned(), Some(self.document(&after)), Some("create"), Some(after))
            }
            None => {
                let after = State::Topic { description: fresh, records: 0 };
                request("/topics".to_owned(), Some(self.document(&after)), Some("create"), Some(after))
            }
            Some(State::Topic { records, description }) => match random.below(4) {
                0 => request(self.path(), None, Some("delete"), None),
                1 => {
                    let after = State::Topic { records: *records, description: fresh };
                    request("/apply".to_owned(), Some(self.document(&after)), Some("update"), Some(after))
                }
                _ => {
                    let after = State::Topic { records: records + RECORDS, description: *description };
                    let body = (0..RECORDS).map(|_| json!({ "valueBase64": "CgFh" })).collect::<Vec<_>>();
                    request(format!("{}/records", self.path()), Some(json!(body)), None, Some(after))
                }
            },
            Some(State::Dagger { variant, is_running }) => match random.below(6) {
                0 => request(self.path(), None, Some("delete"), None),
                1 | 2 => {
                    let after = State::Dagger { variant: fresh, is_running: random.below(2) == 0 };
                    request("/apply".to_owned(), Some(self.document(&after)), Some("update"), Some(after))
                }
                _ => {
                    let word = if *is_running { "stop" } else { "start" };
                    let after = State::Dagger { variant: *variant, is_running: !is_running };
                    request(format!("{}/{word}", self.path()), Some(json!({})), Some("update"), Some(after))
                }
            },
        }
    }

    fn document(&self, state: &State) -> Value {
        let spec = match state {
            State::Topic { description, .. } => json!({ "partitions": 1, "description": description.to_string() }),
            State::Dagger { variant, is_running } => {
                // One of three writes a topic, which is made on the way; every other edit changes what is computed.
                let mut sinks = vec![json!({ "kind": "series", "measurement": self.name })];
                if self.name.ends_with('0') {
                    sinks.push(json!({ "kind": "topic", "topic": format!("of-{}", self.name) }));
                }
                json!({
                    "streams": [{ "topics": ["events"], "table": "t", "timestamp": "at" }],
                    "sql": format!("SELECT name, amount + {} AS amount, rowtime FROM t", variant / 2),
                    "parallelism": 1 + variant % 2,
                    "checkpoint": { "interval": format!("{}ms", 100 + variant % 800) },
                    "sinks": sinks, "state": if *is_running { "running" } else { "suspended" },
                })
            }
        };
        json!({ "apiVersion": "millrace/v1", "kind": self.kind(), "metadata": { "name": self.name }, "spec": spec })
    }

    pub fn acknowledged(&mut self, request: &Request) {
        self.actions.extend(request.action);
        self.now.clone_from(&request.after);
        if request.after.is_none() {
            self.records_maybe = 0;
        }
    }

    pub fn unanswered(&mut self, request: Request) {
        if request.action.is_none() {
            self.records_maybe += RECORDS;
        } else {
            self.maybe = Some(request);
        }
    }

    pub fn was_repeated(&mut self) {
        self.is_repeated = true;
    }

    /// How many lines the audit log has to have at least, and at most.
    pub fn lines(&self) -> (usize, usize) {
        let maybe = usize::from(self.maybe.is_some());
        (self.actions.len() + if self.is_repeated { maybe } else { 0 }, self.actions.len() + maybe)
    }

    /// Takes the side of the two that the audit log has; `false` if it has neither.
    pub fn settle(&mut self, found: &[String]) -> bool {
        let maybe = self.maybe.take();
        self.is_repeated = false;
        if let Some(request) = maybe.filter(|_| found.len() > self.actions.len()) {
            self.acknowledged(&request);
        }
        self.actions.iter().eq(found)
    }

    /// What is wrong with what the server shows, after so many changes.
    pub fn wrong(&mut self, shown: Option<&Value>, changes: usize) -> Option<String> {
        let (Some(now), Some(shown)) = (&mut self.now, shown) else {
            return (self.now.is_some() != shown.is_some())
                .then(|| "it is there, or not, against what was done".to_owned());
        };
        let is = |pointer: &str, wanted: Value| {
            let found = shown.pointer(pointer).cloned().unwrap_or_default();
            (found != wanted).then(|| format!("{pointer} is {found}, not {wanted}"))
        };
        let generation = is("/metadata/generation", json!(changes));
        match now {
            State::Topic { description, records } => {
                let found = shown.pointer("/status/records").and_then(Value::as_u64).unwrap_or(u64::MAX);
                let legal = *records..=*records + self.records_maybe;
                if !legal.contains(&found) {
                    return Some(format!("it has {found} records, not {legal:?}"));
                }
                (*records, self.records_maybe) = (found, 0);
                generation.or(is("/spec/description", json!(description.to_string())))
            }
            State::Dagger { variant, is_running } => {
                let state = if *is_running { "running" } else { "suspended" };
                generation
                    .or(is("/spec/checkpoint/interval", json!(format!("{}ms", 100 + *variant % 800))))
                    .or(is("/spec/state", json!(state)))
                    .or(is("/status/state", json!(state)))
            }
        }
    }
}
