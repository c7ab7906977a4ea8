//! Every way to connect, and every way to fail at it, against a real broker.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka::{
    ClusterConfig, Compression, Delivery, KafkaLog, Outcome, Sasl, Scram, Security, Step, StepOutcome, TEST_TIME_MAX,
    Token, TokenSource, Writer, WriterOptions, test_connection,
};
use log::TopicLog;

use crate::cluster::{connect, record, topic, values, variable};

fn certificate(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(format!("{}/{name}", variable("MILLRACE_KAFKA_CERTS"))).unwrap())
}

fn config(bootstrap: &str, security: Security) -> ClusterConfig {
    ClusterConfig { security, ..ClusterConfig::plaintext("test", &[bootstrap]) }
}

/// By the name of a listener, as the variable that says where it is has it.
fn at(listener: &str, security: Security) -> ClusterConfig {
    config(&variable(&format!("MILLRACE_KAFKA_{listener}")), security)
}

fn open() -> Security {
    Security::default()
}

fn tls() -> Security {
    Security { tls: true, authority: certificate("ca.crt"), ..open() }
}

/// A client's certificate.
fn of(security: Security, name: &str) -> Security {
    let (certificate, key) = (certificate(&format!("{name}.crt")), certificate(&format!("{name}.key")));
    Security { certificate, key, ..security }
}

fn with(security: Security, sasl: Sasl) -> Security {
    Security { sasl: Some(sasl), ..security }
}

fn plain(username: &str, password: &str) -> Sasl {
    Sasl::Plain { username: username.to_owned(), password: password.to_owned() }
}

fn scram(hash: Scram, username: &str, password: &str) -> Sasl {
    Sasl::Scram { hash, username: username.to_owned(), password: password.to_owned() }
}

fn alice() -> Sasl {
    scram(Scram::Sha512, "alice", "alice-secret")
}

/// Gives tokens that the test broker takes, which asks for no signature.
struct Unsigned {
    lifetime: Duration,
    given: AtomicU32,
}

impl Unsigned {
    fn living(lifetime: Duration) -> Arc<Self> {
        Arc::new(Self { lifetime, given: AtomicU32::new(0) })
    }
}

impl TokenSource for Unsigned {
    fn token(&self) -> Result<Token, String> {
        self.given.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let expires = now + self.lifetime;
        let claims = format!(r#"{{"sub":"alice","iat":{},"exp":{}}}"#, now.as_secs(), expires.as_secs_f64());
        let value = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
        Ok(Token { value, principal: "alice".to_owned(), expires_ms: expires.as_millis() as i64 })
    }
}

struct NoToken;

impl TokenSource for NoToken {
    fn token(&self) -> Result<Token, String> {
        Err("https://login.example/token: connection refused".to_owned())
    }
}

fn steps(config: &ClusterConfig) -> Vec<StepOutcome> {
    let begun = Instant::now();
    let steps = test_connection(config).unwrap();
    assert!(begun.elapsed() < TEST_TIME_MAX + Duration::from_secs(1), "{:?}: {steps:?}", begun.elapsed());
    steps
}

#[track_caller]
fn passes(config: &ClusterConfig, expected: &[Step]) -> Vec<StepOutcome> {
    let steps = steps(config);
    assert!(steps.iter().all(|step| step.outcome == Outcome::Passed), "{steps:?}");
    assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), expected);
    steps
}

/// What is before the step has passed, what is after it was not reached; the words are in detail and hint.
#[track_caller]
fn fails(config: &ClusterConfig, at: Step, detail: &str, hint: &str) {
    let steps = steps(config);
    let found = steps.iter().find(|step| step.outcome == Outcome::Failed).unwrap_or_else(|| panic!("{steps:?}"));
    assert_eq!(found.step, at, "{steps:?}");
    for step in &steps {
        let expected = match step.step.cmp(&at) {
            std::cmp::Ordering::Less => Outcome::Passed,
            std::cmp::Ordering::Equal => Outcome::Failed,
            std::cmp::Ordering::Greater => Outcome::NotReached,
        };
        assert_eq!(step.outcome, expected, "{steps:?}");
    }
    assert!(found.detail.contains(detail), "{found:?}");
    assert!(found.hint.as_ref().unwrap().contains(hint), "{found:?}");
    assert!(!format!("{steps:?}").contains("-secret"), "{steps:?}");
}

