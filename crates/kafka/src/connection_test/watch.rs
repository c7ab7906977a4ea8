//! Reads in a client's log how far its connection gets and why it gets no further.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Step;
use crate::client_events::oauth_token;
use crate::cluster_config::{ClusterConfig, ConfigError, TokenSource};
use crate::problem::{Problem, ProblemKind};

/// Shared with the client whose log it reads.
#[derive(Clone)]
pub(super) struct Watch {
    tokens: Option<Arc<dyn TokenSource>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    problems: Vec<Problem>,
    /// By broker, as the log calls it.
    brokers: HashMap<String, Reached>,
}

/// When a connection came to each of its states (`rd_kafka_broker_state_names` in librdkafka), the last time.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    states: Vec<(State, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Connect,
    Handshake,
    /// The first request: with TLS 1.3 a broker that refuses our certificate does so here.
    Versions,
    Login,
    Up,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "CONNECT" => State::Connect,
            "SSL_HANDSHAKE" => State::Handshake,
            "APIVERSION_QUERY" => State::Versions,
            "AUTH_LEGACY" | "AUTH_HANDSHAKE" | "AUTH_REQ" => State::Login,
            "UP" => State::Up,
            _ => return None,
        })
    }
}

impl Reached {
    fn enter(&mut self, state: State) {
        if state == State::Connect {
            self.states.clear();
        }
        if self.states.last().is_none_or(|(last, _)| *last < state) {
            self.states.push((state, Instant::now()));
        }
    }

    fn furthest(&self) -> Option<State> {
        self.states.last().map(|(state, _)| *state)
    }

    pub fn is_up(&self) -> bool {
        self.furthest() == Some(State::Up)
    }

    pub fn is_encrypted(&self) -> bool {
        self.furthest() > Some(State::Handshake)
    }

    /// How long the connection stayed in what belongs to a step.
    pub fn took(&self, step: Step) -> Duration {
        let state = match step {
            Step::Encryption => State::Handshake,
            Step::ClientCertificate => State::Versions,
            Step::Login => State::Login,
            _ => return Duration::ZERO,
        };
        let Some(index) = self.states.iter().position(|(entered, _)| *entered == state) else { return Duration::ZERO };
        self.states.get(index + 1).map_or(Duration::ZERO, |(_, left)| left.duration_since(self.states[index].1))
    }

    /// The step that the connection stands at when nothing says why it does not go on.
    pub fn step_under_way(&self, steps: &[Step]) -> Step {
        let step = match self.furthest() {
            None | Some(State::Connect) => Step::Address,
            Some(State::Handshake) => Step::Encryption,
            // Whoever does not speak our protocol says nothing at all, too.
            Some(State::Versions) if !steps.contains(&Step::Encryption) => Step::Encryption,
            Some(State::Versions) => Step::ClientCertificate,
            Some(State::Login) => Step::Login,
            Some(State::Up) => Step::Topics,
        };
        match step {
            Step::ClientCertificate if !steps.contains(&step) => Step::Topics,
            step => step,
        }
    }
}

pub(super) fn client(config: &ClusterConfig) -> Result<(BaseConsumer<Watch>, Watch), ConfigError> {
    let watch = Watch { tokens: config.token_source(), seen: Arc::default() };
    let client = config
        .client()
        .set("debug", "broker")
        .set_log_level(RDKafkaLogLevel::Debug)
        .create_with_context(watch.clone())
        .map_err(|error| ConfigError::Refused(error.to_string()))?;
    Ok((client, watch))
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What does not go away by waiting some seconds. Trying a login again and again could lock its user out.
    pub fn decisive(&self) -> Option<Problem> {
        const CLOSED_MAX: usize = 3;
        let seen = self.lock();
        let says_why = |problem: &&Problem| !matches!(problem.kind, ProblemKind::Other | ProblemKind::Closed);
        let mut closed = seen.problems.iter().filter(|problem| problem.kind == ProblemKind::Closed);
        seen.problems.iter().find(says_why).or_else(|| closed.nth(CLOSED_MAX - 1)).cloned()
    }

    pub fn last_problem(&self) -> Option<Problem> {
        self.lock().problems.last().cloned()
    }

    /// Of the connection that got furthest.
    pub fn reached(&self) -> Reached {
        let seen = self.lock();
        seen.brokers.values().max_by_key(|reached| reached.furthest()).cloned().unwrap_or_default()
    }

    fn note(&self, problem: Problem) {
        self.lock().problems.push(problem);
    }
}

/// `[thrd:ssl://a:1/bootstrap]: ssl://a:1/bootstrap: Broker changed state CONNECT -> SSL_HANDSHAKE`
fn state_change(line: &str) -> Option<(&str, State)> {
    let (front, change) = line.split_once(": Broker changed state ")?;
    let broker = front.rsplit_once("]: ").map_or(front, |(_, broker)| broker);
    Some((broker, State::parse(change.split_once(" -> ")?.1)?))
}

impl ClientContext for Watch {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::trace!(?level, facility, line, "librdkafka, testing a connection");
        if let Some((broker, state)) = state_change(line) {
            self.lock().brokers.entry(broker.to_owned()).or_default().enter(state);
        } else if matches!(facility, "FAIL" | "REQTMOUT" | "SSL" | "SSLCERTVRFY")
            && let Some(problem) = Problem::of_log_line(line)
        {
            self.note(problem);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match Problem::of_log_line(reason) {
            Some(problem) => self.note(problem),
            None if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) => {
                self.note(Problem { kind: ProblemKind::Login, detail: reason.to_owned() });
            }
            None => {}
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        oauth_token(self.tokens.as_deref(), |problem| self.note(problem))
    }
}

impl ConsumerContext for Watch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_and_timed() {
        let line = "[thrd:ssl://a:1/bootstrap]: ssl://a:1/bootstrap: Broker changed state CONNECT -> SSL_HANDSHAKE";
        assert_eq!(state_change(line), Some(("ssl://a:1/bootstrap", State::Handshake)));
        assert_eq!(state_change("[thrd:main]: Broker changed state UP -> DOWN"), None);
        assert_eq!(state_change("[thrd:main]: something else"), None);
        let mut reached = Reached::default();
        reached.enter(State::Connect);
        reached.enter(State::Handshake);
        assert_eq!(reached.step_under_way(&[Step::Encryption]), Step::Encryption);
        reached.enter(State::Versions);
        assert!(!reached.is_up());
        // Anew after a failure.
        reached.enter(State::Connect);
        assert_eq!(reached.step_under_way(&[]), Step::Address);
        reached.enter(State::Versions);
        assert_eq!(reached.step_under_way(&[]), Step::Encryption);
        assert_eq!(reached.step_under_way(&[Step::Encryption]), Step::Topics);
    }
}
