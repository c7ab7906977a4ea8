//! What of a request differs from record to record, besides the body. It stands before the body, as a request has it: the
//! address in a line, a line for each header, an empty line. So people can read and edit a record that was not delivered.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use shape::{BoundTemplate, Template};

use crate::endpoint::checked_url;
use crate::templates::{constant_start, template, templates};
use crate::{AddressPolicy, SettingError, Settings};

/// Of an address and of a header's value.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Headers that the client writes itself, or that have settings of their own.
const RESERVED: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "proxy-authorization",
];

/// Address, query and headers as they are written in settings.
#[derive(Debug)]
pub(crate) struct HeadTemplates {
    url: Template,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
    addresses: AddressPolicy,
}

/// What is said of the head before any record is there.
#[derive(Debug)]
pub(crate) struct PlannedHead {
    pub templates: HeadTemplates,
    /// The address, when it is the same for all records.
    pub url: Option<Url>,
    /// Scheme, host and port of all addresses; `None` when records name them.
    pub origin: Option<String>,
    /// Those that are the same for all records.
    pub headers: HeaderMap,
}

pub(crate) struct BoundHead<'a> {
    url: BoundTemplate<'a>,
    query: Vec<(&'a str, BoundTemplate<'a>)>,
    headers: Vec<(&'a HeaderName, BoundTemplate<'a>)>,
    addresses: &'a AddressPolicy,
}

impl PlannedHead {
    /// From `url`, `query` and `headers`.
    pub fn read(settings: &Settings, schema: &Schema, addresses: &AddressPolicy) -> Result<Self, SettingError> {
        let address_hint = "write for example `https://shop.example/orders/{{ order_id }}`";
        let text = settings.text("url").unwrap_or_default();
        let url =
            template(settings, "url", schema)?.ok_or_else(|| SettingError::at("url", "it is missing", address_hint))?;
        let query = templates(settings, "query", schema)?;
        let (mut fixed, mut headers) = (HeaderMap::new(), Vec::new());
        for (name, template) in templates(settings, "headers", schema)? {
            let name = header_name("headers", &name)?;
            if name == reqwest::header::AUTHORIZATION {
                let hint = "choose `auth`, or name the secret in `secretHeaders`";
                return Err(SettingError::at("headers", "`Authorization` would be there for everybody to read", hint));
            }
            match template.constant().map(header_value) {
                Some(Ok(value)) => {
                    fixed.append(name, value);
                }
                Some(Err(reason)) => {
                    let detail = format!("the value of `{name}` {reason}");
                    return Err(SettingError::at("headers", detail, "write it in one line of text"));
                }
                None => headers.push((name, template)),
            }
        }
        let origin = origin_of(text);
        if let Some(origin) = &origin {
            parse(origin, addresses).map_err(|detail| SettingError::at("url", detail, address_hint))?;
        } else if url.constant().is_some() {
            return Err(SettingError::at("url", format!("`{text}` is no address of a web server"), address_hint));
        }
        let templates = HeadTemplates { url, query, headers, addresses: addresses.clone() };
        let is_fixed =
            templates.url.constant().is_some() && templates.query.iter().all(|(_, value)| value.constant().is_some());
        let url = match is_fixed {
            true => Some(templates.fixed_url().map_err(|detail| SettingError::at("url", detail, address_hint))?),
            false => None,
        };
        Ok(Self { templates, url, origin, headers: fixed })
    }

    /// Whether records have heads.
    pub fn is_of_records(&self) -> bool {
        self.url.is_none() || !self.templates.headers.is_empty()
    }
}

