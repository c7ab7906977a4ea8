//! What a person can say about CleverTap.

use super::config::{IDENTITIES, REGIONS};
use crate::{Need, Setting, SinkDescription, ValueKind};

pub(super) const DESCRIPTION: SinkDescription = SinkDescription {
    kind: "cleverTap",
    title: "CleverTap",
    what: "Uploads records as events or profiles of users to CleverTap.",
    settings: SETTINGS,
};

const SETTINGS: &[Setting] = &[
    Setting {
        key: "region",
        title: "Region",
        help: "where the account is, as its dashboard's address says",
        value: ValueKind::Choice(REGIONS),
        need: Need::Default("\"eu1\""),
        only_with: None,
    },
    Setting {
        key: "url",
        title: "Address",
        help: "of an account that has an address of its own; left out: that of the region",
        value: ValueKind::Url,
        need: Need::Optional,
        only_with: None,
    },
    Setting {
        key: "accountId",
        title: "Account",
        help: "the project's id, as the settings of the account show it",
        value: ValueKind::Text,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "secret",
        title: "Passcode",
        help: "the name of the secret with the account's passcode",
        value: ValueKind::Secret,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "type",
        title: "Upload",
        help: "event: something that a user has done; profile: what is known of a user",
        value: ValueKind::Choice(&["event", "profile"]),
        need: Need::Default("\"event\""),
        only_with: None,
    },
    Setting {
        key: "event",
        title: "Name of the event",
        help: "a name such as `Trip cancelled`; fields of the record can stand in it",
        value: ValueKind::Template,
        need: Need::Optional,
        only_with: Some(("type", &["event"])),
    },
    Setting {
        key: "identity",
        title: "User",
        help: "what tells the user from others, such as `{{ customer_id }}`",
        value: ValueKind::Template,
        need: Need::Required,
        only_with: None,
    },
    Setting {
        key: "identityType",
        title: "What identifies the user",
        help: "which of CleverTap's identifiers it is",
        value: ValueKind::Choice(IDENTITIES),
        need: Need::Default("\"identity\""),
        only_with: None,
    },
    Setting {
        key: "timeColumn",
        title: "Time",
        help: "a column with timestamps; left out: the time of the record, if there is one, or else CleverTap's own",
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
