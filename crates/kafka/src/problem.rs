//! What the client says in its log, in words for people. It reports most reasons for a broken connection only there.

use std::fmt;

/// At which step something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// No address belongs to the name.
    Name,
    /// Nobody answers there.
    Address,
    /// What answers there speaks another protocol.
    NotKafka,
    /// The broker speaks TLS and we do not, or the other way round.
    Protocol,
    /// Its certificate is not signed by the authority that we trust, or is for another name.
    Authority,
    /// It wants a certificate of ours, or does not take the one it got.
    ClientCertificate,
    /// It does not know the way of login.
    Mechanism,
    /// It lets nobody in without a login.
    LoginWanted,
    /// It has no login where we try to log in.
    LoginUnwanted,
    /// Wrong name, password or token.
    Login,
    /// No token came from where tokens come from.
    Token,
    /// Logged in, but not allowed.
    Right,
    /// The connection ended, and nothing says why.
    Closed,
    Other,
}

/// What keeps a connection from working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The client's own words.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.words(), self.detail)
    }
}

impl ProblemKind {
    /// What it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            ProblemKind::Name => "the broker's name is not known",
            ProblemKind::Address => "no broker answers at its address",
            ProblemKind::NotKafka => "what answers there is no Kafka broker",
            ProblemKind::Protocol => "broker and client do not agree on whether the connection is encrypted",
            ProblemKind::Authority => "the broker's certificate is not trusted",
            ProblemKind::ClientCertificate => "the broker does not accept our certificate, or wants one",
            ProblemKind::Mechanism => "the broker does not offer this way of login",
            ProblemKind::LoginWanted => "the broker closes connections that do not log in",
            ProblemKind::LoginUnwanted => "this port of the broker takes no login",
            ProblemKind::Login => "the broker refused name, password or token",
            ProblemKind::Token => "there is no token to log in with",
            ProblemKind::Right => "logged in, but not allowed to do this",
            ProblemKind::Closed => "the broker closed the connection",
            ProblemKind::Other => "the cluster does not answer",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            ProblemKind::Name => "check the spelling of the host in `bootstrap`, and that this machine's DNS knows it",
            ProblemKind::Address => "check host and port in `bootstrap`, that the broker runs, and firewalls between",
            ProblemKind::NotKafka => "check host and port in `bootstrap`: another service has this port",
            ProblemKind::Protocol => {
                "check `security.protocol`: each port of a broker speaks one protocol only; ask which port is which"
            }
            ProblemKind::Authority => {
                "put the certificate of the authority that signed the broker's into `security.ca`, and use the host \
                 name that is in the broker's certificate"
            }
            ProblemKind::ClientCertificate => {
                "put a certificate that the broker's authority has signed into `security.certificate` and its key into \
                 `security.key`"
            }
            ProblemKind::Mechanism => "choose one of the mechanisms that the broker names, in `security.mechanism`",
            ProblemKind::LoginUnwanted => {
                "take the port that logs in, or `security.protocol: SSL` (or PLAINTEXT) without mechanism and name"
            }
            ProblemKind::LoginWanted => "write `security.protocol: SASL_SSL` (or SASL_PLAINTEXT) with a login",
            ProblemKind::Login => "check `security.username` and the secret that `security.password` names",
            ProblemKind::Token => "check `security.oauth`: address, client id, the secret, and that the server answers",
            ProblemKind::Right => "have the cluster's operators grant this user the right",
            ProblemKind::Closed | ProblemKind::Other => "see the client's words, and the broker's log",
        }
    }

    /// Whether somebody has to change something before it can work.
    pub fn is_lasting(self) -> bool {
        use ProblemKind::{Address, Closed, Name, Other, Token};
        !matches!(self, Address | Name | Token | Closed | Other)
    }

    /// Whether it may be no more than what comes of the other: a connection is closed over what has to be changed, and
    /// without a token the broker refuses the last one.
    pub(crate) fn says_less_than(self, known: ProblemKind) -> bool {
        let has_token = self != ProblemKind::Token;
        has_token && (known == ProblemKind::Token || known.is_lasting() && !self.is_lasting())
    }
}

impl Problem {
    /// Reads a line of the client's log; `None` when it is not about a connection that fails.
    pub fn of_log_line(line: &str) -> Option<Problem> {
        Some(Problem { kind: kind_of(line)?, detail: shortened(line) })
    }
}