#[test]
fn every_protocol_and_mechanism_connects() {
    use Step::{Address, ClientCertificate, Encryption, Login, Name, Rights, Topics};
    passes(&at("BOOTSTRAP", open()), &[Name, Address, Topics, Rights]);
    passes(&at("BOOTSTRAP_MTLS", of(tls(), "alice")), &[Name, Address, Encryption, ClientCertificate, Topics, Rights]);
    for sasl in [plain("alice", "alice-secret"), alice()] {
        passes(&at("BOOTSTRAP_SASL_PLAINTEXT", with(open(), sasl)), &[Name, Address, Login, Topics, Rights]);
    }
    let token = Sasl::OauthBearer(Unsigned::living(Duration::from_secs(600)));
    for sasl in [plain("alice", "alice-secret"), scram(Scram::Sha256, "alice", "alice-secret"), alice(), token] {
        let found =
            passes(&at("BOOTSTRAP_SASL_SSL", with(tls(), sasl)), &[Name, Address, Encryption, Login, Topics, Rights]);
        assert!(found[4].detail.starts_with("1 broker, "), "{found:?}");
        assert!(found[5].detail.contains("may make topics"), "{found:?}");
    }
    // The name of the host is in the certificate; that it is not looked for can be asked for.
    let mut unnamed = at("BOOTSTRAP_SASL_SSL", with(tls(), alice()));
    unnamed.bootstrap = vec![unnamed.bootstrap[0].replace("localhost", "127.1")];
    unnamed.properties.insert("ssl.endpoint.identification.algorithm".to_owned(), "none".to_owned());
    passes(&unnamed, &[Name, Address, Encryption, Login, Topics, Rights]);
}

#[test]
fn one_address_of_several_is_enough() {
    let mut several = at("BOOTSTRAP", open());
    several.bootstrap.extend(["no-such-host.invalid:9092".to_owned(), "127.0.0.1:1".to_owned()]);
    let found = passes(&several, &[Step::Name, Step::Address, Step::Topics, Step::Rights]);
    assert!(found[0].detail.contains("2 of 3 known; no-such-host.invalid:9092: the name is not known"), "{found:?}");
    assert!(found[1].detail.contains("1 of 2 answer; 127.0.0.1:1: nobody answers"), "{found:?}");
}

#[test]
fn names_and_addresses_that_are_wrong_are_named() {
    fails(&config("no-such-host.invalid:9092", open()), Step::Name, "the name is not known", "DNS");
    fails(&config("127.0.0.1:1", open()), Step::Address, "nobody answers at 127.0.0.1:1", "firewalls");
    // Something else has this port.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = other.accept() {
            let _ = std::io::Write::write_all(&mut connection, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    fails(&config(&address, open()), Step::Address, "is no Kafka broker", "another service");
    fails(&config(&address, tls()), Step::Encryption, "do not agree on whether", "`security.protocol`");
}

#[test]
fn silence_ends() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let of_both = std::thread::scope(|scope| {
        let both = [open(), tls()].map(|security| {
            let config = config(&address, security);
            scope.spawn(move || steps(&config))
        });
        both.map(|one| one.join().unwrap())
    });
    for steps in of_both {
        let failed = steps.iter().find(|step| step.outcome == Outcome::Failed).unwrap();
        assert_eq!(failed.step, Step::Encryption, "{steps:?}");
        assert!(failed.detail.contains("does not answer"), "{steps:?}");
    }
}

#[test]
fn protocols_that_do_not_fit_are_told() {
    let protocol = "do not agree on whether the connection is encrypted";
    let hint = "`security.protocol`";
    fails(&at("BOOTSTRAP_MTLS", open()), Step::Encryption, protocol, hint);
    fails(&at("BOOTSTRAP_SASL_SSL", open()), Step::Encryption, protocol, hint);
    fails(&at("BOOTSTRAP_SASL_SSL", with(open(), alice())), Step::Encryption, protocol, hint);
    fails(&at("BOOTSTRAP", tls()), Step::Encryption, protocol, hint);
    fails(&at("BOOTSTRAP_SASL_PLAINTEXT", with(tls(), alice())), Step::Encryption, protocol, hint);
}

#[test]
fn certificates_that_are_not_trusted_are_told() {
    let other = Security { authority: certificate("otherca.crt"), ..tls() };
    let authority = "not signed by the authority that we trust";
    fails(&at("BOOTSTRAP_SASL_SSL", with(other, alice())), Step::Encryption, authority, "`security.ca`");
    let of_the_system = Security { authority: None, ..tls() };
    fails(&at("BOOTSTRAP_SASL_SSL", with(of_the_system, alice())), Step::Encryption, authority, "`security.ca`");
    let mut unnamed = at("BOOTSTRAP_SASL_SSL", with(tls(), alice()));
    unnamed.bootstrap = vec![unnamed.bootstrap[0].replace("localhost", "127.1")];
    fails(&unnamed, Step::Encryption, "is for another name", "the host name that is in the broker's certificate");
    let certificate = Step::ClientCertificate;
    fails(&at("BOOTSTRAP_MTLS", tls()), certificate, "the broker wants a certificate", "`security.certificate`");
    let mallory = of(tls(), "mallory");
    fails(&at("BOOTSTRAP_MTLS", mallory), certificate, "does not accept our certificate", "`security.certificate`");
}

