//! The part of an address behind the question mark, with mistakes told like all others.

use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use control::ControlError;
use serde::de::DeserializeOwned;

pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let what = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(ControlError::invalid("query_invalid", format!("the address's query: {what}")).into())
            }
        }
    }
}
