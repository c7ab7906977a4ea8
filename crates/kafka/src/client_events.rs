//! What a client tells beside records: why a connection fails, which brokers answer, which records were not delivered.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::{CStr, CString, c_char};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka_sys as sys;
use rdkafka_sys::{rd_kafka_resp_err_t, rd_kafka_t};

use crate::cluster_config::TokenSource;
use crate::problem::{Problem, ProblemKind};
use crate::statistics::Statistics;

/// For so long after a leader was silent those who publish may wait for an answer that was swallowed: librdkafka waits 60 s
/// (`socket.timeout.ms`), Java's client 30 s, and then up to 10 s until the next attempt to connect
/// (`reconnect.backoff.max.ms`), and then some for the metadata.
const COME_BACK_FROM_SILENCE: Duration = Duration::from_secs(75);
/// And for so long after another broker came to lead.
const COME_BACK_FROM_MOVE: Duration = Duration::from_secs(20);
/// A leader that did not answer so long ago is still one that does not answer.
const OUTAGE_LASTS: Duration = Duration::from_secs(3);

/// The context of every client. Cheap to clone: clones share what they know.
#[derive(Clone)]
pub(crate) struct ClientEvents {
    cluster: Arc<str>,
    tokens: Option<Arc<dyn TokenSource>>,
    /// Of the cluster as a whole.
    problem: Arc<Mutex<Option<Problem>>>,
    /// Of partitions that are being read, by topic and partition.
    outages: Arc<Mutex<HashMap<(String, i32), Outage>>>,
    client: Arc<OneClient>,
}

/// The leader of a partition did not answer, or it became another one.
struct Outage {
    last: Instant,
    /// Who does not answer, as `host:port/id`.
    silent: Option<String>,
    /// By then everybody has noticed that it is over.
    noticed_by_all: Instant,
}

impl Outage {
    fn new(silent: Option<String>) -> Self {
        let come_back = if silent.is_some() { COME_BACK_FROM_SILENCE } else { COME_BACK_FROM_MOVE };
        let last = Instant::now();
        Self { last, silent, noticed_by_all: last + come_back }
    }

    /// A leader that is silent is often followed by another one, and that makes nobody notice earlier.
    fn after(self, former: Option<&Self>) -> Self {
        let noticed_by_all =
            former.map_or(self.noticed_by_all, |former| former.noticed_by_all.max(self.noticed_by_all));
        Self { noticed_by_all, ..self }
    }

    /// Who does not answer at present.
    fn silent(&self) -> Option<&str> {
        self.silent.as_deref().filter(|_| self.last.elapsed() < OUTAGE_LASTS)
    }

    fn is_noticed_by_all(&self) -> bool {
        Instant::now() >= self.noticed_by_all
    }
}

