//! Which account of CleverTap, and how its API is asked: <https://developer.clevertap.com/docs/upload-events-api>

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http_sink::{header_value, timeout};
use crate::{Endpoint, HttpOptions, SettingError, Settings, SinkContext};

pub(super) const REGIONS: &[&str] = &["eu1", "in1", "us1", "sg1", "aps3", "mec1"];
pub(super) const IDENTITIES: &[&str] = &["identity", "objectId", "FBID", "GPID"];

const ACCOUNT: HeaderName = HeaderName::from_static("x-clevertap-account-id");
const PASSCODE: HeaderName = HeaderName::from_static("x-clevertap-passcode");

#[derive(Clone, Debug)]
pub(super) struct CleverTapConfig {
    pub endpoint: Endpoint,
    /// Who asks. The passcode is never shown.
    pub headers: HeaderMap,
    pub http: HttpOptions,
}

impl fmt::Display for CleverTapConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CleverTap at {}", self.endpoint)
    }
}

impl CleverTapConfig {
    pub fn read(settings: &Settings, context: &SinkContext) -> Result<Self, SettingError> {
        let of_region = || format!("https://{}.api.clevertap.com", settings.text("region").unwrap_or("eu1"));
        let url = settings.text("url").map_or_else(of_region, str::to_owned);
        let endpoint = Endpoint::parse(&url, &context.http.addresses);
        let endpoint = endpoint.map_err(|error| SettingError::at("url", error.detail, error.hint))?;
        let put = |key: &str, text: &str| -> Result<HeaderValue, SettingError> {
            let unsayable = |reason| SettingError::at(key, format!("it {reason}"), "put it as CleverTap shows it");
            header_value(text.trim()).map_err(unsayable)
        };
        let account = settings.text("accountId").unwrap_or_default();
        let passcode = context.secret(settings, "secret")?.unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(ACCOUNT, put("accountId", account)?);
        let mut passcode = put("secret", &passcode)?;
        passcode.set_sensitive(true);
        headers.insert(PASSCODE, passcode);
        let http = HttpOptions { call_time_max: timeout(settings)?, ..context.http.clone() };
        Ok(Self { endpoint, headers, http })
    }
}
