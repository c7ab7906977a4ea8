//! A dagger's dashboard: a panel for each measure, a variable for each tag.

use super::{Board, GrafanaPlace, Measure, MeasureKind, dashboard_uid, datasource_uid, quoted};
use crate::duration::format_duration;
use serde_json::{Value, json};
use std::time::Duration;

/// Of Grafana 10.4; newer ones bring it up to their own.
const SCHEMA_VERSION: u32 = 39;
const PANELS_PER_ROW: usize = 2;
const PANEL_WIDTH: usize = 24 / PANELS_PER_ROW;
const PANEL_HEIGHT: usize = 9;
/// A browser should not ask more often than this.
const REFRESH_MIN: Duration = Duration::from_secs(10);
const REFRESH_MAX: Duration = Duration::from_secs(300);

/// A tag with the variable that filters by it.
struct Filter<'a> {
    tag: &'a str,
    variable: String,
    /// It names places, of which there are more than a list can show.
    is_place: bool,
}

/// The classic JSON model. The same board makes the same text.
pub(crate) fn dashboard(board: &Board, place: &GrafanaPlace) -> Value {
    let filters = filters(&board.tags);
    let source = json!({ "type": "influxdb", "uid": datasource_uid(&board.group) });
    let panels: Vec<Value> = board
        .measures
        .iter()
        .enumerate()
        .map(|(index, measure)| panel(board, measure, index, &filters, &source))
        .collect();
    let variables: Vec<Value> = filters.iter().map(|filter| variable(board, filter, &source)).collect();
    let step = board.step_ms.map_or(REFRESH_MIN, |ms| Duration::from_millis(ms.unsigned_abs()));
    json!({
        "id": null,
        "uid": dashboard_uid(&board.dagger),
        "title": board.dagger,
        "description": format!("What the dagger {} writes to the measurement {}.", board.dagger, board.measurement),
        "tags": ["millrace", board.group],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "",
        "refresh": format_duration(step.clamp(REFRESH_MIN, REFRESH_MAX)),
        "time": { "from": "now-1h", "to": "now" },
        "annotations": { "list": [{
            "builtIn": 1, "datasource": { "type": "grafana", "uid": "-- Grafana --" }, "enable": true, "hide": true,
            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
        }] },
        "links": [{
            "title": "Dagger in Millrace", "type": "link", "icon": "external link", "targetBlank": true,
            "url": format!("{}/daggers/{}", place.millrace_url, board.dagger),
        }],
        "templating": { "list": variables },
        "panels": panels,
    })
}