/// What belongs to one client.
#[derive(Default)]
struct OneClient {
    statistics: Mutex<Option<Arc<Statistics>>>,
    undelivered: AtomicU64,
    coordinator_failures: AtomicU64,
    first_undelivered: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ClientEvents {
    pub(crate) fn new(cluster: &str, tokens: Option<Arc<dyn TokenSource>>) -> Self {
        Self {
            cluster: cluster.into(),
            tokens,
            problem: Arc::default(),
            outages: Arc::default(),
            client: Arc::default(),
        }
    }

    /// For another client of the same cluster.
    pub(crate) fn for_another_client(&self) -> Self {
        Self { client: Arc::default(), ..self.clone() }
    }

    /// Why the last connection failed, if none works since.
    pub(crate) fn problem(&self) -> Option<Problem> {
        lock(&self.problem).clone().or_else(|| {
            let outages = lock(&self.outages);
            let silent = outages.iter().find_map(|(place, outage)| Some((place, outage.silent()?)));
            let ((topic, partition), leader) = silent?;
            let detail = format!("{leader}, which leads {topic}/{partition}, is silent");
            Some(Problem { kind: ProblemKind::Address, detail })
        })
    }

    pub(crate) fn note(&self, problem: Problem) {
        let mut known = lock(&self.problem);
        let says_less = known.as_ref().is_some_and(|known| problem.kind.says_less_than(known.kind));
        if !says_less {
            if known.as_ref().map(|known| known.kind) != Some(problem.kind) {
                tracing::warn!(cluster = %self.cluster, %problem, "Kafka");
            }
            *known = Some(problem);
        }
    }

    /// Whether everybody has had the time to notice that the leader of a partition answers again.
    pub(crate) fn is_over(&self, topic: &str, partition: i32) -> bool {
        lock(&self.outages).get(&(topic.to_owned(), partition)).is_none_or(Outage::is_noticed_by_all)
    }

    /// Notes which leaders do not answer those who read, and which are new.
    fn note_outages(&self, statistics: &Statistics) {
        let mut outages = lock(&self.outages);
        outages.retain(|_, outage| !outage.is_noticed_by_all());
        let moved = statistics.moved().map(|(topic, partition)| (topic, partition, None));
        let silent = statistics.unanswered().map(|(topic, partition, leader)| (topic, partition, Some(leader)));
        for (topic, partition, leader) in moved.chain(silent) {
            let place = (topic.to_owned(), partition);
            let outage = Outage::new(leader.map(str::to_owned)).after(outages.get(&place));
            outages.insert(place, outage);
        }
    }

    /// There is a token now.
    fn has_token(&self) {
        lock(&self.problem).take_if(|problem| problem.kind == ProblemKind::Token);
    }

    /// Something has worked. That says nothing of a leader that somebody else tries to reach.
    pub(crate) fn works(&self) {
        if lock(&self.outages).values().any(|outage| outage.silent().is_some()) {
            return;
        }
        // A connection lives on for a while without a new token.
        if lock(&self.problem).take_if(|problem| problem.kind != ProblemKind::Token).is_some() {
            tracing::info!(cluster = %self.cluster, "Kafka answers again");
        }
    }

    /// Gives a client its token before it asks: it asks through the queue that is polled, and an administrative client's
    /// never is, nor a producer's while a call waits in it. Blocks as long as the token takes; nothing where nobody logs in
    /// by tokens.
    pub(crate) fn give_token(&self, client: *mut rd_kafka_t) -> Result<(), String> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let token = tokens.token().inspect_err(|reason| {
            self.note(Problem { kind: ProblemKind::Token, detail: reason.clone() });
        })?;
        let text = |text: String| CString::new(text).map_err(|_| "the token has a zero byte".to_owned());
        let (value, principal) = (text(token.value)?, text(token.principal)?);
        let mut reason = [0 as c_char; 256];
        // Sound: the client copies all of it before it returns.
        let error = unsafe {
            sys::rd_kafka_oauthbearer_set_token(
                client,
                value.as_ptr(),
                token.expires_ms,
                principal.as_ptr(),
                std::ptr::null_mut(),
                0,
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        self.has_token();
        match error {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            _ => Err(unsafe { CStr::from_ptr(reason.as_ptr()) }.to_string_lossy().into_owned()),
        }
    }

    pub(crate) fn statistics(&self) -> Option<Arc<Statistics>> {
        lock(&self.client.statistics).clone()
    }

    /// How often the connection to the coordinator of transactions has failed.
    pub(crate) fn coordinator_failures(&self) -> u64 {
        self.client.coordinator_failures.load(Ordering::Relaxed)
    }

    /// Records that the producer gave up, and the first one's reason, since this was last asked.
    pub(crate) fn take_undelivered(&self) -> Option<(u64, RDKafkaErrorCode, String)> {
        let (code, reason) = lock(&self.client.first_undelivered).take()?;
        Some((self.client.undelivered.swap(0, Ordering::Relaxed), code, reason))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl ClientContext for ClientEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(cluster = %self.cluster, ?level, facility, line, "librdkafka");
        let is_failure = facility == "FAIL" || facility == "REQTMOUT";
        if is_failure && line.contains("TxnCoordinator") {
            self.client.coordinator_failures.fetch_add(1, Ordering::Relaxed);
        }
        if (is_failure || level as i32 <= RDKafkaLogLevel::Warning as i32)
            && let Some(problem) = Problem::of_log_line(line)
        {
            self.note(problem);
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match Statistics::parse(statistics) {
            Ok(statistics) => {
                let statistics = statistics.following(self.statistics().as_deref());
                self.note_outages(&statistics);
                if statistics.some_broker_answers() {
                    self.works();
                }
                *lock(&self.client.statistics) = Some(Arc::new(statistics));
            }
            Err(error) => tracing::warn!(cluster = %self.cluster, %error, "librdkafka's statistics cannot be read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(cluster = %self.cluster, %error, reason, "librdkafka");
        if let Some(problem) = Problem::of_log_line(reason) {
            self.note(problem);
        } else if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            self.note(Problem { kind: ProblemKind::Login, detail: reason.to_owned() });
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        oauth_token(self.tokens.as_deref(), |problem| self.note(problem)).inspect(|_| self.has_token())
    }
}

/// What a client asks for when it logs in by OAUTHBEARER.
pub(crate) fn oauth_token(
    tokens: Option<&dyn TokenSource>,
    note: impl FnOnce(Problem),
) -> Result<OAuthToken, Box<dyn Error>> {
    let Some(tokens) = tokens else { return Err("no source of tokens".into()) };
    match tokens.token() {
        Ok(token) => {
            Ok(OAuthToken { token: token.value, principal_name: token.principal, lifetime_ms: token.expires_ms })
        }
        Err(reason) => {
            note(Problem { kind: ProblemKind::Token, detail: reason.clone() });
            Err(reason.into())
        }
    }
}

impl ConsumerContext for ClientEvents {}

impl ProducerContext for ClientEvents {
    type DeliveryOpaque = ();

    /// Called for failures only (`delivery.report.only.error`).
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.client.undelivered.fetch_add(1, Ordering::Relaxed);
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            lock(&self.client.first_undelivered).get_or_insert_with(|| (code, error.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_after_a_silent_one_makes_nobody_notice_earlier() {
        let silent = Outage::new(Some("a:1/1".to_owned()));
        let until = silent.noticed_by_all;
        let moved = Outage::new(None).after(Some(&silent));
        assert_eq!((moved.noticed_by_all, moved.silent()), (until, None));
        assert!(Outage::new(None).noticed_by_all < until && !moved.is_noticed_by_all());
    }
}
