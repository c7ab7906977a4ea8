//! TCP connections for protocols other than HTTP: to checked addresses only.

use std::net::SocketAddr;
use std::time::Duration;

use delivery::{CallError, ErrorClass};
use tokio::net::TcpStream;

use crate::AddressPolicy;

/// Resolves a name, checks every address that it has, and connects to one of those.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    policy: &AddressPolicy,
    time_max: Duration,
) -> Result<TcpStream, CallError> {
    let down = |reason: String| CallError::new(ErrorClass::Down, reason);
    let connecting = async {
        let found = tokio::net::lookup_host((host, port)).await;
        let addresses: Vec<SocketAddr> =
            found.map_err(|error| down(format!("`{host}` cannot be resolved: {error}")))?.collect();
        for address in &addresses {
            policy.check(host, address.ip()).map_err(|forbidden| down(forbidden.to_string()))?;
        }
        let mut reason = format!("`{host}` has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|error| down(format!("no connection: {error}")))?;
                    return Ok(stream);
                }
                Err(error) => reason = format!("no connection: {error}"),
            }
        }
        Err(down(reason))
    };
    match tokio::time::timeout(time_max, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(down("no connection in time".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_checked_addresses_are_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let time_max = Duration::from_secs(5);
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1"] {
            let error = connect(host, port, &AddressPolicy::default(), time_max).await.unwrap_err();
            assert!(error.reason.contains("a loopback address, which sinks may not reach"), "{host}: {error}");
        }
        let loopback = AddressPolicy::allowing(["127.0.0.0/8", "::1"].map(|text| text.parse().unwrap()));
        assert!(connect("localhost", port, &loopback, time_max).await.is_ok());
    }
}
