//! `millrace grafana`.

use crate::arguments::{GrafanaCommand, GrafanaExportArguments};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Output, column, note};
use reqwest::{Method, header};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

#[derive(Deserialize)]
struct Export {
    files: Vec<File>,
    skipped: Vec<Skipped>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    text: String,
}

#[derive(Deserialize)]
struct Skipped {
    dagger: String,
    reason: String,
}

pub async fn run(command: GrafanaCommand, client: Client, output: Output) -> Result<(), Failure> {
    match command {
        GrafanaCommand::Export(arguments) => export(&arguments, &client, output).await,
    }
}

async fn export(arguments: &GrafanaExportArguments, client: &Client, mut output: Output) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let absolute = std::path::absolute(directory)
        .map_err(|error| Failure::error(format!("cannot find {}: {error}", directory.display())))?;
    let dashboards = match &arguments.dashboards_path {
        Some(path) => path.clone(),
        None => absolute.join("dashboards").display().to_string(),
    };
    let mut query = vec![("dashboardsPath", dashboards)];
    query.extend(arguments.group.clone().map(|group| ("group", group)));
    query.extend(arguments.millrace_url.clone().map(|url| ("url", url)));
    let request = client.request(Method::GET, &["grafana"])?.query(&query).header(header::ACCEPT, "application/json");
    let answer = json(client.send(request).await?).await?;
    let export: Export = serde_json::from_value(answer)
        .map_err(|error| Failure::error(format!("the server's answer cannot be read: {error}")))?;
    for file in &export.files {
        write(&place(directory, &file.path)?, &file.text)?;
    }
    for skipped in &export.skipped {
        note(format!("no dashboard of {}: {}", skipped.dagger, skipped.reason));
    }
    let written: Vec<serde_json::Value> =
        export.files.iter().map(|file| serde_json::json!({ "path": file.path, "bytes": file.text.len() })).collect();
    output.items(&written, &[column("FILE", "/path"), column("BYTES", "/bytes")])
}

/// Names come from the server: none may lead out of the folder.
fn place(directory: &Path, path: &str) -> Result<PathBuf, Failure> {
    let relative = Path::new(path);
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_)));
    match stays && !path.is_empty() {
        true => Ok(directory.join(relative)),
        false => Err(Failure::error(format!("the server named the file `{path}`, which is outside the folder"))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!(place(Path::new("out"), "a/b.json").unwrap(), Path::new("out/a/b.json"));
        for path in ["../b", "a/../../b", "/etc/b", ""] {
            assert!(place(Path::new("out"), path).is_err(), "{path}");
        }
    }
}