fn panel(board: &Board, measure: &Measure, index: usize, filters: &[Filter<'_>], source: &Value) -> Value {
    // A legend of thousands of places helps nobody.
    let group = filters.iter().find(|filter| !filter.is_place).map(|filter| filter.tag);
    let function = measure.kind.function();
    let mut query =
        format!("SELECT {function}({}) FROM {} WHERE $timeFilter", quoted(&measure.field), quoted(&board.measurement));
    for filter in filters {
        // Grafana would escape what somebody has typed, but for this.
        let form = if filter.is_place { ":raw" } else { "" };
        query.push_str(&format!(" AND {} =~ /^${{{}{form}}}$/", quoted(filter.tag), filter.variable));
    }
    query.push_str(" GROUP BY time($__interval)");
    if let Some(tag) = group {
        query.push_str(&format!(", {}", quoted(tag)));
    }
    query.push_str(" fill(null)");
    let mut target = json!({
        "refId": "A", "datasource": source, "rawQuery": true, "query": query, "resultFormat": "time_series",
    });
    let alias = match group {
        // Grafana finds no other names in an alias.
        Some(tag) if tag.chars().all(is_word) => Some(format!("$tag_{tag}")),
        Some(_) => None,
        None => Some(measure.field.clone()),
    };
    if let (Some(alias), Some(target)) = (alias, target.as_object_mut()) {
        target.insert("alias".into(), json!(alias));
    }
    let mut defaults = json!({
        "custom": {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "auto", "spanNulls": false,
        },
    });
    if let (MeasureKind::Count, Some(defaults)) = (measure.kind, defaults.as_object_mut()) {
        defaults.insert("min".into(), json!(0));
        defaults.insert("decimals".into(), json!(0));
    }
    let mut panel = json!({
        "id": index + 1,
        "type": "timeseries",
        "title": format!("{} ({function})", measure.field),
        "datasource": source,
        "gridPos": {
            "x": (index % PANELS_PER_ROW) * PANEL_WIDTH, "y": (index / PANELS_PER_ROW) * PANEL_HEIGHT,
            "w": PANEL_WIDTH, "h": PANEL_HEIGHT,
        },
        "fieldConfig": { "defaults": defaults, "overrides": [] },
        "options": {
            "legend": { "showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": [target],
    });
    // Below the distance of the points a chart would be mostly holes.
    if let (Some(ms), Some(panel)) = (board.step_ms, panel.as_object_mut()) {
        panel.insert("interval".into(), json!(format_duration(Duration::from_millis(ms.unsigned_abs()))));
    }
    panel
}

fn variable(board: &Board, filter: &Filter<'_>, source: &Value) -> Value {
    let label = filter.tag;
    if filter.is_place {
        return json!({
            "name": filter.variable, "label": label, "type": "textbox", "hide": 0, "skipUrlSync": false,
            "description": "A regular expression; .* is every one", "query": ".*",
            "current": { "text": ".*", "value": ".*" }, "options": [{ "selected": true, "text": ".*", "value": ".*" }],
        });
    }
    let query = format!("SHOW TAG VALUES FROM {} WITH KEY = {}", quoted(&board.measurement), quoted(filter.tag));
    json!({
        "name": filter.variable, "label": label, "type": "query", "hide": 0, "skipUrlSync": false,
        "datasource": source, "query": query, "definition": query, "regex": "", "refresh": 2, "sort": 3,
        "multi": true, "includeAll": true, "allValue": ".*",
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] }, "options": [],
    })
}

/// Tags that tell records apart are not for people to choose from.
fn filters(tags: &[String]) -> Vec<Filter<'_>> {
    let mut filters: Vec<Filter<'_>> = Vec::new();
    for tag in tags.iter().filter(|tag| !tag.starts_with('_')) {
        let short = tag.strip_prefix("tag_").unwrap_or(tag);
        let base: String = short.chars().map(|c| if is_word(c) { c } else { '_' }).collect();
        // `$tag_x` in an alias is the tag's value, so no variable has a name that begins like this.
        let base = if base.starts_with("tag_") { format!("by_{base}") } else { base };
        let is_taken = |name: &str| filters.iter().any(|filter| filter.variable == name);
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let variable = std::iter::once(base.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(base);
        filters.push(Filter { tag, variable, is_place: is_place(tag) });
    }
    filters
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Judged by the name: a dashboard is there before the first value.
fn is_place(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    ["s2", "geohash", "h3", "cell"].iter().any(|word| tag.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grafana/tests/dashboard.json");

    fn board() -> Board {
        let measure = |field: &str, kind| Measure { field: field.to_owned(), kind };
        Board {
            dagger: "driver_count_demo".to_owned(),
            group: "default".to_owned(),
            measurement: "driver_count_demo_influx_3876".to_owned(),
            step_ms: Some(30_000),
            tags: ["tag_s2id", "tag_service_type", "service_type", "_partition"].map(str::to_owned).to_vec(),
            measures: vec![
                measure("unique_drivers", MeasureKind::Count),
                measure("mean_speed", MeasureKind::Level),
                measure("odd \"name\"", MeasureKind::Level),
            ],
        }
    }

    fn place() -> GrafanaPlace {
        GrafanaPlace { millrace_url: "http://millrace:8080".to_owned(), dashboards_path: "/dashboards".to_owned() }
    }

    #[test]
    fn the_dashboard_is_as_the_file_has_it() {
        let is = serde_json::to_string_pretty(&dashboard(&board(), &place())).unwrap() + "\n";
        let wanted = std::fs::read_to_string(FILE).unwrap_or_default();
        if is != wanted && std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, is).unwrap();
            return;
        }
        assert!(is == wanted, "{FILE} is another: run the tests with UPDATE=1 and look at what changed");
    }

    #[test]
    fn variables_have_names_of_their_own() {
        let tags = ["tag_a", "a", "a-b", "a b", "tag_tag_c"].map(str::to_owned);
        let names: Vec<String> = filters(&tags).into_iter().map(|filter| filter.variable).collect();
        assert_eq!(names, ["a", "a_2", "a_b", "a_b_2", "by_tag_c"]);
    }

    #[test]
    fn without_tags_and_windows_a_panel_is_one_line() {
        let bare = Board { tags: vec!["_offset".to_owned()], step_ms: None, ..board() };
        let made = dashboard(&bare, &place());
        assert_eq!(
            made["panels"][0]["targets"][0]["query"],
            "SELECT sum(\"unique_drivers\") FROM \"driver_count_demo_influx_3876\" WHERE $timeFilter GROUP BY \
             time($__interval) fill(null)"
        );
        assert_eq!(made["panels"][0]["targets"][0]["alias"], "unique_drivers");
        assert_eq!(made["panels"][0].get("interval"), None);
        assert_eq!(made["templating"]["list"], json!([]));
    }
}
