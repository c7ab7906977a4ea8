//! The address of a server as a person writes it.

use std::fmt;

use reqwest::Url;

use crate::AddressPolicy;

/// `http://HOST:PORT/PATH` or `https://`, without anything that belongs to single requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct EndpointError {
    pub detail: String,
    pub hint: String,
}

impl Endpoint {
    /// Checks how it is written, and the address if it is written as one; names are resolved when they are connected to.
    pub fn parse(text: &str, policy: &AddressPolicy) -> Result<Self, EndpointError> {
        let error = |detail: String, hint: &str| EndpointError { detail, hint: hint.to_owned() };
        let no_url = || error(format!("`{text}` is no address of a server"), "write for example `http://influx:8086`");
        let url = Url::parse(text).map_err(|_| no_url())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(no_url());
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: it may have a password in it.
            return Err(error(
                "the address has a user in it, which everybody could read".to_owned(),
                "write `username:`, and name the password's secret in `secret:`",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(error(
                format!("`{text}` has a query"),
                "write the address up to the path; what follows has keys of its own",
            ));
        }
        check_host(&url, policy)
            .map_err(|forbidden| error(forbidden.to_string(), "name another server, or ask the operator"))?;
        Ok(Self { url })
    }

    /// The address with a path and a query behind its own path.
    pub(crate) fn with(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// A client connects to an address without asking a resolver.
fn check_host(url: &Url, policy: &AddressPolicy) -> Result<(), crate::address::Forbidden> {
    let Some(host) = url.host_str() else { return Ok(()) };
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => policy.check(host, address),
        Err(_) => Ok(()),
    }
}

/// The whole address of one request, such as a record or a redirect says it.
pub(crate) fn checked_url(url: Url, policy: &AddressPolicy) -> Result<Url, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address has a user in it".to_owned());
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{}` is no address of a web server", crate::http::shortened(url.as_str())));
    }
    check_host(&url, policy).map_err(|forbidden| forbidden.to_string())?;
    Ok(url)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let policy = AddressPolicy::default();
        let endpoint = Endpoint::parse("https://metrics.example/influx/", &policy).unwrap();
        assert_eq!(endpoint.to_string(), "https://metrics.example/influx");
        let url = endpoint.with("write", &[("db", "a b&c")]);
        assert_eq!(url.as_str(), "https://metrics.example/influx/write?db=a+b%26c");
        for (wrong, detail) in [
            ("influx:8086", "no address"),
            ("ftp://a.example", "no address"),
            ("", "no address"),
            ("http://root:pass@a.example", "has a user"),
            ("http://a.example?db=x", "has a query"),
            ("http://127.0.0.1:8086", "a loopback address"),
            ("http://[::1]:8086", "a loopback address"),
            ("http://169.254.169.254/latest", "a link-local address"),
            // As browsers and libraries read it.
            ("http://2130706433/", "a loopback address"),
            ("http://0x7f.1/", "a loopback address"),
        ] {
            let error = Endpoint::parse(wrong, &policy).unwrap_err();
            assert!(error.detail.contains(detail) && !error.detail.contains("pass@"), "{wrong}: {error}");
        }
    }
}