fn kind_of(line: &str) -> Option<ProblemKind> {
    let has = |text: &str| line.contains(text);
    let has_any = |texts: &[&str]| texts.iter().any(|text| line.contains(text));
    // What says more comes first.
    if has("Failed to resolve") {
        Some(ProblemKind::Name)
    } else if has_any(&["certificate verify failed", "hostname mismatch", "unable to get local issuer"]) {
        Some(ProblemKind::Authority)
    } else if has_any(&[
        "certificate required",
        "alert bad certificate",
        "alert unknown ca",
        "alert certificate unknown",
        "alert handshake failure",
        "SSL authentication failure",
    ]) {
        Some(ProblemKind::ClientCertificate)
    } else if has("Failed to acquire SASL OAUTHBEARER token") {
        Some(ProblemKind::Token)
    } else if has_any(&["Unsupported SASL mechanism", "mechanism not supported"]) {
        Some(ProblemKind::Mechanism)
    } else if has("mechanism handshake failed: Broker: Request not valid in current SASL state") {
        Some(ProblemKind::LoginUnwanted)
    } else if has_any(&["SASL authentication error", "SASL SCRAM", "SASL OAUTHBEARER", "Authentication failed"]) {
        Some(ProblemKind::Login)
    } else if has("Invalid response size") {
        Some(ProblemKind::NotKafka)
    } else if has_any(&["incorrect security.protocol", "SSL handshake failed", "wrong version number"]) {
        Some(ProblemKind::Protocol)
    } else if has_any(&["Connect to", "Connection refused", "Connection setup timed out"]) {
        Some(ProblemKind::Address)
    } else if has("Disconnected") {
        Some(closed(line))
    } else if has_any(&["timed out", "timeouts", "Connection reset", "Receive failed"]) {
        Some(ProblemKind::Other)
    } else {
        None
    }
}

/// A broker that does not understand us, or wants a login first, only closes the connection; when it does so tells which.
fn closed(line: &str) -> ProblemKind {
    let is_tls = line.contains("ssl://");
    match closed_in(line) {
        Some(("APIVERSION_QUERY", _)) if !is_tls => ProblemKind::Protocol,
        // With TLS 1.3 a certificate is refused after our side has ended the handshake.
        Some(("APIVERSION_QUERY", _)) => ProblemKind::ClientCertificate,
        // As librdkafka, too, takes it: later than that, connections end for many reasons.
        Some(("UP", after_ms)) if after_ms < 2_000 && !line.contains("sasl_") => ProblemKind::LoginWanted,
        _ => ProblemKind::Closed,
    }
}

/// The state in which a connection ended, and for how many milliseconds it was in it: `(after 3ms in state UP)`.
fn closed_in(line: &str) -> Option<(&str, u64)> {
    let (_, rest) = line.split_once("(after ")?;
    let (after_ms, rest) = rest.split_once("ms in state ")?;
    let state = rest.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).next()?;
    Some((state, after_ms.parse().ok()?))
}

