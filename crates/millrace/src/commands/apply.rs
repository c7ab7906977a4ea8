//! `millrace apply`, `diff` and `delete -f`: what files say becomes so, one document after the other.

use crate::arguments::{ApplyArguments, ApplyHow, DiffArguments, OutputFormat};
use crate::client::{Client, ORIGIN_HEADER, json, problem_of};
use crate::documents::{self, Document};
use crate::failure::{Failure, Problem};
use crate::output::{Output, note, paint_difference};
use crate::unified_diff::unified;
use control::Kind;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub async fn run(arguments: ApplyArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let resources = apply(&arguments.files.paths, &arguments.how, &client).await?;
    match output.format() {
        // The lines on stderr have said it.
        OutputFormat::Table => Ok(()),
        _ => output.documents(&resources, &[]),
    }
}

/// Applies all documents; gives the resources as the server has stored them.
pub async fn apply(paths: &[PathBuf], how: &ApplyHow, client: &Client) -> Result<Vec<Value>, Failure> {
    let documents = documents::load(paths)?;
    let mut resources = Vec::with_capacity(documents.len());
    let mut made = Made::default();
    for document in &documents {
        match send(client, document, how.dry_run).await? {
            Ok(applied) => {
                note(format!("{} {}{}", document.title(), applied.change, if how.dry_run { " (dry run)" } else { "" }));
                for warning in &applied.warnings {
                    note(format!("warning: {warning}"));
                }
                made.add(document, &applied.change);
                resources.push(applied.resource);
            }
            Err(problem) if how.dry_run && made.explains(document, &problem) => {
                note(format!("{} not checked: it needs what would be made before it", document.title()));
                made.add(document, CREATED);
            }
            Err(problem) => {
                let failure = document.failure(problem);
                return Err(match resources.len() {
                    0 => failure,
                    _ if how.dry_run => failure,
                    before => failure.and(&format!(" ({before} before it are applied)")),
                });
            }
        }
    }
    if how.wait {
        wait(client, &mut resources, how.timeout).await?;
    }
    Ok(resources)
}

const CREATED: &str = "created";

/// What a dry run would have made: what needs it cannot be checked.
#[derive(Default)]
struct Made(BTreeSet<(Kind, String)>);

impl Made {
    fn add(&mut self, document: &Document, change: &str) {
        if change != "unchanged" {
            self.0.extend(document.makes().into_iter().map(|(kind, name)| (kind, name.to_owned())));
        }
    }

    fn explains(&self, document: &Document, problem: &Problem) -> bool {
        problem.status == 404
            && document.needs().into_iter().any(|(kind, name)| self.0.contains(&(kind, name.to_owned())))
    }
}

struct Applied {
    resource: Value,
    change: String,
    warnings: Vec<String>,
}

async fn send(client: &Client, document: &Document, is_dry_run: bool) -> Result<Result<Applied, Problem>, Failure> {
    let mut request =
        client.request(Method::POST, &["apply"])?.header(ORIGIN_HEADER, "file").body(document.text.clone());
    if is_dry_run {
        request = request.query(&[("dryRun", "true")]);
    }
    let response = client.send_any(request).await?;
    if !response.status().is_success() {
        return Ok(Err(problem_of(response).await?));
    }
    let answer = json(response).await?;
    let item = super::items(&answer).first().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Ok(Applied {
        change: item.get("change").map(text).unwrap_or_default(),
        warnings: item.get("warnings").and_then(Value::as_array).into_iter().flatten().map(text).collect(),
        resource: item.get("resource").cloned().unwrap_or_default(),
    }))
}

