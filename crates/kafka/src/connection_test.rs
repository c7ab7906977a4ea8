//! Tries a cluster step by step, so that whoever connects it learns at which one it fails, and what to do.
//!
//! Names and addresses are tried by ourselves. From there on a client connects, and what its log says is read: most
//! reasons are only there.

mod addresses;
mod watch;

use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka_sys::rd_kafka_AclOperation_t as Operation;

use crate::cluster_config::{ClusterConfig, ConfigError, Sasl};
use crate::problem::{Problem, ProblemKind};
use crate::rights;
use addresses::{Place, join};
use watch::{Reached, Watch};

/// Longest time for all steps, and for those before a client connects.
pub const TEST_TIME_MAX: Duration = Duration::from_secs(10);
const NAME_TIME_MAX: Duration = Duration::from_secs(4);
const ADDRESS_TIME_MAX: Duration = Duration::from_secs(4);
const _: () = assert!(NAME_TIME_MAX.as_secs() + ADDRESS_TIME_MAX.as_secs() < TEST_TIME_MAX.as_secs());
/// How long one look at the client's log takes when nothing comes.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// What is tried, in this order. Those that a cluster has no use for are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The names of the brokers have addresses.
    Name,
    /// Somebody answers there.
    Address,
    /// Both speak TLS or neither does, and the broker is the one that we trust.
    Encryption,
    /// The broker takes the certificate that we show.
    ClientCertificate,
    Login,
    /// The cluster tells which brokers and topics it has, and these brokers are reached.
    Topics,
    /// What we may do there.
    Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    NotReached,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    pub step: Step,
    pub outcome: Outcome,
    pub took: Duration,
    /// What was found, or what is wrong.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Name => "name",
            Step::Address => "address",
            Step::Encryption => "encryption",
            Step::ClientCertificate => "clientCertificate",
            Step::Login => "login",
            Step::Topics => "topics",
            Step::Rights => "rights",
        }
    }

    fn of(problem: ProblemKind) -> Option<Step> {
        match problem {
            ProblemKind::Name => Some(Step::Name),
            ProblemKind::Address | ProblemKind::NotKafka => Some(Step::Address),
            ProblemKind::Protocol | ProblemKind::Authority => Some(Step::Encryption),
            ProblemKind::ClientCertificate => Some(Step::ClientCertificate),
            ProblemKind::Mechanism
            | ProblemKind::LoginWanted
            | ProblemKind::LoginUnwanted
            | ProblemKind::Login
            | ProblemKind::Token => Some(Step::Login),
            ProblemKind::Right => Some(Step::Rights),
            ProblemKind::Closed | ProblemKind::Other => None,
        }
    }
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotReached => "notReached",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Connects once and tells how far that gets. Takes [`TEST_TIME_MAX`] at the most; to be called where blocking is allowed.
pub fn test_connection(config: &ClusterConfig) -> Result<Vec<StepOutcome>, ConfigError> {
    config.check()?;
    let mut test = Test { config, deadline: Instant::now() + TEST_TIME_MAX, done: Vec::new() };
    // The first step that fails ends it.
    let _ = test.run()?;
    Ok(test.finish())
}

struct Test<'a> {
    config: &'a ClusterConfig,
    deadline: Instant,
    done: Vec<StepOutcome>,
}

/// A step has failed and is noted.
struct Ended;

type Reach<T> = Result<T, Ended>;

