//! One request: made of its records, signed, sent with what it proves itself with, and on to where it is sent.

use bytes::{BufMut, Bytes, BytesMut};
use delivery::{CallError, EncodedBatch, ErrorClass, RecordError};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::HttpSink;
use super::answer::judge;
use super::config::{Framing, Login, Target};
use super::head::{SEPARATOR, head_of, read};
use crate::Credential;
use crate::endpoint::checked_url;
use crate::http::{COMPRESSED_BYTES_MIN, Reply, compressed, shortened};

const HOPS_MAX: usize = 5;

struct Outgoing {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl HttpSink {
    /// Sends records that share a request; returns those that are not taken, by their number among them.
    pub(super) async fn request(&self, batch: &EncodedBatch, records: &[usize]) -> Result<Vec<RecordError>, CallError> {
        let outgoing = self.outgoing(batch, records).await?;
        let config = &self.config;
        let credential = self.credential().await?;
        let mut reply = self.exchange(&outgoing, &credential).await?;
        if let (StatusCode::UNAUTHORIZED, Some(tokens)) = (reply.status, &self.tokens) {
            // A token can be taken back before its end.
            tokens.forget(&credential).await;
            let renewed = self.credential().await?;
            reply = self.exchange(&outgoing, &renewed).await?;
        }
        judge(&config.statuses, config.partial.as_ref(), &reply, records.len())
    }

    async fn credential(&self) -> Result<Credential, CallError> {
        match (&self.tokens, &self.config.login) {
            (Some(tokens), _) => tokens.credential(&self.http).await,
            (None, Login::Fixed(credential)) => Ok(credential.clone()),
            (None, Login::OAuth(_)) => Err(CallError::new(ErrorClass::Ours, "there is nobody to ask for tokens")),
        }
    }

    async fn outgoing(&self, batch: &EncodedBatch, records: &[usize]) -> Result<Outgoing, CallError> {
        let bad = |reason| CallError::new(ErrorClass::BadRecord, reason);
        let config = &self.config;
        let first =
            records.first().copied().ok_or_else(|| CallError::new(ErrorClass::Ours, "a request without records"))?;
        let (url, mut headers, head_bytes) = match &config.target {
            Target::Fixed(url) => (url.clone(), config.headers.clone(), 0),
            Target::OfRecords { origin } => {
                let head = head_of(batch.record(first)).map_err(bad)?;
                let (url, of_record) = read(head, &config.http.addresses).map_err(bad)?;
                // A record that somebody has edited does not send secrets elsewhere.
                if origin
                    .as_ref()
                    .is_some_and(|origin| Url::parse(origin).map(|origin| origin.origin()) != Ok(url.origin()))
                {
                    return Err(bad(format!("`{}` is not at the server of this sink", shortened(url.as_str()))));
                }
                let mut headers = config.headers.clone();
                for (name, value) in &of_record {
                    headers.insert(name, value.clone());
                }
                (url, headers, head.len() + SEPARATOR.len())
            }
        };
        let body = body(&config.framing, batch, records, head_bytes);
        if let Some(signer) = &config.signer {
            signer.sign(&mut headers, &body, chrono::Utc::now().timestamp()).map_err(bad)?;
        }
        let body: Bytes = match config.is_compressed && body.len() >= COMPRESSED_BYTES_MIN {
            true => {
                headers.insert(CONTENT_ENCODING, reqwest::header::HeaderValue::from_static("gzip"));
                compressed(body).await?.into()
            }
            false => body,
        };
        Ok(Outgoing { url, headers, body })
    }

    async fn exchange(&self, outgoing: &Outgoing, credential: &Credential) -> Result<Reply, CallError> {
        let Outgoing { url: first, headers, body } = outgoing;
        let mut url = first.clone();
        for _ in 0..=HOPS_MAX {
            let is_home = url.origin() == first.origin();
            let mut request =
                self.http.client().request(self.config.method.clone(), url.clone()).headers(headers.clone());
            if is_home && !self.config.secret_headers.is_empty() {
                request = request.headers(self.config.secret_headers.clone());
            }
            if !body.is_empty() || self.config.method != Method::GET {
                request = request.body(body.clone());
            }
            let proof = if is_home { credential } else { &Credential::None };
            let reply = self.http.send_with(request, proof).await?;
            match self.next_hop(&url, &reply)? {
                Some(next) => url = next,
                None => return Ok(reply),
            }
        }
        Err(CallError::new(ErrorClass::Down, format!("it sends us on more than {HOPS_MAX} times")))
    }

    /// Where an answer sends us, if it does and that is followed.
    fn next_hop(&self, from: &Url, reply: &Reply) -> Result<Option<Url>, CallError> {
        let status = reply.status.as_u16();
        if !self.config.follow_redirects || !matches!(status, 301..=303 | 307 | 308) {
            return Ok(None);
        }
        let down = |reason: String| CallError::new(ErrorClass::Down, reason);
        if status < 307 && self.config.method != Method::GET {
            let method = &self.config.method;
            return Err(down(format!(
                "it answers {}, which would make the {method} a GET; 307 and 308 are followed",
                reply.status
            )));
        }
        let to = reply.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.ok_or_else(|| down(format!("it answers {} and does not say where to go", reply.status)))?;
        let refused = |reason: String| down(format!("it sends us to `{}`: {reason}", shortened(to)));
        let next = from.join(to).map_err(|error| refused(error.to_string()))?;
        if from.scheme() == "https" && next.scheme() != "https" {
            return Err(refused("from HTTPS to what is not".to_owned()));
        }
        checked_url(next, &self.config.http.addresses).map(Some).map_err(refused)
    }
}

/// The bodies of records, without what stands before each.
fn body(framing: &Framing, batch: &EncodedBatch, records: &[usize], head_bytes: usize) -> Bytes {
    let bodies = || records.iter().map(|record| batch.record(*record).get(head_bytes..).unwrap_or_default());
    let size = bodies().map(|body| body.len() + 1).sum::<usize>();
    match (framing, records) {
        (Framing::Single, [record]) => batch.part(*record..record + 1).bytes().slice(head_bytes..),
        (Framing::Single | Framing::Lines, _) => {
            let mut lines = BytesMut::with_capacity(size);
            for body in bodies() {
                lines.put_slice(body);
                lines.put_u8(b'\n');
            }
            lines.freeze()
        }
        (Framing::Array { before, after }, _) => {
            let mut array = BytesMut::with_capacity(size + before.len() + after.len() + 1);
            array.put_slice(before.as_bytes());
            let mut separator = b'[';
            for body in bodies() {
                array.put_u8(separator);
                array.put_slice(body);
                separator = b',';
            }
            array.put_u8(b']');
            array.put_slice(after.as_bytes());
            array.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;

    #[test]
    fn bodies_are_put_together() {
        let mut builder = EncodedBatchBuilder::default();
        ["h\n\n{1}", "h\n\n{2}", "h\n\n{3}"].iter().for_each(|record| builder.push(record.as_bytes()));
        let batch = builder.finish().part(1..3);
        let around = |before: &str, after: &str| Framing::Array { before: before.into(), after: after.into() };
        for (framing, records, expected) in [
            (Framing::Single, &[1][..], "{3}"),
            (Framing::Lines, &[0, 1], "{2}\n{3}\n"),
            (Framing::array(), &[0, 1], "[{2},{3}]"),
            (around("{\"a\": ", "}"), &[1], "{\"a\": [{3}]}"),
        ] {
            assert_eq!(body(&framing, &batch, records, 3), expected.as_bytes());
        }
    }
}