impl HeadTemplates {
    fn fixed_url(&self) -> Result<Url, String> {
        let mut url = parse(self.url.constant().unwrap_or_default(), &self.addresses)?;
        let query = self.query.iter().filter_map(|(name, value)| Some((name.as_str(), value.constant()?)));
        append(&mut url, query);
        Ok(url)
    }

    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundHead<'a>, ArrowError> {
        let bind = |template: &'a Template| template.bind(batch);
        Ok(BoundHead {
            url: bind(&self.url)?,
            query: self
                .query
                .iter()
                .map(|(name, value)| Ok((name.as_str(), bind(value)?)))
                .collect::<Result<_, ArrowError>>()?,
            headers: self
                .headers
                .iter()
                .map(|(name, value)| Ok((name, bind(value)?)))
                .collect::<Result<_, ArrowError>>()?,
            addresses: &self.addresses,
        })
    }
}

impl BoundHead<'_> {
    /// Appends the head of a row, or says why its request cannot be made. `more` are further headers.
    pub fn write(&self, row: usize, more: &[(&str, String)], out: &mut Vec<u8>) -> Result<(), String> {
        let mut url = parse(&self.url.render(row)?, self.addresses)?;
        let query = self.query.iter().map(|(name, value)| Ok((*name, value.render(row)?)));
        let query = query.collect::<Result<Vec<_>, String>>()?;
        append(&mut url, query.iter().map(|(name, value)| (*name, value.as_str())));
        if url.as_str().len() > TEXT_BYTES_MAX {
            return Err(format!("the address is longer than {TEXT_BYTES_MAX} bytes"));
        }
        out.extend_from_slice(url.as_str().as_bytes());
        out.push(b'\n');
        for (name, value) in &self.headers {
            put_header(name.as_str(), &value.render(row)?, out)?;
        }
        for (name, value) in more {
            put_header(name, value, out)?;
        }
        out.push(b'\n');
        Ok(())
    }
}

fn put_header(name: &str, value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    header_value(value).map_err(|reason| format!("the header `{name}` {reason}"))?;
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
    Ok(())
}

fn append<'a>(url: &mut Url, query: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut query = query.peekable();
    if query.peek().is_some() {
        url.query_pairs_mut().extend_pairs(query);
    }
}

/// An address that may be asked, with a path that leads nowhere else than it says.
fn parse(text: &str, addresses: &AddressPolicy) -> Result<Url, String> {
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(format!("the address has {} in it", control.escape_unicode()));
    }
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    // `https:///a/b` would be read as a path `b` at the server `a`.
    if after_scheme.is_none_or(|rest| rest.starts_with(['/', '\\'])) {
        return Err("this is no address of a web server: it does not begin with `https://` and a server".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`{}` is no address: {error}", crate::http::shortened(text)))?;
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_step = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split(['/', '\\']).any(is_step) {
        return Err("the address has a step to another path (`.` or `..`) in it".to_owned());
    }
    let mut url = checked_url(url, addresses)?;
    url.set_fragment(None);
    Ok(url)
}

/// `https://host:port/` of an address whose server does not depend on the record.
fn origin_of(text: &str) -> Option<String> {
    let start = constant_start(text);
    let (scheme, rest) = start.split_once("://")?;
    let host = match rest.find(['/', '?', '#', '\\']) {
        Some(end) => &rest[..end],
        None if start.len() == text.len() => rest,
        None => return None,
    };
    Some(format!("{scheme}://{host}/"))
}

pub(crate) fn header_name(key: &str, name: &str) -> Result<HeaderName, SettingError> {
    let header: HeaderName = name.parse().map_err(|_| {
        let hint = "names of headers are letters, digits and dashes, such as `X-Request-Source`";
        SettingError::at(key, format!("`{}` is no name of a header", name.escape_debug()), hint)
    })?;
    if RESERVED.contains(&header.as_str()) {
        let hint = "leave it out: the client writes it, or another setting does (`contentType`, `compression`)";
        return Err(SettingError::at(key, format!("the header `{name}` cannot be set"), hint));
    }
    Ok(header)
}

pub(crate) fn header_value(text: &str) -> Result<HeaderValue, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("is longer than {TEXT_BYTES_MAX} bytes"));
    }
    // A tab is allowed by the protocol, and written by nobody on purpose.
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(format!("has {} in it, which a header cannot say", control.escape_unicode()));
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "has something in it that a header cannot say".to_owned())
}

