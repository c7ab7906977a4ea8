//! What the client says in its log, in words for people. It reports most reasons for a broken connection only there.

use std::fmt;

/// At which step something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// No address belongs to the name.
    Name,
    /// Nobody answers there.
    Address,
    /// The broker speaks TLS and we do not, or the other way round.
    Protocol,
    /// Its certificate is not signed by the authority that we trust, or is for another name.
    Authority,
    /// It wants a certificate of ours, or does not take the one it got.
    ClientCertificate,
    /// It does not know the way of login.
    Mechanism,
    /// Wrong name, password or token.
    Login,
    /// No token came from where tokens come from.
    Token,
    /// Logged in, but not allowed.
    Right,
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
            ProblemKind::Protocol => "broker and client do not agree on whether the connection is encrypted",
            ProblemKind::Authority => "the broker's certificate is not trusted",
            ProblemKind::ClientCertificate => "the broker does not accept our certificate, or wants one",
            ProblemKind::Mechanism => "the broker does not offer this way of login",
            ProblemKind::Login => "the broker refused name, password or token",
            ProblemKind::Token => "there is no token to log in with",
            ProblemKind::Right => "logged in, but not allowed to do this",
            ProblemKind::Other => "the cluster does not answer",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            ProblemKind::Name => "check the spelling of the host in `bootstrap`, and that this machine's DNS knows it",
            ProblemKind::Address => "check host and port in `bootstrap`, that the broker runs, and firewalls between",
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
            ProblemKind::Login => "check `security.username` and the secret that `security.password` names",
            ProblemKind::Token => "check `security.oauth`: address, client id, the secret, and that the server answers",
            ProblemKind::Right => "have the cluster's operators grant this user the right",
            ProblemKind::Other => "see the client's words, and the broker's log",
        }
    }

    /// Whether somebody has to change something before it can work.
    pub fn is_lasting(self) -> bool {
        !matches!(self, ProblemKind::Address | ProblemKind::Name | ProblemKind::Token | ProblemKind::Other)
    }
}

impl Problem {
    /// Reads a line of the client's log; `None` when it is not about a connection that fails.
    pub fn of_log_line(line: &str) -> Option<Problem> {
        let has = |text: &str| line.contains(text);
        let kind = if has("Failed to resolve") {
            ProblemKind::Name
        } else if has("certificate verify failed") || has("hostname mismatch") || has("unable to get local issuer") {
            ProblemKind::Authority
        } else if has("certificate required")
            || has("alert bad certificate")
            || has("alert unknown ca")
            || has("alert certificate unknown")
            || has("SSL authentication failure")
            || has("alert handshake failure")
        {
            ProblemKind::ClientCertificate
        } else if has("Failed to acquire SASL OAUTHBEARER token") {
            ProblemKind::Token
        } else if has("Unsupported SASL mechanism") || has("mechanism not supported") || has("UNSUPPORTED_SASL") {
            ProblemKind::Mechanism
        } else if has("SASL authentication error")
            || has("SASL SCRAM")
            || has("SASL OAUTHBEARER")
            || has("Authentication failed")
        {
            ProblemKind::Login
        } else if has("incorrect security.protocol") || has("SSL handshake failed") || has("wrong version number") {
            ProblemKind::Protocol
        } else if has("Connect to")
            || has("Connection refused")
            || has("Connection setup timed out")
            || has("Disconnected")
        {
            ProblemKind::Address
        } else if has("timed out") || has("timeouts") || has("Connection reset") || has("Receive failed") {
            ProblemKind::Other
        } else {
            return None;
        };
        Some(Problem { kind, detail: shortened(line) })
    }
}

/// Without what the client puts in front (`[thrd:sasl_ssl://localhost:9093/bootstrap]: `).
fn shortened(line: &str) -> String {
    const DETAIL_CHARS_MAX: usize = 400;
    let mut rest = line;
    while let Some((front, after)) = rest.split_once("]: ") {
        if !front.starts_with('[') {
            break;
        }
        rest = after;
    }
    rest.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "[thrd:ssl://localhost:9/bootstrap]: ssl://localhost:9/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified",
                ProblemKind::Authority,
            ),
            (
                "[thrd:sasl_ssl://localhost:9/bootstrap]: sasl_ssl://localhost:9/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512",
                ProblemKind::Login,
            ),
        ] {
            assert_eq!(Problem::of_log_line(line).map(|problem| problem.kind), Some(kind), "{line}");
        }
        assert_eq!(Problem::of_log_line("[thrd:main]: Group \"x\" changed state"), None);
        let problem =
            Problem::of_log_line("[thrd:a]: localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed").unwrap();
        assert!(problem.detail.starts_with("localhost:1"), "{problem}");
    }
}
