//! What a person can say about Mixpanel.

use super::config::REGIONS;
use crate::{Need, Setting, SinkDescription, ValueKind};

pub(super) const DESCRIPTION: SinkDescription = SinkDescription {
    kind: "mixpanel",
    title: "Mixpanel",
    what: "Imports records as events into Mixpanel.",
    settings: SETTINGS,
};

const SETTINGS: &[Setting] = &[
    Setting {
        key: "region",
        title: "Region",
        help: "where the project's data is kept",
        value: ValueKind::Choice(REGIONS),
        need: Need::Default("\"us\""),
        only_with: None,
    },
    Setting {
        key: "url",
        title: "Address",
        help: "of something that speaks for Mixpanel; left out: that of the region",
        value: ValueKind::Url,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "projectId",
        title: "Project",
        help: "the project's id; needed with a service account",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "username",
        title: "Service account",
        help: "the user of the service account; left out: the secret is the project's token",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "secret",
        title: "Secret",
        help: "the name of the secret with the service account's secret, or with the project's token",
        value: ValueKind::Secret,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "event",
        title: "Name of the event",
        help: "a name such as `Trip cancelled`; fields of the record can stand in it",
        value: ValueKind::Template,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "distinctId",
        title: "User",
        help: "what tells the user from others, such as `{{ customer_id }}`; empty for an event of nobody",
        value: ValueKind::Template,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "timeColumn",
        title: "Time",
        help: "a column with timestamps; left out: the time of the record",
        value: ValueKind::Text,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "columns",
        title: "Properties",
        help: "the columns that become properties; left out: all",
        value: ValueKind::Columns,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "properties",
        title: "Further properties",
        help: "names and a template for each, such as `Route: \"{{ from }} to {{ to }}\"`",
        value: ValueKind::Templates,
        need: Need::Optional,
        only_with: None,
    },
    crate::http_sink::TIMEOUT,
];
