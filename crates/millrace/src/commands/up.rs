//! `millrace up`: the server, in the foreground, until it is told to end.

use crate::arguments::UpArguments;
use crate::failure::Failure;
use crate::local_servers;
use crate::output::{Output, note};
use crate::server_location::ServerFile;
use api::{OidcConfig, Reached, Server, ServerOptions};
use control::{AddressPolicy, DemoOptions, Platform, PlatformOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

const LOG_FILTER_DEFAULT: &str = "info,datafusion=warn,fjall=warn,lsm_tree=warn,sqlx=warn";

pub async fn run(arguments: UpArguments, data_dir: &Path, output: Output) -> Result<(), Failure> {
    // The lock on stdout goes: the sink `log` writes there too.
    drop(output);
    start_logging();
    let mut signals = Signals::listen()?;
    let opened = Platform::open(PlatformOptions {
        data_dir: data_dir.to_path_buf(),
        database_url: arguments.database.clone(),
        admin_token: arguments.admin_token.clone(),
        grafana_url: arguments.grafana_url.clone(),
        sink_addresses: AddressPolicy::allowing(arguments.sink_networks.clone()),
    });
    let platform = tokio::select! {
        platform = opened => platform?,
        () = signals.next() => return Ok(()),
    };
    let served = serve(&arguments, &platform, &mut signals).await;
    let closed = platform.close().await;
    served?;
    Ok(closed?)
}

async fn serve(arguments: &UpArguments, platform: &Arc<Platform>, signals: &mut Signals) -> Result<(), Failure> {
    let reached = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Reached::ByTls { certificate: certificate.clone(), key: key.clone() },
        _ if arguments.behind_proxy => Reached::BehindProxy,
        _ => Reached::Directly,
    };
    let oidc = arguments.oidc.as_deref().map(read_oidc).transpose()?;
    let scheme = if matches!(reached, Reached::ByTls { .. }) { "https" } else { "http" };
    let server = Server::start(Arc::clone(platform), ServerOptions { listen: arguments.listen, reached, oidc }).await?;
    let url = format!("{scheme}://{}", server.address());
    let _file = ServerFile { url: url.clone(), pid: std::process::id() }.write(platform.directory().root())?;
    let _noted = local_servers::note(&url, platform.directory().root());
    print_line(&url)?;
    if let Some(invitation) = platform.first_admin_invitation().await? {
        note(format!("nobody has a password yet; set the first admin's here: {url}/welcome#{invitation}"));
    }
    if arguments.demo {
        let demo = DemoOptions { records_per_second: arguments.demo_rate, seed: arguments.demo_seed };
        platform.start_demo(demo).await?;
    }
    signals.next().await;
    note("stopping; again to end at once");
    tokio::select! {
        stopped = server.stop() => Ok(stopped?),
        () = signals.next() => Err(Failure::error("ended at once, on request; what was acknowledged is on disk")),
    }
}

/// The file that names the client's secret is looked for beside the configuration.
fn read_oidc(path: &Path) -> Result<OidcConfig, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))?;
    let beside = path.parent().unwrap_or(Path::new("."));
    Ok(OidcConfig::parse(&text, |secret| std::fs::read_to_string(beside.join(secret)))?)
}

/// The one line that scripts wait for.
fn print_line(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).map_err(Failure::output)
}

fn start_logging() {
    let filter = EnvFilter::try_from_env("MILLRACE_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER_DEFAULT));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::error(format!("cannot listen for signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
