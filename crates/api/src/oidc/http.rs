//! How the server talks to the identity provider: bounded in time, and never following a redirect.

use control::ControlError;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

const TIME_MAX: Duration = Duration::from_secs(10);

pub(super) struct ProviderHttp(reqwest::Client);

impl ProviderHttp {
    pub fn new() -> Result<Self, ControlError> {
        let client = reqwest::Client::builder()
            // A redirect could lead into the inside of the network.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIME_MAX)
            .build()
            .map_err(|error| ControlError::internal(format!("the HTTP client cannot be started: {error}")))?;
        Ok(Self(client))
    }

    pub async fn get_json(&self, url: &str, token: &str) -> Result<Value, ControlError> {
        let failed = |error: reqwest::Error| {
            ControlError::unavailable("identity_provider_unavailable", format!("the provider's user info: {error}"))
        };
        let response = self.0.get(url).bearer_auth(token).send().await.map_err(failed)?;
        response.error_for_status().map_err(failed)?.json().await.map_err(failed)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let mut answer = HttpResponse::new(Vec::new());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = response.headers().clone();
            *answer.body_mut() = response.bytes().await?.to_vec();
            Ok(answer)
        })
    }
}
