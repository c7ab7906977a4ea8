//! Dashboards and provisioning for Grafana.

use crate::AppState;
use crate::body::accepts;
use crate::problem::Problem;
use crate::query::Query;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, GrafanaExport, GrafanaPlace};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// Where a package of Grafana can be told to keep dashboards.
const DASHBOARDS_PATH_DEFAULT: &str = "/var/lib/grafana/dashboards/millrace";
const URL_BYTES_MAX: usize = 2_048;
const FILE_MODE: u32 = 0o644;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DashboardQuery {
    /// Address of this server as Grafana reaches it; the one of the request if not given.
    #[serde(default)]
    url: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct ExportQuery {
    /// Only daggers of this group.
    #[serde(default)]
    group: Option<String>,
    /// Address of this server as Grafana reaches it; the one of the request if not given.
    #[serde(default)]
    url: Option<String>,
    /// Where the folder `dashboards` will be on Grafana's machine.
    #[serde(default)]
    dashboards_path: Option<String>,
}

pub(crate) async fn dashboard(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<DashboardQuery>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let place = place(&state, &headers, query.url, None)?;
    Ok(Json(state.platform.grafana_dashboard(&name, &place).await?))
}

/// A gzipped tar archive, or with `Accept: application/json` the same as `{"files": [{"path", "text"}], "skipped": [..]}`.
pub(crate) async fn export(
    State(state): State<AppState>,
    Query(query): Query<ExportQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = place(&state, &headers, query.url, query.dashboards_path)?;
    let export = state.platform.grafana_export(query.group.as_deref(), &place).await?;
    if accepts(&headers, "application/json") {
        return Ok(Json(json!({ "files": export.files, "skipped": export.skipped })).into_response());
    }
    let archive = tokio::task::spawn_blocking(move || archive(&export))
        .await
        .map_err(ControlError::from)?
        .map_err(|error| ControlError::internal(format!("the archive cannot be made: {error}")))?;
    let mut response = archive.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/gzip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"millrace-grafana.tar.gz\""),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn place(
    state: &AppState,
    headers: &HeaderMap,
    url: Option<String>,
    dashboards_path: Option<String>,
) -> Result<GrafanaPlace, ControlError> {
    let url = match url {
        Some(url) => url,
        None => {
            let scheme = if state.secure_cookies { "https" } else { "http" };
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.ok_or_else(|| invalid("the request does not say under which address it came"))?;
            format!("{scheme}://{host}")
        }
    };
    let is_address = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if !is_address || url.len() > URL_BYTES_MAX || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let shown: String = url.chars().take(80).collect();
        return Err(invalid(&format!("`url`: `{shown}` is no address of a server")));
    }
    Ok(GrafanaPlace {
        millrace_url: url.trim_end_matches('/').to_owned(),
        dashboards_path: dashboards_path.unwrap_or_else(|| DASHBOARDS_PATH_DEFAULT.to_owned()),
    })
}

fn invalid(detail: &str) -> ControlError {
    ControlError::invalid("grafana_place_invalid", detail).with_hint("write `url=http://HOST:PORT`")
}

/// The same files make the same bytes.
fn archive(export: &GrafanaExport) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for file in &export.files {
        let mut head = tar::Header::new_gnu();
        head.set_size(file.text.len() as u64);
        head.set_mode(FILE_MODE);
        archive.append_data(&mut head, &file.path, file.text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::GrafanaFile;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn an_archive_has_every_file_under_its_name() {
        let long = format!("dashboards/{}/{}.json", "g".repeat(200), "d".repeat(200));
        let files = ["provisioning/datasources/millrace.yaml", &long]
            .map(|path| GrafanaFile { path: path.to_owned(), text: format!("text of {path}") });
        let export = GrafanaExport { files: files.to_vec(), skipped: Vec::new() };
        let bytes = archive(&export).unwrap();
        let mut unpacked = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let found: Vec<GrafanaFile> = unpacked
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                GrafanaFile { path: entry.path().unwrap().to_str().unwrap().to_owned(), text }
            })
            .collect();
        assert_eq!(found, files);
    }
}
