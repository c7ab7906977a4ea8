//! Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use crate::row_identity::hash;

pub(crate) const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Of keys that are text; the specification asks for 24 to 64 bytes.
const KEY_BYTES_MIN: usize = 16;

/// Signs requests with one key, or with several while receivers change from one to the next.
pub(crate) struct Signer {
    keys: Vec<Vec<u8>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer(..)")
    }
}

impl Signer {
    /// From keys with blanks between them: `whsec_` and base64, or plain text.
    pub fn new(secret: &str) -> Result<Self, String> {
        let key = |text: &str| {
            let key = match text.strip_prefix("whsec_") {
                Some(encoded) => {
                    STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is not base64".to_owned())?
                }
                None => text.as_bytes().to_vec(),
            };
            match key.len() < KEY_BYTES_MIN {
                true => Err(format!("a key has {} bytes, and at least {KEY_BYTES_MIN} are needed", key.len())),
                false => Ok(key),
            }
        };
        let keys: Vec<Vec<u8>> = secret.split_whitespace().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err("there is no key in it".to_owned());
        }
        Ok(Self { keys })
    }

    /// Adds the headers. A request without an id gets one of its body, so that the same body has the same id.
    pub fn sign(&self, headers: &mut HeaderMap, body: &[u8], seconds: i64) -> Result<(), String> {
        let unsayable = |_| "the signature cannot be a header".to_owned();
        let id = match headers.get(&ID) {
            Some(id) => id.clone(),
            None => HeaderValue::from_str(&format!("msg_{}", &hash(&[body])[..32])).map_err(unsayable)?,
        };
        let mut signatures = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
            mac.update(id.as_bytes());
            mac.update(format!(".{seconds}.").as_bytes());
            mac.update(body);
            signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        }
        headers.insert(ID, id);
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        headers.insert(SIGNATURE, HeaderValue::from_str(&signatures.join(" ")).map_err(unsayable)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ID, "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        signer.sign(&mut headers, br#"{"test": 2432232314}"#, 1_614_265_330).unwrap();
        assert_eq!(headers[SIGNATURE], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(headers[TIMESTAMP], "1614265330");
    }

    #[test]
    fn a_body_without_an_id_has_one_of_its_own() {
        let signer = Signer::new("0123456789abcdef another-key-of-letters").unwrap();
        let sign = |body: &[u8]| {
            let mut headers = HeaderMap::new();
            signer.sign(&mut headers, body, 1).unwrap();
            (headers[ID].clone(), headers[SIGNATURE].to_str().unwrap().split(' ').count())
        };
        assert_eq!(sign(b"a"), sign(b"a"));
        assert_ne!(sign(b"a").0, sign(b"b").0);
        assert_eq!(sign(b"a").1, 2);
        for wrong in ["", " ", "short", "whsec_MfKQ9r8", "whsec_%%%"] {
            assert!(Signer::new(wrong).is_err(), "{wrong}");
        }
    }
}
