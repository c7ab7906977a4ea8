//! The examples of `docs/filters-and-templates.md` give what the page says.

use std::time::Duration;

use serde_json::Value;
use shape::{ColumnSource, ColumnSpec, Filter, Shape, ShapeSpec, Template, TimeWindow};

use crate::booking;

/// The blocks of code, with their language.
fn blocks() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filters-and-templates.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut parts = page.split("\n```");
    parts.next();
    while let (Some(block), _) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push((language.to_owned(), text.to_owned()));
    }
    blocks
}

fn of_language(language: &str) -> Vec<String> {
    let found: Vec<String> =
        blocks().into_iter().filter(|(known, _)| known == language).map(|(_, text)| text).collect();
    assert!(!found.is_empty());
    found
}

/// Lines with what they give behind `mark`.
fn examples(language: &str, mark: &str) -> Vec<(String, String)> {
    of_language(language)
        .iter()
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| {
            let (example, gives) = line.rsplit_once(mark).unwrap_or_else(|| panic!("{line}"));
            (example.trim_end().to_owned(), gives.trim().trim_end_matches("#}").trim_end().to_owned())
        })
        .collect()
}

fn first_row_of(shape: &Shape) -> Value {
    let shaped = shape.apply(&booking::batch().slice(0, 1)).unwrap();
    let mut text = Vec::new();
    rows::write_rows(&shaped.rows, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn the_record_is_that_of_the_examples() {
    let batch = booking::batch();
    let shape = Shape::compile(&ShapeSpec::default(), batch.schema_ref()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&of_language("json")[0]).unwrap(), first_row_of(&shape));
}

#[test]
fn the_filters_hold_as_the_page_says() {
    let batch = booking::batch();
    let examples = examples("cel", "//");
    assert!(examples.len() > 10);
    for (text, gives) in examples {
        let filter = Filter::compile(&text, batch.schema_ref()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(filter.judge(&batch).unwrap().holds.value(0).to_string(), gives, "{text}");
        assert!(!filter.judge(&batch).unwrap().failed.iter().any(|(row, _)| *row == 0), "{text}");
    }
}

#[test]
fn the_templates_give_what_the_page_says() {
    let batch = booking::batch();
    let examples = examples("jinja", "{#");
    assert!(examples.len() > 8);
    for (text, gives) in examples {
        let template = Template::compile(&text, batch.schema_ref()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(template.bind(&batch).unwrap().render(0).unwrap(), gives, "{text}");
    }
}

#[test]
fn the_documents_do_what_the_page_says() {
    let batch = booking::batch();
    for text in of_language("yaml") {
        let document: Value = serde_yaml_ng::from_str(&text).unwrap();
        let shape = Shape::compile(&spec(&document), batch.schema_ref()).unwrap();
        match document.as_object().unwrap().keys().next().unwrap().as_str() {
            "columns" => {
                assert_eq!(first_row_of(&shape), serde_json::from_str::<Value>(&of_language("json")[1]).unwrap())
            }
            "jsonSchema" => assert_eq!(shape.apply(&batch).unwrap().input_rows, [0]),
            "timeWindow" => assert_eq!(shape.fields_used().len(), batch.num_columns()),
            other => panic!("{other}"),
        }
    }
}

/// The parts of a firehose's document that are about rows and columns.
fn spec(document: &Value) -> ShapeSpec {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let hours = |value: &Value| {
        Duration::from_secs(value.as_str().unwrap().trim_end_matches('h').parse::<u64>().unwrap() * 3_600)
    };
    let column = |column: &Value| ColumnSpec {
        name: text(&column["as"]),
        source: match (text(&column["field"]), text(&column["expression"]), text(&column["hash"])) {
            (Some(field), _, _) => ColumnSource::Field(field),
            (_, Some(text), _) => ColumnSource::Expression { text, declared: None },
            (_, _, Some(field)) => ColumnSource::Hash { field, key: None },
            _ => ColumnSource::Constant(column["constant"].clone()),
        },
    };
    ShapeSpec {
        filter: text(&document["filter"]),
        json_schema: document.get("jsonSchema").cloned(),
        time_window: document.get("timeWindow").map(|window| TimeWindow {
            field: text(&window["field"]).unwrap(),
            past: hours(&window["past"]),
            future: hours(&window["future"]),
        }),
        columns: document.get("columns").map(|columns| columns.as_array().unwrap().iter().map(column).collect()),
    }
}
