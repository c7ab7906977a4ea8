//! What a person can say about a webhook.

use crate::http_sink::{BODY_BYTES, FOLLOW_REDIRECTS, HEADERS, IN_FLIGHT, SECRET_HEADERS, STATUSES, TIMEOUT, URL};
use crate::{Need, Setting, SinkDescription, ValueKind};

pub(super) const DESCRIPTION: SinkDescription = SinkDescription {
    kind: "webhook",
    title: "Webhook (CloudEvents)",
    what: "Sends records as CloudEvents 1.0, signed as Standard Webhooks are.",
    settings: SETTINGS,
};

const SETTINGS: &[Setting] = &[
    URL,
    Setting {
        key: "mode",
        title: "Form",
        help: "structured: an event is the body; binary: the record is the body, the rest are headers; batch: several events are the body",
        value: ValueKind::Choice(&["structured", "binary", "batch"]),
        need: Need::Default("\"structured\""),
        only_with: None,
    },
    Setting {
        key: "type",
        title: "Type of the events",
        help: "a name such as `com.shop.order.{{ status }}`",
        value: ValueKind::Template,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "source",
        title: "Source of the events",
        help: "an address or a path such as `/shop/orders`; left out: `/millrace/` and the name of the dagger or firehose",
        value: ValueKind::Template,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "subject",
        title: "Subject of the events",
        help: "what an event is about, such as `{{ order_id }}`; left out where it is empty",
        value: ValueKind::Template,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "timeColumn",
        title: "Time of the events",
        help: "a column with the time of the event; left out: the time of the record, if there is one",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "signingSecret",
        title: "Signing secret",
        help: "the name of the secret: `whsec_` and base64, or a text of 16 bytes or more; two of them with a blank between sign both",
        value: ValueKind::Secret,
        need: Need::Optional,
        only_with: None,
    },
    HEADERS,
    SECRET_HEADERS,
    STATUSES,
    FOLLOW_REDIRECTS,
    TIMEOUT,
    IN_FLIGHT,
    BODY_BYTES,
];