/// Until every dagger and firehose that is to run does; the resources are shown as they are then.
async fn wait(client: &Client, resources: &mut [Value], timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let text = |resource: &Value, pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    for resource in resources {
        let kind = text(resource, "/kind").and_then(|kind| Kind::parse(&kind));
        let is_to_run = text(resource, "/spec/state").as_deref() == Some("running");
        let Some(kind) = kind.filter(|kind| is_to_run && matches!(kind, Kind::Dagger | Kind::Firehose)) else {
            continue;
        };
        let Some(name) = text(resource, "/metadata/name") else { continue };
        let word = kind.word();
        loop {
            *resource = client.get(&super::path_of(kind, &name)).await?;
            let state = text(resource, "/status/state").unwrap_or_default();
            let problem = text(resource, "/status/problem").or_else(|| text(resource, "/status/message"));
            let problem = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            match state.as_str() {
                // One that has reached its `stopAt` has done what it was to do.
                "stopped" if kind == Kind::Firehose => break,
                "running" => {
                    note(format!("{word} {name} running"));
                    break;
                }
                "failed" => return Err(Failure::error(format!("the {word} {name} has failed{problem}"))),
                _ if text(resource, "/spec/state").as_deref() != Some("running") => {
                    return Err(Failure::error(format!("the {word} {name} was told to stop meanwhile")));
                }
                _ if Instant::now() >= deadline => {
                    return Err(Failure::error(format!(
                        "the {word} {name} does not run after {}; it is {state}{problem}",
                        control::format_duration(timeout)
                    ))
                    .with_hint(format!("`millrace {word} history {name}` shows what it went through")));
                }
                _ => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        }
    }
    Ok(())
}

pub async fn diff(arguments: DiffArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let documents = documents::load(&arguments.files.paths)?;
    let (mut found, mut made) = (Vec::new(), Made::default());
    let mut is_different = false;
    for document in &documents {
        let path = super::path_of(document.kind, &document.metadata.name);
        let before = client.get_if_there(&path).await?;
        let (after, warnings, change) = match send(&client, document, true).await? {
            Ok(applied) => (applied.resource, applied.warnings, applied.change),
            Err(problem) if made.explains(document, &problem) => {
                // Nobody but its file knows yet what it will be.
                (as_written(document), Vec::new(), CREATED.to_owned())
            }
            Err(problem) => return Err(document.failure(problem)),
        };
        made.add(document, &change);
        let old = before.as_ref().map(plain).transpose()?.unwrap_or_default();
        let new = plain(&after)?;
        let old_title = match before.as_ref().and_then(|before| before.pointer("/metadata/generation")) {
            Some(generation) => format!("{} (generation {generation})", document.title()),
            None => "/dev/null".to_owned(),
        };
        let text = unified(&old_title, &format!("{} ({})", document.title(), document.file()), &old, &new);
        is_different |= !text.is_empty();
        if output.format() == OutputFormat::Table {
            let painted: String = text.lines().map(|line| paint_difference(line) + "\n").collect();
            output.plain(&painted)?;
            for warning in warnings {
                note(format!("warning: {}: {warning}", document.title()));
            }
        } else {
            found.push(json!({
                "kind": document.kind.as_str(), "name": document.metadata.name, "file": document.file(), "change": change,
                "diff": text, "warnings": warnings,
            }));
        }
    }
    if output.format() != OutputFormat::Table {
        output.items(&found, &[])?;
    }
    match is_different && arguments.exit_code {
        true => Err(Failure::differences()),
        false => Ok(()),
    }
}

fn as_written(document: &Document) -> Value {
    json!({
        "apiVersion": control::API_VERSION, "kind": document.kind.as_str(),
        "metadata": {
            "name": document.metadata.name, "group": document.metadata.group, "labels": document.metadata.labels,
        },
        "spec": document.spec,
    })
}

/// What people decide of a resource, as YAML: without generation, times and status.
fn plain(resource: &Value) -> Result<String, Failure> {
    let mut shown = Map::new();
    for key in ["apiVersion", "kind", "metadata", "spec"] {
        shown.insert(key.to_owned(), resource.get(key).cloned().unwrap_or_default());
    }
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| matches!(key.as_str(), "name" | "group" | "labels"));
    }
    serde_yaml_ng::to_string(&Value::Object(shown)).map_err(|error| Failure::error(format!("no YAML form: {error}")))
}

/// Deletes what the files name, in the order opposite to applying. What is not there is as it should be.
pub async fn delete(paths: &[PathBuf], client: &Client) -> Result<(), Failure> {
    for document in documents::load(paths)?.iter().rev() {
        match client.delete(&super::path_of(document.kind, &document.metadata.name)).await {
            Ok(()) => note(format!("{} deleted", document.title())),
            Err(failure) if failure.is_not_found() => note(format!("{} was not there", document.title())),
            Err(failure) => return Err(failure.at(document.file())),
        }
    }
    Ok(())
}
