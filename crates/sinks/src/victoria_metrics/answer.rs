//! What VictoriaMetrics has said to lines: it takes all of a request or, when one line cannot be read, none.

use delivery::{Answer, CallError, ErrorClass};

use crate::http::Reply;

pub(super) fn judge(reply: &Reply) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => reply.taken(),
        400 | 422 => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        _ => Err(reply.error()),
    }
}