#[test]
fn logins_that_are_refused_are_told() {
    let (refused, hint) = ("the broker refused name, password or token", "`security.password`");
    for sasl in [
        scram(Scram::Sha512, "alice", "wrong"),
        scram(Scram::Sha256, "alice", "wrong"),
        scram(Scram::Sha512, "nobody", "alice-secret"),
        plain("alice", "wrong"),
    ] {
        fails(&at("BOOTSTRAP_SASL_SSL", with(tls(), sasl)), Step::Login, refused, hint);
    }
    let expired = Sasl::OauthBearer(Unsigned::living(Duration::ZERO));
    fails(&at("BOOTSTRAP_SASL_SSL", with(tls(), expired)), Step::Login, "", "");
    let none = Sasl::OauthBearer(Arc::new(NoToken));
    fails(
        &at("BOOTSTRAP_SASL_SSL", with(tls(), none)),
        Step::Login,
        "login.example/token: connection refused",
        "oauth",
    );
    let unknown = scram(Scram::Sha256, "alice", "alice-secret");
    let mechanisms = "supported mechanisms: SCRAM-SHA-512,PLAIN";
    fails(&at("BOOTSTRAP_SASL_PLAINTEXT", with(open(), unknown)), Step::Login, mechanisms, "`security.mechanism`");
    let wanted = "closes connections that do not log in";
    fails(&at("BOOTSTRAP_SASL_SSL", tls()), Step::Login, wanted, "SASL_SSL");
    fails(&at("BOOTSTRAP_SASL_PLAINTEXT", open()), Step::Login, wanted, "SASL_PLAINTEXT");
    let unwanted = "takes no login";
    fails(&at("BOOTSTRAP", with(open(), alice())), Step::Login, unwanted, "the port that logs in");
    fails(&at("BOOTSTRAP_MTLS", with(of(tls(), "alice"), alice())), Step::Login, unwanted, "the port that logs in");
}

/// The broker cuts connections whose token has expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_while_records_are_read_and_published() {
    let publisher = connect();
    let topic = topic(&publisher, 1).await;
    let tokens = Unsigned::living(Duration::from_secs(8));
    let source: Arc<dyn TokenSource> = Arc::<Unsigned>::clone(&tokens);
    let log = KafkaLog::connect(at("BOOTSTRAP_SASL_SSL", with(tls(), Sasl::OauthBearer(source)))).unwrap();
    let mut reader = log.open(&topic, 0, 0).await.unwrap();
    let begun = Instant::now();
    let (mut sent, mut seen) = (0, Vec::new());
    while begun.elapsed() < Duration::from_secs(18) {
        log.produce(&topic, vec![record("k", &sent.to_string())]).await.unwrap();
        sent += 1;
        let slab = reader.poll(1 << 20, Duration::from_secs(10)).await.unwrap();
        seen.extend(values(&[slab]));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while seen.len() < sent {
        let slab = reader.poll(1 << 20, Duration::from_secs(10)).await.unwrap();
        assert!(!slab.is_empty(), "{} of {sent} came", seen.len());
        seen.extend(values(&[slab]));
    }
    assert_eq!(seen, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
    // Three clients, each with a token at first and another one after four fifths of its life.
    let given = tokens.given.load(Ordering::Relaxed);
    assert!(given >= 9, "{given} tokens in {:?}", begun.elapsed());
    assert_eq!(log.connection_problem(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_logs_in_by_token() {
    let publisher = connect();
    let topic = topic(&publisher, 1).await;
    let token = Sasl::OauthBearer(Unsigned::living(Duration::from_secs(600)));
    let log = KafkaLog::connect(at("BOOTSTRAP_SASL_SSL", with(tls(), token))).unwrap();
    let delivery = Delivery::ExactlyOnce { name: topic.clone(), timeout: Duration::from_secs(60) };
    let options = WriterOptions { topic, delivery, compression: Compression::None };
    let begun = Instant::now();
    let writer = Writer::open(&log, options, 1 << 20).unwrap();
    assert_eq!(writer.committed().unwrap(), None);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
