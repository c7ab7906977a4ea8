//! What a receiver has said to samples: 400 for one that it never takes, such as one that is out of order. It need not say
//! which. Prometheus 2 says 500 to one that is further back than it takes samples out of order, which is not an outage either.

use delivery::{Answer, CallError, ErrorClass};

use crate::http::Reply;

/// `storage.ErrTooOldSample` of Prometheus.
const TOO_OLD: &str = "too old sample";

pub(super) fn judge(reply: &Reply) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => reply.taken(),
        400 => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        500 if reply.text().contains(TOO_OLD) => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        _ => Err(reply.error()),
    }
}
