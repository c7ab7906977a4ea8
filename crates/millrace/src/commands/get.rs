//! `millrace get` and `delete`: every kind of thing in one manner.

use super::{apply, dagger, firehose, items, schema, topic};
use crate::arguments::{DeleteArguments, GetArguments, OutputFormat, ResourceKind};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Column, Output, column, note};
use reqwest::Method;
use serde_json::Value;

/// The server gives no more at once.
const PAGE_ITEMS_MAX: usize = 1_000;

/// How the API has a kind of thing.
struct Listing {
    /// Its path.
    path: &'static str,
    word: &'static str,
    columns: &'static [Column],
    /// Whether the server searches, sorts and pages it.
    is_paged: bool,
    /// Where the group stands, if it has one.
    group: Option<&'static str>,
    /// What one of them is called by; `None` if the API shows a single one.
    name: Option<&'static str>,
}

const GROUP_COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("MEMBERS", "/status/members"),
    column("RESOURCES", "/status/resources"),
    column("OPEN RECORDS", "/spec/openRecords"),
    column("DESCRIPTION", "/spec/description"),
];
const CLUSTER_COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("ENGINE", "/spec/engine"),
    column("CORES", "/spec/cores"),
    column("RUNNING", "/status/running"),
    column("DAGGERS MAX", "/spec/daggersMax"),
    column("GROUPS", "/spec/groups"),
];
const KAFKA_CLUSTER_COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("TYPE", "/spec/type"),
    column("STATE", "/status/state"),
    column("TOPICS", "/status/topics"),
    column("ATTACHED", "/status/attachedTopics"),
    column("PROBLEM", "/status/problem"),
    column("PARTITIONS", "/status/partitions"),
    column("RECORDS", "/status/records"),
    column("BYTES", "/status/bytes"),
    column("DISK FREE BYTES", "/status/diskFreeBytes"),
];
pub const SECRET_COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("GROUP", "/group"),
    column("UPDATED", "/updated"),
    column("UPDATED BY", "/updatedBy"),
];
const USER_COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("DISPLAY NAME", "/displayName"),
    column("ADMIN", "/admin"),
    column("HAS PASSWORD", "/hasPassword"),
    column("CREATED", "/created"),
];
pub const TOKEN_COLUMNS: &[Column] = &[
    column("ID", "/id"),
    column("NAME", "/name"),
    column("SCOPES", "/scopes"),
    column("CREATED", "/created"),
    column("EXPIRES", "/expires"),
    column("LAST USED", "/lastUsed"),
];
const AUDIT_COLUMNS: &[Column] = &[
    column("ID", "/id"),
    column("AT", "/at"),
    column("ACTOR", "/actor"),
    column("VIA", "/via"),
    column("ACTION", "/action"),
    column("KIND", "/kind"),
    column("NAME", "/name"),
    column("GROUP", "/group"),
];

fn listing(kind: ResourceKind) -> Listing {
    let resource = |path, word, columns| Listing {
        path,
        word,
        columns,
        is_paged: true,
        group: Some("/metadata/group"),
        name: None,
    };
    let plain =
        |path, word, columns, name| Listing { is_paged: false, group: None, name, ..resource(path, word, columns) };
    match kind {
        ResourceKind::Dagger => resource("daggers", "dagger", dagger::COLUMNS),
        ResourceKind::Firehose => resource("firehoses", "firehose", firehose::COLUMNS),
        ResourceKind::Topic => resource("topics", "topic", topic::COLUMNS),
        ResourceKind::Schema => Listing { group: None, ..resource("schemas", "schema", schema::COLUMNS) },
        ResourceKind::Group => plain("groups", "group", GROUP_COLUMNS, None),
        ResourceKind::DaggerCluster => plain("dagger-clusters", "dagger cluster", CLUSTER_COLUMNS, None),
        ResourceKind::KafkaCluster => resource("kafka-clusters", "Kafka cluster", KAFKA_CLUSTER_COLUMNS),
        ResourceKind::Secret => {
            Listing { group: Some("/group"), ..plain("secrets", "secret", SECRET_COLUMNS, Some("/name")) }
        }
        ResourceKind::User => plain("users", "user", USER_COLUMNS, Some("/name")),
        ResourceKind::Token => plain("tokens", "token", TOKEN_COLUMNS, Some("/name")),
        ResourceKind::Audit => Listing { group: Some("/group"), ..plain("audit", "audit", AUDIT_COLUMNS, None) },
    }
}

pub async fn run(arguments: GetArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let listing = listing(arguments.kind);
    refuse_filters(&arguments, &listing)?;
    if arguments.kind == ResourceKind::Audit {
        return audit(&arguments, &client, &mut output).await;
    }
    if let Some(name) = &arguments.name {
        let item = one(&client, &listing, name).await?;
        return match (arguments.kind, output.format()) {
            (ResourceKind::Schema, OutputFormat::Table) => schema::show_fields(&item, &mut output),
            _ => output.item(&item),
        };
    }
    let limit = arguments.limit.map_or(usize::MAX, |limit| limit as usize);
    let (items, total) = match listing.is_paged {
        true => pages(&client, &listing, &arguments, limit).await?,
        false => {
            let mut found = items(&client.get(&[listing.path]).await?).to_vec();
            found.retain(|item| matches(item, &arguments, &listing));
            let total = found.len();
            found.truncate(limit);
            (found, total)
        }
    };
    output.documents(&items, listing.columns)?;
    if items.len() < total {
        note(format!("{} of {total}; --limit shows more", items.len()));
    }
    Ok(())
}

