//! A request that comes twice is done once: `Idempotency-Key`.
//!
//! The first answer is kept for a day, by key and caller, and given again. What is under way goes on when its client is gone,
//! so that the next attempt finds the answer.

use crate::AppState;
use crate::body::{BULK_BYTES_MAX, read};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::access::Caller;
use control::{Answer, ControlError, FirstAnswer, idempotency_key};

const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 200;
/// Their answers hold secrets that nobody keeps but as a hash, so they are not kept. Names make the second one a conflict.
const SECRET_ANSWERS: [&str; 3] = ["/api/v1/session", "/api/v1/tokens", "/api/v1/users"];
/// Of an answer that is kept; a longer one is made anew each time.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(crate) async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if !is_change(&request) {
        return next.run(request).await;
    }
    // Whoever hangs up does not stop what has begun: it would stay half done.
    let answered = tokio::spawn(async move {
        let has_secret = SECRET_ANSWERS.iter().any(|path| request.uri().path().starts_with(path));
        match request.method() == Method::POST && request.headers().contains_key(KEY) && !has_secret {
            true => answer(&state, request, next).await,
            false => Ok(next.run(request).await),
        }
    });
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(error) => Problem::from(ControlError::from(error)).into_response(),
    }
}

/// Questions that need a body are asked by POST, too; nobody wants their answers once the one who asked is gone.
fn is_change(request: &Request) -> bool {
    const QUESTIONS: [&str; 4] = ["/preview", "/validate", "/sql", "/query"];
    let is_question = QUESTIONS.iter().any(|question| request.uri().path().ends_with(question));
    !request.method().is_safe() && (!is_question || request.headers().contains_key(KEY))
}

async fn answer(state: &AppState, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = key(&parts.headers)?;
    let user = parts.extensions.get::<Caller>().map_or("", |caller| caller.user.as_str());
    let body = read(body, BULK_BYTES_MAX).await?;
    let asked = format!("{} {}", parts.method, parts.uri);
    let key = idempotency_key(user, key, &asked, &body);
    match state.platform.first_answer(&key).await? {
        FirstAnswer::Known(answer) => return Ok(again(answer)),
        FirstAnswer::None => {}
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_kept = !parts.status.is_server_error() && !media_type.starts_with("application/x-ndjson");
    if !is_kept {
        state.platform.forget_answer(&key).await?;
        return Ok(Response::from_parts(parts, body));
    }
    let media_type = media_type.to_owned();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        state.platform.forget_answer(&key).await?;
        return Err(ControlError::internal("the answer broke off").into());
    };
    if bytes.len() > ANSWER_BYTES_MAX {
        state.platform.forget_answer(&key).await?;
    } else {
        let answer = Answer { status: parts.status.as_u16(), media_type, body: bytes.to_vec() };
        state.platform.keep_answer(&key, &answer).await?;
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let key = headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(key);
    }
    let detail = format!("`Idempotency-Key` has 1 to {KEY_BYTES_MAX} letters, digits and signs");
    Err(ControlError::invalid("idempotency_key_invalid", detail).into())
}

fn again(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    if let Ok(media_type) = HeaderValue::from_str(&answer.media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