/// Between a head and the body.
pub(super) const SEPARATOR: &[u8] = b"\n\n";

/// What stands before the body of a record with a head, which records that share a request have in common.
pub(super) fn head_of(record: &[u8]) -> Result<&[u8], String> {
    let end = record.windows(SEPARATOR.len()).position(|pair| pair == SEPARATOR);
    let end = end.ok_or("there is no empty line between the address and the body")?;
    Ok(record.get(..end).unwrap_or_default())
}

/// Address and headers of a head. Somebody may have edited it.
pub(super) fn read(head: &[u8], addresses: &AddressPolicy) -> Result<(Url, HeaderMap), String> {
    let text = std::str::from_utf8(head).map_err(|_| "the head is not text".to_owned())?;
    let mut lines = text.split('\n');
    let url = parse(lines.next().unwrap_or_default(), addresses)?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or_else(|| format!("`{line}` is no header"))?;
        let name = header_name("headers", name).map_err(|error| error.detail)?;
        if name == reqwest::header::AUTHORIZATION {
            return Err("a record cannot have the header `authorization`".to_owned());
        }
        headers.append(name, header_value(value).map_err(|reason| format!("the header `{line}` {reason}"))?);
    }
    Ok((url, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_an_address_is_known_or_not() {
        for (text, origin) in [
            ("https://a.example/x/{{ id }}", Some("https://a.example/")),
            ("https://a.example?x={{ id }}", Some("https://a.example/")),
            ("https://a.example", Some("https://a.example/")),
            ("https://a.example{{ id }}/", None),
            ("https://{{ host }}/", None),
            ("{{ url }}", None),
            ("https://a.example:{% if x %}80{% endif %}/", None),
        ] {
            assert_eq!(origin_of(text).as_deref(), origin, "{text}");
        }
    }

    #[test]
    fn addresses_of_records_are_checked() {
        let policy = AddressPolicy::default();
        assert_eq!(parse("https://a.example/b c?d=é#e", &policy).unwrap().as_str(), "https://a.example/b%20c?d=%C3%A9");
        for wrong in [
            "",
            "a.example/x",
            "ftp://a.example/",
            "https:///x",
            "https:x",
            "https:/x?http://y",
            "https://\\x",
            "https://user@a.example/",
            "http://127.0.0.1/",
            "http://[::ffff:10.0.0.1]/",
            "https://a.example/a/../b",
            "https://a.example/a/%2E%2e/b",
            "https://a.example/a\\..\\b",
            "https://a.example/a\r\nHost: b",
        ] {
            assert!(parse(wrong, &policy).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn heads_are_read_as_they_were_written() {
        let policy = AddressPolicy::default();
        let record = b"https://a.example/1\nx-kind: a b\n\n{\"a\":\"\n\n\"}";
        let head = head_of(record).unwrap();
        assert_eq!(head, b"https://a.example/1\nx-kind: a b");
        let (url, headers) = read(head, &policy).unwrap();
        assert_eq!((url.as_str(), headers["x-kind"].to_str().unwrap()), ("https://a.example/1", "a b"));
        assert!(head_of(b"{}").is_err());
        for wrong in [
            "http://10.0.0.1/",
            "https://a.example/\nauthorization: x",
            "https://a.example/\nx",
            "https://a.example/\nhost: b",
        ] {
            assert!(read(wrong.as_bytes(), &policy).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_have_no_line_feeds() {
        for wrong in ["a\nb", "a\r\nX: b", "\0"] {
            assert!(header_value(wrong).is_err());
        }
        assert!(header_value(&"x".repeat(9_000)).is_err());
        assert!(header_value("é b").is_ok());
        for wrong in ["", "a b", "Host", "content-length"] {
            assert_eq!(header_name("headers", wrong).unwrap_err().key.as_deref(), Some("headers"), "{wrong}");
        }
    }
}
