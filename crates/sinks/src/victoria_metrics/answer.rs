//! What VictoriaMetrics has said to lines: it takes all of a request or, when one line cannot be read, none. A 400 about anything
//! else (HTTP where HTTPS is spoken, a proxy's) is somebody's to mend, so it is an outage.

use delivery::{Answer, CallError, ErrorClass};

use crate::http::Reply;

const ABOUT_LINES: &str = "incorrect influx line";

pub(super) fn judge(reply: &Reply) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => reply.taken(),
        400 if reply.text().contains(ABOUT_LINES) => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        _ => Err(reply.error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    #[test]
    fn only_words_about_lines_are_about_lines() {
        let class = |body: &'static str| {
            let reply = Reply { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: body.into() };
            judge(&reply).unwrap_err().class
        };
        let line =
            "cannot parse influx line protocol data: incorrect influx line \"m\": cannot find Whitespace I in \"m\"";
        assert_eq!(class(line), ErrorClass::Refused);
        assert_eq!(class("Client sent an HTTP request to an HTTPS server.\n"), ErrorClass::Down);
        assert_eq!(class("<html><h1>400 Bad Request</h1></html>"), ErrorClass::Down);
    }
}
