//! What happens, told to whoever listens: changes of resources and of the states of daggers.

use crate::resource::Kind;
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// A listener that is slower than this many events misses some, and is told so.
const EVENTS_QUEUED_MAX: usize = 1_024;

#[derive(Debug, Clone)]
pub enum Event {
    /// A resource was made, changed or deleted.
    Change { kind: Kind, name: String, action: &'static str, generation: i64 },
    /// A dagger or firehose went into another state.
    State { kind: Kind, name: String, state: &'static str, reason: Option<String> },
}

impl Event {
    pub fn to_json(&self) -> Value {
        match self {
            Event::Change { kind, name, action, generation } => json!({
                "event": "change", "kind": kind.as_str(), "name": name, "action": action, "generation": generation,
                "at": millis(now_ms()),
            }),
            Event::State { kind, name, state, reason } => json!({
                "event": "state", "kind": kind.as_str(), "name": name, "state": state, "reason": reason, "at": millis(now_ms()),
            }),
        }
    }
}

/// Where events go out.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(EVENTS_QUEUED_MAX).0)
    }
}

impl Events {
    pub fn tell(&self, event: Event) {
        // Nobody listening is no reason to do anything else.
        let _ = self.0.send(event);
    }

    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
