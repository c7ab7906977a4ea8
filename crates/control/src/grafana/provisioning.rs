//! The files of Grafana's provisioning: data sources, where its dashboards are, and the dashboards.

use super::{Board, GrafanaFile, GrafanaPlace, TOKEN_VARIABLE, dashboard, datasource_uid};
use crate::error::ControlError;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DATASOURCES: &str = "provisioning/datasources/millrace.yaml";
const PROVIDERS: &str = "provisioning/dashboards/millrace.yaml";

/// All files of these boards. Dashboards of one group lie in one folder, and so they do in Grafana.
pub(crate) fn files(boards: &[Board], place: &GrafanaPlace) -> Result<Vec<GrafanaFile>, ControlError> {
    let groups: BTreeSet<&str> = boards.iter().map(|board| board.group.as_str()).collect();
    let datasources: Vec<Value> = groups.iter().map(|group| datasource(group, place)).collect();
    let head = format!(
        "# Data sources of Millrace, one for each group. Grafana reads the token from its environment:\n\
         # {TOKEN_VARIABLE}, a token of somebody who may read the groups.\n"
    );
    let mut files = vec![
        yaml(DATASOURCES, &head, &json!({ "apiVersion": 1, "datasources": datasources }))?,
        yaml(
            PROVIDERS,
            "# Dashboards of Millrace's daggers; `path` is where they are on Grafana's machine.\n",
            &json!({ "apiVersion": 1, "providers": [{
                "name": "millrace", "orgId": 1, "type": "file", "disableDeletion": false, "allowUiUpdates": true,
                "updateIntervalSeconds": 30,
                "options": { "path": escaped(&place.dashboards_path), "foldersFromFilesStructure": true },
            }] }),
        )?,
    ];
    for board in boards {
        let text = serde_json::to_string_pretty(&dashboard(board, place))
            .map_err(|error| ControlError::internal(error.to_string()))?;
        files
            .push(GrafanaFile { path: format!("dashboards/{}/{}.json", board.group, board.dagger), text: text + "\n" });
    }
    Ok(files)
}

fn datasource(group: &str, place: &GrafanaPlace) -> Value {
    json!({
        "name": format!("Millrace {group}"), "uid": datasource_uid(group), "type": "influxdb", "access": "proxy",
        "orgId": 1, "url": escaped(&place.millrace_url), "isDefault": false, "editable": false,
        "jsonData": {
            "version": "InfluxQL", "dbName": group, "httpMode": "GET", "httpHeaderName1": "Authorization",
        },
        "secureJsonData": { "httpHeaderValue1": format!("Bearer ${TOKEN_VARIABLE}") },
    })
}

/// Grafana puts its environment in place of what follows a `$`.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn yaml(path: &str, head: &str, document: &Value) -> Result<GrafanaFile, ControlError> {
    let body = serde_yaml_ng::to_string(document).map_err(|error| ControlError::internal(error.to_string()))?;
    Ok(GrafanaFile { path: path.to_owned(), text: format!("{head}{body}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grafana::{Measure, MeasureKind};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grafana/tests/provisioning.txt");

    fn board(dagger: &str, group: &str) -> Board {
        Board {
            dagger: dagger.to_owned(),
            group: group.to_owned(),
            measurement: dagger.to_owned(),
            step_ms: None,
            tags: Vec::new(),
            measures: vec![Measure { field: "n".to_owned(), kind: MeasureKind::Count }],
        }
    }

    fn place() -> GrafanaPlace {
        GrafanaPlace { millrace_url: "https://millrace.test".to_owned(), dashboards_path: "/srv/$HOME/d".to_owned() }
    }

    #[test]
    fn the_files_are_as_the_snapshot_has_them() {
        let boards = [board("surge", "default"), board("bookings", "rides.eu"), board("drivers", "rides.eu")];
        let files = files(&boards, &place()).unwrap();
        let paths: Vec<&str> = files[2..].iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            ["dashboards/default/surge.json", "dashboards/rides.eu/bookings.json", "dashboards/rides.eu/drivers.json"]
        );
        let is: String = files[..2].iter().map(|file| format!("==> {}\n{}", file.path, file.text)).collect();
        let wanted = std::fs::read_to_string(FILE).unwrap_or_default();
        if is != wanted && std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, is).unwrap();
            return;
        }
        assert!(is == wanted, "{FILE} is another: run the tests with UPDATE=1 and look at what changed");
    }

    #[test]
    fn without_daggers_the_files_can_be_read_still() {
        let files = files(&[], &place()).unwrap();
        assert_eq!(files.len(), 2);
        let sources: Value = serde_yaml_ng::from_str(&files[0].text).unwrap();
        assert_eq!(sources["datasources"], json!([]));
    }
}