impl Test<'_> {
    fn run(&mut self) -> Result<Reach<()>, ConfigError> {
        let reached = match self.addresses() {
            Ok(reached) => reached,
            Err(ended) => return Ok(Err(ended)),
        };
        // Those that are not reached would only fill the log.
        let config = ClusterConfig { bootstrap: reached, ..self.config.clone() };
        let (client, watch) = watch::client(&config)?;
        let result = self.with_client(&client, &watch);
        // Closing waits for threads that may be resolving a name.
        std::thread::spawn(move || drop(client));
        Ok(result)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn passed(&mut self, step: Step, took: Duration, detail: impl Into<String>) {
        self.done.push(StepOutcome { step, outcome: Outcome::Passed, took, detail: detail.into(), hint: None });
    }

    fn failed(&mut self, step: Step, took: Duration, detail: impl Into<String>, hint: impl Into<String>) -> Ended {
        let (detail, hint) = (detail.into(), Some(hint.into()));
        self.done.push(StepOutcome { step, outcome: Outcome::Failed, took, detail, hint });
        Ended
    }

    /// The addresses of the spec that answer.
    fn addresses(&mut self) -> Reach<Vec<String>> {
        let begun = Instant::now();
        let (named, unknown) = addresses::resolve(&self.config.bootstrap, NAME_TIME_MAX.min(self.left()));
        if named.is_empty() {
            return Err(self.failed(Step::Name, begun.elapsed(), join(&unknown), ProblemKind::Name.hint()));
        }
        let detail = match unknown.is_empty() {
            true => format!("{} of {} known", named.len(), self.config.bootstrap.len()),
            false => format!("{} of {} known; {}", named.len(), self.config.bootstrap.len(), join(&unknown)),
        };
        self.passed(Step::Name, begun.elapsed(), detail);
        let begun = Instant::now();
        let (reached, silent) = addresses::connect(&named, ADDRESS_TIME_MAX.min(self.left()));
        if reached.is_empty() {
            return Err(self.failed(Step::Address, begun.elapsed(), join(&silent), ProblemKind::Address.hint()));
        }
        let detail = match silent.is_empty() {
            true => format!("{} of {} answer", reached.len(), named.len()),
            false => format!("{} of {} answer; {}", reached.len(), named.len(), join(&silent)),
        };
        self.passed(Step::Address, begun.elapsed(), detail);
        Ok(reached)
    }

    fn with_client(&mut self, client: &BaseConsumer<Watch>, watch: &Watch) -> Reach<()> {
        let begun = Instant::now();
        let metadata = loop {
            // Asking makes it connect. It is waited for only when the connection is there: before, the log says more.
            let is_up = watch.reached().is_up();
            let answer = client.fetch_metadata(None, if is_up { self.left() } else { Duration::from_millis(1) });
            while client.poll(LOOK_TIME).is_some() {}
            if let Ok(metadata) = answer {
                break metadata;
            }
            if let Some(problem) = watch.decisive() {
                return Err(self.connecting_failed(watch, begun, &problem));
            }
            if self.left().is_zero() {
                let problem = watch.last_problem().unwrap_or_else(|| Problem {
                    kind: ProblemKind::Other,
                    detail: format!("no answer within {} s", TEST_TIME_MAX.as_secs()),
                });
                return Err(self.connecting_failed(watch, begun, &problem));
            }
        };
        self.connected(&watch.reached());
        self.metadata(client, &metadata, begun)
    }

    fn connected(&mut self, reached: &Reached) {
        for step in self.connecting_steps() {
            let (took, detail) = (reached.took(step), self.says(step));
            self.passed(step, took, detail);
        }
    }

    /// The steps between address and topics that this cluster has.
    fn connecting_steps(&self) -> Vec<Step> {
        let security = &self.config.security;
        let has = [
            (Step::Encryption, security.tls),
            (Step::ClientCertificate, security.certificate.is_some()),
            (Step::Login, security.sasl.is_some()),
        ];
        has.into_iter().filter(|(_, is_there)| *is_there).map(|(step, _)| step).collect()
    }

    fn says(&self, step: Step) -> String {
        match (step, &self.config.security.sasl) {
            (Step::Encryption, _) => match &self.config.security.authority {
                Some(_) => "the broker's certificate is signed by the authority of the spec".to_owned(),
                None => "the broker's certificate is signed by an authority that this system trusts".to_owned(),
            },
            (Step::Login, Some(Sasl::Plain { username, .. } | Sasl::Scram { username, .. })) => {
                format!("logged in as {username}")
            }
            (Step::Login, _) => "logged in with a token".to_owned(),
            _ => "the broker takes our certificate".to_owned(),
        }
    }

    fn connecting_failed(&mut self, watch: &Watch, begun: Instant, problem: &Problem) -> Ended {
        let reached = watch.reached();
        let at = Step::of(problem.kind).unwrap_or_else(|| reached.step_under_way(&self.connecting_steps()));
        // What was passed before turns out to have failed.
        self.done.retain(|done| done.step < at);
        for step in self.connecting_steps().into_iter().filter(|step| *step < at) {
            let (took, detail) = (reached.took(step), self.says(step));
            self.passed(step, took, detail);
        }
        let took = self.took_since(begun);
        let (what, hint) = self.explain(problem.kind);
        self.failed(at, took, format!("{what} ({})", problem.detail), hint)
    }

    /// Without what the steps before took, all of which a client does at one go.
    fn took_since(&self, begun: Instant) -> Duration {
        let before: Duration = self.done.iter().filter(|done| done.step > Step::Address).map(|done| done.took).sum();
        begun.elapsed().saturating_sub(before)
    }

    /// What the log alone does not tell apart.
    fn explain(&self, kind: ProblemKind) -> (&'static str, &'static str) {
        match kind {
            ProblemKind::ClientCertificate if self.config.security.certificate.is_none() => {
                ("the broker wants a certificate of ours", kind.hint())
            }
            ProblemKind::ClientCertificate => ("the broker does not accept our certificate", kind.hint()),
            ProblemKind::Authority if self.is_trusted_by_another_name() => (
                "the broker's certificate is for another name than the one in `bootstrap`",
                "write the host name that is in the broker's certificate into `bootstrap`",
            ),
            ProblemKind::Authority => (
                "the broker's certificate is not signed by the authority that we trust",
                "put the certificate of the authority that signed the broker's into `security.ca`",
            ),
            kind => (kind.words(), kind.hint()),
        }
    }

    /// Whether the certificate would do if names were not compared. Nobody logs in for this.
    fn is_trusted_by_another_name(&self) -> bool {
        let mut config = self.config.clone();
        config.security.sasl = None;
        config.properties.insert("ssl.endpoint.identification.algorithm".to_owned(), "none".to_owned());
        let Ok((client, watch)) = watch::client(&config) else { return false };
        while !self.left().is_zero() && !watch.reached().is_encrypted() && watch.decisive().is_none() {
            let _ = client.fetch_metadata(None, Duration::from_millis(1));
            while client.poll(LOOK_TIME).is_some() {}
        }
        watch.reached().is_encrypted()
    }

    fn metadata(&mut self, client: &BaseConsumer<Watch>, metadata: &Metadata, begun: Instant) -> Reach<()> {
        let brokers: Vec<String> =
            metadata.brokers().iter().map(|broker| join_address(broker.host(), broker.port())).collect();
        let topics: Vec<String> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"))
            .map(|topic| topic.name().to_owned())
            .collect();
        self.advertised(begun, &brokers)?;
        let (broker, topic) = (counted(brokers.len(), "broker"), counted(topics.len(), "topic"));
        self.passed(Step::Topics, self.took_since(begun), format!("{broker}, {topic} to see"));
        self.rights(client, &topics)
    }

    /// Brokers say themselves where they are to be reached, which may be right only where they are.
    fn advertised(&mut self, begun: Instant, brokers: &[String]) -> Reach<()> {
        const BROKERS_TRIED_MAX: usize = 32;
        let others: Vec<String> = brokers
            .iter()
            .filter(|broker| !self.config.bootstrap.contains(broker))
            .take(BROKERS_TRIED_MAX)
            .cloned()
            .collect();
        let (named, mut missing) = addresses::resolve(&others, NAME_TIME_MAX.min(self.left()));
        let (_, silent) = addresses::connect(&named, ADDRESS_TIME_MAX.min(self.left()));
        missing.extend(silent);
        if missing.is_empty() {
            return Ok(());
        }
        let detail =
            format!("the cluster sends its clients to brokers that are not reached from here: {}", join(&missing));
        let hint = "the cluster's operators set these addresses in `advertised.listeners`; they must be names and ports \
                    that this server reaches";
        Err(self.failed(Step::Topics, self.took_since(begun), detail, hint))
    }

    fn rights(&mut self, client: &BaseConsumer<Watch>, topics: &[String]) -> Reach<()> {
        let begun = Instant::now();
        let native = client.client().native_ptr();
        let asked: Vec<&str> = topics.iter().take(rights::TOPICS_MAX).map(String::as_str).collect();
        let on_cluster = rights::on_cluster(native, self.left());
        let on_topics = match asked.is_empty() {
            true => Ok(Vec::new()),
            false => rights::on_topics(native, &asked, self.left()),
        };
        let (on_cluster, on_topics) = match (on_cluster, on_topics) {
            (Ok(on_cluster), Ok(on_topics)) => (on_cluster, on_topics),
            (Err(error), _) | (_, Err(error)) => {
                return Err(self.failed(Step::Rights, begun.elapsed(), error.reason, ProblemKind::Right.hint()));
            }
        };
        let Some(on_cluster) = on_cluster else {
            self.passed(Step::Rights, begun.elapsed(), "the brokers are too old to tell");
            return Ok(());
        };
        let may = |operation: Operation| {
            on_topics
                .iter()
                .filter(|(_, allowed)| allowed.as_ref().is_none_or(|allowed| allowed.has(operation)))
                .count()
        };
        let read = may(Operation::RD_KAFKA_ACL_OPERATION_READ);
        let write = may(Operation::RD_KAFKA_ACL_OPERATION_WRITE);
        let may_create = on_cluster.has(Operation::RD_KAFKA_ACL_OPERATION_CREATE);
        let create = if may_create { "may make topics" } else { "may not make topics" };
        let of = on_topics.len();
        let took = begun.elapsed();
        if topics.is_empty() && !may_create && !on_cluster.has(Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE) {
            let hint = "have the cluster's operators grant this user Describe and Read on the topics to read (Write on \
                        those to write)";
            return Err(self.failed(Step::Rights, took, "logged in, and sees no topic", hint));
        }
        if of > 0 && read == 0 && write == 0 {
            let hint =
                "have the cluster's operators grant this user Read on the topics to read, Write on those to write";
            let detail = format!("sees {}, may read and write none of them", counted(of, "topic"));
            return Err(self.failed(Step::Rights, took, detail, hint));
        }
        let topics = match of {
            0 => "there are no topics yet".to_owned(),
            of => format!("of {}: may read {read}, may write {write}", counted(of, "topic")),
        };
        self.passed(Step::Rights, took, format!("{topics}; {create}"));
        Ok(())
    }

    /// With the steps that were not come to.
    fn finish(mut self) -> Vec<StepOutcome> {
        let mut steps = vec![Step::Name, Step::Address];
        steps.extend(self.connecting_steps());
        steps.extend([Step::Topics, Step::Rights]);
        for step in steps {
            if !self.done.iter().any(|done| done.step == step) {
                let (outcome, detail) = (Outcome::NotReached, String::new());
                self.done.push(StepOutcome { step, outcome, took: Duration::ZERO, detail, hint: None });
            }
        }
        self.done.sort_by_key(|done| done.step);
        self.done
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn join_address(host: &str, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// For what is read besides: the words of a place that fails.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.reason)
    }
}