/// Without what the client puts around (`[thrd:sasl_ssl://localhost:9093/bootstrap]: `, how long it took, where in OpenSSL
/// it happened) and its own advice, which names other settings than ours.
fn shortened(line: &str) -> String {
    const DETAIL_CHARS_MAX: usize = 400;
    let mut rest = line;
    while let Some((front, after)) = rest.split_once("]: ") {
        if !front.starts_with('[') {
            break;
        }
        rest = after;
    }
    for end in [" (after ", ", verify that ssl.ca.location", ": client SSL authentication might be"] {
        rest = rest.split_once(end).map_or(rest, |(before, _)| before);
    }
    let mut text = rest.replacen("/bootstrap: ", ": ", 1);
    if let (Some(start), Some(end)) = (text.find("../ssl/"), text.find("SSL routines::"))
        && start < end
    {
        text.replace_range(start..end + "SSL routines::".len(), "");
    }
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_token_says_most() {
        use ProblemKind::{Address, Closed, Login, Token};
        assert!(Closed.says_less_than(Login) && Login.says_less_than(Token) && Closed.says_less_than(Token));
        assert!(!Token.says_less_than(Login) && !Token.says_less_than(Token) && !Login.says_less_than(Address));
    }

    #[test]
    fn lines_of_the_client_become_steps() {
        // As librdkafka 2.12.1 writes them against Apache Kafka 4.3.1.
        for (line, kind) in [
            (
                "[thrd:no-such-host.invalid:9092/bootstrap]: no-such-host.invalid:9092/bootstrap: Failed to resolve 'no-such-host.invalid:9092': Name or service not known (after 8ms in state CONNECT)",
                ProblemKind::Name,
            ),
            (
                "[thrd:localhost:1/bootstrap]: localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                ProblemKind::Address,
            ),
            (
                "10.0.0.1:9092/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): increase receive.message.max.bytes (after 0ms in state APIVERSION_QUERY) (_BAD_MSG)",
                ProblemKind::NotKafka,
            ),
            // Without TLS to a port that wants it, and the other way round.
            (
                "localhost:9093/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 3ms in state APIVERSION_QUERY) (_TRANSPORT)",
                ProblemKind::Protocol,
            ),
            (
                "sasl_plaintext://localhost:9093/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 0ms in state APIVERSION_QUERY) (_TRANSPORT)",
                ProblemKind::Protocol,
            ),
            (
                "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener? (after 6ms in state SSL_HANDSHAKE) (_TRANSPORT)",
                ProblemKind::Protocol,
            ),
            // Signed by another authority; for another name.
            (
                "sasl_ssl://localhost:9093/bootstrap: SSL handshake failed: ../ssl/statem/statem_clnt.c:1889:tls_post_process_server_certificate error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA certificates are installed (install ca-certificates package) (after 15ms in state SSL_HANDSHAKE) (_SSL)",
                ProblemKind::Authority,
            ),
            (
                "sasl_ssl://127.1:9093/bootstrap: ../ssl/statem/statem_clnt.c:1889:tls_post_process_server_certificate error:0A000086:SSL routines::certificate verify failed (after 8ms in state SSL_HANDSHAKE) (_TRANSPORT)",
                ProblemKind::Authority,
            ),
            // No certificate, or a foreign one.
            (
                "ssl://localhost:9094/bootstrap: Receive failed: ../ssl/record/rec_layer_s3.c:1601:ssl3_read_bytes error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY) (_TRANSPORT)",
                ProblemKind::ClientCertificate,
            ),
            (
                "sasl_plaintext://localhost:9095/bootstrap: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512,PLAIN (after 2ms in state AUTH_HANDSHAKE) (_AUTHENTICATION)",
                ProblemKind::Mechanism,
            ),
            (
                "sasl_ssl://localhost:9093/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 282ms in state AUTH_REQ) (_AUTHENTICATION)",
                ProblemKind::Login,
            ),
            (
                "sasl_ssl://localhost:9093/bootstrap: SASL authentication error: Authentication failed: Invalid username or password (after 315ms in state AUTH_REQ) (_AUTHENTICATION)",
                ProblemKind::Login,
            ),
            // Nobody logs in where somebody has to, and the other way round.
            (
                "ssl://localhost:9093/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state UP) (_TRANSPORT)",
                ProblemKind::LoginWanted,
            ),
            (
                "localhost:9095/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 4ms in state UP) (_TRANSPORT)",
                ProblemKind::LoginWanted,
            ),
            (
                "sasl_plaintext://127.0.0.1:9092/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:  (after 2ms in state AUTH_HANDSHAKE) (_AUTHENTICATION)",
                ProblemKind::LoginUnwanted,
            ),
            // As any connection ends now and then.
            (
                "localhost:9095/1: Disconnected: connection closed by peer: receive 0 after POLLIN (after 600004ms in state UP)",
                ProblemKind::Closed,
            ),
            (
                "sasl_ssl://localhost:9093/1: Disconnected: SSL connection closed by peer (after 7ms in state UP)",
                ProblemKind::Closed,
            ),
        ] {
            assert_eq!(Problem::of_log_line(line).map(|problem| problem.kind), Some(kind), "{line}");
        }
        assert_eq!(Problem::of_log_line("[thrd:main]: Group \"x\" changed state"), None);
        let detail = |line: &str| Problem::of_log_line(line).unwrap().detail;
        assert_eq!(
            detail(
                "[thrd:a]: localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
            ),
            "localhost:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
        assert_eq!(
            detail(
                "ssl://a:1/bootstrap: SSL handshake failed: ../ssl/statem/statem_clnt.c:1889:tls error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured (after 1ms in state SSL_HANDSHAKE)"
            ),
            "ssl://a:1: SSL handshake failed: certificate verify failed: broker certificate could not be verified"
        );
    }
}
