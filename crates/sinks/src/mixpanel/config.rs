//! Which project of Mixpanel, and how its API is asked: <https://docs.mixpanel.com/reference/import-events>

use std::fmt;

use reqwest::Url;

use crate::http_sink::timeout;
use crate::{Credential, Endpoint, HttpOptions, SettingError, Settings, SinkContext};

pub(super) const REGIONS: &[&str] = &["us", "eu", "in"];

#[derive(Clone, Debug)]
pub(super) struct MixpanelConfig {
    pub endpoint: Endpoint,
    pub project_id: Option<String>,
    pub credential: Credential,
    pub http: HttpOptions,
}

impl fmt::Display for MixpanelConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project_id {
            Some(project) => write!(formatter, "Mixpanel project `{project}` at {}", self.endpoint),
            None => write!(formatter, "Mixpanel at {}", self.endpoint),
        }
    }
}

impl MixpanelConfig {
    pub fn read(settings: &Settings, context: &SinkContext) -> Result<Self, SettingError> {
        let of_region = || match settings.text("region") {
            Some("eu") => "https://api-eu.mixpanel.com",
            Some("in") => "https://api-in.mixpanel.com",
            _ => "https://api.mixpanel.com",
        };
        let endpoint = Endpoint::parse(settings.text("url").unwrap_or_else(of_region), &context.http.addresses);
        let endpoint = endpoint.map_err(|error| SettingError::at("url", error.detail, error.hint))?;
        let project_id = settings.text("projectId").map(str::to_owned);
        let secret = context.secret(settings, "secret")?.unwrap_or_default();
        let (username, password) = match settings.text("username") {
            Some(_) if project_id.is_none() => {
                let hint = "write the project's id, as its settings show it";
                return Err(SettingError::at("projectId", "a service account needs `projectId`", hint));
            }
            Some(username) => (username.to_owned(), secret),
            None => (secret, String::new()),
        };
        let credential = Credential::Basic { username, password };
        let http = HttpOptions { call_time_max: timeout(settings)?, ..context.http.clone() };
        Ok(Self { endpoint, project_id, credential, http })
    }

    /// It says what it does not take only when it is asked to be strict.
    pub fn import_url(&self) -> Url {
        let mut query = vec![("strict", "1")];
        query.extend(self.project_id.as_deref().map(|project| ("project_id", project)));
        self.endpoint.with("import", &query)
    }
}