/// What a kind cannot be filtered by would otherwise be left out without a word.
fn refuse_filters(arguments: &GetArguments, listing: &Listing) -> Result<(), Failure> {
    let is_audit = arguments.kind == ResourceKind::Audit;
    let has_filter = arguments.search.is_some() || arguments.sort.is_some() || arguments.state.is_some();
    let wrong = [
        (
            "--state",
            arguments.state.is_some() && !matches!(arguments.kind, ResourceKind::Dagger | ResourceKind::Firehose),
        ),
        ("--group", arguments.group.is_some() && listing.group.is_none()),
        ("--sort", arguments.sort.is_some() && !listing.is_paged),
        ("--search", arguments.search.is_some() && is_audit),
    ];
    if let Some((option, _)) = wrong.iter().find(|(_, is_wrong)| *is_wrong) {
        return Err(Failure::usage(format!("{option} says nothing about a list of {}", listing.path)));
    }
    if arguments.name.is_some() && !is_audit && (has_filter || arguments.group.is_some() || arguments.limit.is_some()) {
        return Err(Failure::usage("a single one is shown by its name, without --search and its like"));
    }
    Ok(())
}

async fn one(client: &Client, listing: &Listing, name: &str) -> Result<Value, Failure> {
    let Some(pointer) = listing.name else { return client.get(&[listing.path, name]).await };
    let all = client.get(&[listing.path]).await?;
    let is_it = |item: &&Value| [Some("/id"), Some(pointer)].iter().flatten().any(|at| text(item, at) == Some(name));
    if let Some(item) = items(&all).iter().find(is_it) {
        return Ok(item.clone());
    }
    let failure = Failure::not_found(format!("there is no {} `{name}`", listing.word));
    let names = items(&all).iter().filter_map(|item| text(item, pointer));
    Err(match control::nearest(name, names) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure.with_hint(format!("`millrace get {}` shows what there is", listing.path)),
    })
}

fn text<'a>(item: &'a Value, pointer: &str) -> Option<&'a str> {
    item.pointer(pointer).and_then(Value::as_str)
}

/// The items, and how many there would be without a limit.
async fn pages(
    client: &Client,
    listing: &Listing,
    arguments: &GetArguments,
    limit: usize,
) -> Result<(Vec<Value>, usize), Failure> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let mut query: Vec<(&str, String)> =
            vec![("limit", (limit - found.len()).min(PAGE_ITEMS_MAX).to_string()), ("offset", found.len().to_string())];
        let filters = [
            ("search", &arguments.search),
            ("group", &arguments.group),
            ("state", &arguments.state),
            ("sort", &arguments.sort),
        ];
        query.extend(filters.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?.clone()))));
        let page = json(client.send(client.request(Method::GET, &[listing.path])?.query(&query)).await?).await?;
        let total = page.get("total").and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
        let total = total.unwrap_or(items(&page).len());
        found.extend(items(&page).to_vec());
        if items(&page).is_empty() || found.len() >= total.min(limit) {
            return Ok((found, total));
        }
    }
}

/// For the short lists that the server gives whole.
fn matches(item: &Value, arguments: &GetArguments, listing: &Listing) -> bool {
    let is_in_group =
        arguments.group.as_deref().is_none_or(|group| listing.group.and_then(|at| text(item, at)) == Some(group));
    is_in_group
        && arguments.search.as_deref().is_none_or(|search| {
            let text = item.to_string().to_lowercase();
            search.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
        })
}

async fn audit(arguments: &GetArguments, client: &Client, output: &mut Output) -> Result<(), Failure> {
    const LINES_DEFAULT: usize = 100;
    let limit = arguments.limit.map_or(LINES_DEFAULT, |limit| limit as usize);
    let (mut found, mut before) = (Vec::<Value>::new(), None::<String>);
    loop {
        let mut query: Vec<(&str, String)> = vec![("limit", (limit - found.len()).min(PAGE_ITEMS_MAX).to_string())];
        query.extend(before.take().map(|before| ("before", before)));
        query.extend(arguments.group.clone().map(|group| ("group", group)));
        query.extend(arguments.name.clone().map(|name| ("name", name)));
        let page = json(client.send(client.request(Method::GET, &["audit"])?.query(&query)).await?).await?;
        found.extend(items(&page).to_vec());
        before = page.get("next").filter(|next| !next.is_null()).map(Value::to_string);
        if found.len() >= limit || before.is_none() {
            break;
        }
    }
    output.documents(&found, AUDIT_COLUMNS)?;
    if before.is_some() {
        note(format!("there may be more than {limit}; --limit shows more"));
    }
    Ok(())
}

pub async fn delete(arguments: DeleteArguments, client: Client) -> Result<(), Failure> {
    let (Some(kind), Some(name)) = (arguments.kind, &arguments.name) else {
        return apply::delete(&arguments.paths, &client).await;
    };
    let listing = listing(kind);
    if matches!(kind, ResourceKind::Schema | ResourceKind::Audit) {
        return Err(Failure::usage(format!("what is in {} stays", listing.path)));
    }
    client.delete(&[listing.path, name]).await?;
    note(format!("{} {name} deleted", listing.word));
    Ok(())
}
