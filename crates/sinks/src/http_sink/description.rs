//! What a person can say about requests. The webhook has some of these settings, too.

use crate::{Need, Setting, SinkDescription, ValueKind};

pub(super) const DESCRIPTION: SinkDescription = SinkDescription {
    kind: "http",
    title: "HTTP",
    what: "Sends a request for each record, or one for many, to an HTTP server.",
    settings: SETTINGS,
};

const BATCH: Option<(&str, &[&str])> = Some(("mode", &["batch"]));
const OAUTH: Option<(&str, &[&str])> = Some(("auth", &["oauth2"]));

pub(crate) const URL: Setting = Setting {
    key: "url",
    title: "Address",
    help: "an address such as `https://shop.example/orders/{{ order_id | urlencode }}`; fields of the record stand in braces",
    value: ValueKind::Template,
    need: Need::Required,
    only_with: None,
};

pub(crate) const HEADERS: Setting = Setting {
    key: "headers",
    title: "Headers",
    help: "names of headers and a template for each, such as `X-City: \"{{ city }}\"`",
    value: ValueKind::Templates,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const SECRET_HEADERS: Setting = Setting {
    key: "secretHeaders",
    title: "Secret headers",
    help: "names of headers, and the name of the secret that is the value of each, such as `X-Api-Key: shop-key`",
    value: ValueKind::Secrets,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const STATUSES: Setting = Setting {
    key: "statuses",
    title: "What statuses mean",
    help: "statuses or classes of them, and taken, partial, refused, down, throttled or auth for each, such as `\"404\": refused`; \
           left out: 2xx is taken, 400, 409, 412, 413, 414, 422 and 431 are refused, 401, 403 and 407 are auth, 429 is throttled, others are down",
    value: ValueKind::Texts,
    need: Need::Optional,
    only_with: None,
};

pub(crate) const FOLLOW_REDIRECTS: Setting = Setting {
    key: "followRedirects",
    title: "Follow redirects",
    help: "follows 307 and 308, at most five; secrets are not sent to another server",
    value: ValueKind::Boolean,
    need: Need::Default("false"),
    only_with: None,
};

pub(crate) const TIMEOUT: Setting = Setting {
    key: "timeout",
    title: "Time for a request",
    help: "how long a request may take, 100ms to 30s",
    value: ValueKind::Duration,
    need: Need::Default("\"10s\""),
    only_with: None,
};

pub(crate) const IN_FLIGHT: Setting = Setting {
    key: "inFlight",
    title: "Requests at a time",
    help: "how many requests of a call are on their way together; records with the same key go one after the other",
    value: ValueKind::Integer { min: 1, max: 512 },
    need: Need::Default("32"),
    only_with: None,
};

pub(crate) const BODY_BYTES: Setting = Setting {
    key: "bodyBytes",
    title: "Longest body",
    help: "in bytes; a record that alone is longer is refused",
    value: ValueKind::Integer { min: 1_024, max: 64 << 20 },
    need: Need::Default("4194304"),
    only_with: None,
};

const SETTINGS: &[Setting] = &[
    URL,
    Setting {
        key: "method",
        title: "Method",
        help: "the method of the requests",
        value: ValueKind::Choice(&["POST", "PUT", "PATCH", "DELETE", "GET"]),
        need: Need::Default("\"POST\""),
        only_with: None,
    },
    Setting {
        key: "mode",
        title: "Records in a request",
        help: "single: a request for each record; batch: one for many with the same address and headers",
        value: ValueKind::Choice(&["single", "batch"]),
        need: Need::Default("\"single\""),
        only_with: None,
    },
    Setting {
        key: "query",
        title: "Query",
        help: "names of parameters and a template for each; values are escaped",
        value: ValueKind::Templates,
        need: Need::Optional,
        only_with: None,
    },
    HEADERS,
    SECRET_HEADERS,
    Setting {
        key: "idempotencyHeader",
        title: "Header by which a record is known again",
        help: "a header such as `Idempotency-Key`, with topic, partition and offset, which are the same when a record is sent again",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: Some(("mode", &["single"])),
    },
    Setting {
        key: "body",
        title: "Body",
        help: "json: an object with the columns; template: a text of your own; none: no body",
        value: ValueKind::Choice(&["json", "template", "none"]),
        need: Need::Default("\"json\""),
        only_with: None,
    },
    Setting {
        key: "template",
        title: "Template of a record",
        help: "the text of a record, such as `{\"id\": {{ order_id | json }}}`",
        value: ValueKind::Template,
        need: Need::Optional,
        only_with: Some(("body", &["template"])),
    },
    Setting {
        key: "batchFormat",
        title: "Form of a batch",
        help: "array: a JSON array; lines: a record a line; wrapper: a JSON array within a text of your own",
        value: ValueKind::Choice(&["array", "lines", "wrapper"]),
        need: Need::Default("\"array\""),
        only_with: BATCH,
    },
    Setting {
        key: "wrapper",
        title: "Text around a batch",
        help: "a text with `{{ records }}` in it once, where the array goes, such as `{\"events\": {{ records }}}`",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: Some(("batchFormat", &["wrapper"])),
    },
    Setting {
        key: "contentType",
        title: "Content type",
        help: "left out: application/json, or application/x-ndjson for lines, or text/plain for a template",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "compression",
        title: "Compression",
        help: "gzip compresses bodies of 1,024 bytes and more",
        value: ValueKind::Choice(&["none", "gzip"]),
        need: Need::Default("\"none\""),
        only_with: None,
    },
    Setting {
        key: "auth",
        title: "Authentication",
        help: "basic: `username` and `secret`; bearer: `secret`; oauth2: a token by client credentials",
        value: ValueKind::Choice(&["none", "basic", "bearer", "oauth2"]),
        need: Need::Default("\"none\""),
        only_with: None,
    },
    Setting {
        key: "username",
        title: "User",
        help: "the user of basic authentication",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: Some(("auth", &["basic"])),
    },
    Setting {
        key: "secret",
        title: "Secret",
        help: "the name of the secret: a password, a token, or the client's secret",
        value: ValueKind::Secret,
        need: Need::Optional,
        only_with: Some(("auth", &["basic", "bearer", "oauth2"])),
    },
    Setting {
        key: "tokenUrl",
        title: "Token address",
        help: "where tokens are given, such as `https://login.example/oauth/token`",
        value: ValueKind::Url,
        need: Need::Optional,
        only_with: OAUTH,
    },
    Setting {
        key: "clientId",
        title: "Client",
        help: "the client's id at the token address",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: OAUTH,
    },
    Setting {
        key: "scope",
        title: "Scope",
        help: "what the token is asked for, if the server wants to know",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: OAUTH,
    },
    Setting {
        key: "audience",
        title: "Audience",
        help: "whom the token is for, if the server wants to know",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: OAUTH,
    },
    Setting {
        key: "clientAuth",
        title: "How the client proves itself",
        help: "header: basic authentication; body: in the form",
        value: ValueKind::Choice(&["header", "body"]),
        need: Need::Default("\"header\""),
        only_with: OAUTH,
    },
    STATUSES,
    Setting {
        key: "failedItems",
        title: "Failed records in an answer",
        help: "JSON pointer to the array of what failed, such as `/errors`; the others are taken",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: BATCH,
    },
    Setting {
        key: "failedIndex",
        title: "Number of a failed record",
        help: "JSON pointer within an item to the record's number, from 0, such as `/index`; left out: the item is the number",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: BATCH,
    },
    Setting {
        key: "failedReason",
        title: "Reason of a failed record",
        help: "JSON pointer within an item to the reason, such as `/message`; left out: the item",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: BATCH,
    },
    FOLLOW_REDIRECTS,
    TIMEOUT,
    IN_FLIGHT,
    BODY_BYTES,
];
