//! Logging in: tokens that expire, and passwords that are changed.

use crate::scene::{Plan, Scene, quoted};
use crate::test_cluster::{NODES, TestCluster};
use crate::{Found, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PASSWORD: &str = "alice-secret";
const TOKEN_SECONDS: u64 = 6;
/// A broker asks again for a token when the last one is over, at the latest after this.
pub const REAUTHENTICATION: [&str; 2] = ["--property", "connections.max.reauth.ms=5000"];

fn secure(cluster: &TestCluster, login: &str) -> Result<String> {
    let addresses = quoted(cluster.value("BOOTSTRAP_SASL_SSL")?);
    let authority = std::fs::read_to_string(format!("{}/ca.crt", cluster.value("CERTS")?))?;
    Ok(format!(
        "{{type: kafka, bootstrap: [{addresses}], security: {{protocol: SASL_SSL, {login}, ca: {}}}}}",
        json!(authority)
    ))
}

/// Tokens live for seconds, and for a while nobody gives new ones.
pub async fn tokens(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let endpoint = TokenEndpoint::start()?;
    let url = format!("http://127.0.0.1:{}/token", endpoint.port);
    let oauth = format!("{{tokenUrl: \"{url}\", clientId: alice, clientSecret: {{secret: kafka-client}}}}");
    let spec = secure(cluster, &format!("mechanism: OAUTHBEARER, oauth: {oauth}"))?;
    let secrets = vec![("kafka-client".to_owned(), PASSWORD.to_owned())];
    let mut scene = Scene::begin(cluster, Plan { cluster_spec: Some(spec), secrets, ..plan }).await?;
    scene.watch(Duration::from_secs(2 * TOKEN_SECONDS)).await?;
    endpoint.is_closed.store(true, Ordering::Relaxed);
    scene.watch(Duration::from_secs(2 * TOKEN_SECONDS)).await?;
    endpoint.is_closed.store(false, Ordering::Relaxed);
    scene.watch(Duration::from_secs(TOKEN_SECONDS)).await?;
    scene.was_told(&["Kafka cluster \"kafka\"", "there is no token to log in with"], found);
    let given = endpoint.given.load(Ordering::Relaxed);
    found.check(given >= 4, || format!("{given} tokens were asked for, so none has expired"));
    scene.judge(found).await
}

/// Gives tokens that no broker of ours verifies.
struct TokenEndpoint {
    port: u16,
    is_closed: Arc<AtomicBool>,
    given: Arc<AtomicU64>,
}

impl TokenEndpoint {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (is_closed, given) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (closed, counted) = (Arc::clone(&is_closed), Arc::clone(&given));
        std::thread::Builder::new().name("tokens".to_owned()).spawn(move || {
            for client in listener.incoming().flatten() {
                if let Err(error) = answer(client, closed.load(Ordering::Relaxed)) {
                    eprintln!("    a token was not given: {error}");
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { port, is_closed, given })
    }
}

fn answer(client: TcpStream, is_closed: bool) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let (status, body) = match is_closed {
        true => ("503 Service Unavailable", json!({ "error": "temporarily_unavailable" })),
        false => ("200 OK", json!({ "access_token": token()?, "token_type": "Bearer", "expires_in": TOKEN_SECONDS })),
    };
    let body = body.to_string();
    let mut client = reader.into_inner();
    write!(
        client,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// A JSON web token without a signature.
fn token() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": "alice", "iat": now, "exp": now + TOKEN_SECONDS });
    Ok(format!("{}.{}.", part(json!({ "alg": "none" })), part(claims)))
}

/// The user is removed and comes back with another password, which somebody writes into the secret.
pub async fn password(cluster: &Arc<TestCluster>, plan: Plan, found: &mut Found) -> Result<()> {
    let login = "mechanism: SCRAM-SHA-512, username: alice, password: {secret: kafka-password}";
    let spec = secure(cluster, login)?;
    let other = format!("other-{}", plan.seed);
    set_password(cluster, PASSWORD)?;
    let secrets = vec![("kafka-password".to_owned(), PASSWORD.to_owned())];
    let mut scene = Scene::begin(cluster, Plan { cluster_spec: Some(spec), secrets, ..plan }).await?;
    remove_user(cluster)?;
    // Who is logged in stays so until the connection ends.
    for breaks in ["cut", "heal"] {
        for node in NODES {
            scene.order(breaks, node).await?;
        }
    }
    let words = ["Kafka cluster \"kafka\"", "refused name, password or token", "trying again"];
    scene.watch_until_told(&words).await?;
    set_password(cluster, &other)?;
    scene.watch(Duration::from_secs(2)).await?;
    scene.was_told(&words, found);
    scene.set_secret("kafka-password", &other).await?;
    let judged = scene.judge(found).await;
    set_password(cluster, PASSWORD)?;
    judged
}

fn set_password(cluster: &TestCluster, password: &str) -> Result<()> {
    alter(cluster, &["--add-config", &format!("SCRAM-SHA-512=[password={password}]")])
}

fn remove_user(cluster: &TestCluster) -> Result<()> {
    alter(cluster, &["--delete-config", "SCRAM-SHA-512"])
}

fn alter(cluster: &TestCluster, change: &[&str]) -> Result<()> {
    let user = ["--alter", "--entity-type", "users", "--entity-name", "alice"];
    cluster.console("ConfigCommand", &[&["--bootstrap-server", cluster.bootstrap()?], &user[..], change].concat())
}
