//! `millrace schema`.

use super::items;
use crate::arguments::{OutputFormat, SchemaCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, column, note};
use crate::proto_files;
use base64::Engine;
use serde_json::{Value, json};

pub async fn run(command: SchemaCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        SchemaCommand::Push { paths, roots } => {
            let files = proto_files::load(&paths, &roots)?;
            let mut pushed: Vec<Value> = Vec::new();
            if !files.sources.is_empty() {
                let sources: Vec<Value> =
                    files.sources.iter().map(|file| json!({ "path": file.path, "text": file.text })).collect();
                pushed.extend(items(&client.post_json(&["schemas"], &json!({ "files": sources })).await?).to_vec());
            }
            for (_, bytes) in &files.descriptor_sets {
                let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
                let answer = client.post_json(&["schemas"], &json!({ "descriptorSet": encoded })).await?;
                pushed.extend(items(&answer).to_vec());
            }
            note(format!("registered {} message types", pushed.len()));
            list(&pushed, &mut output)
        }
        SchemaCommand::List => list(items(&client.get(&["schemas"]).await?), &mut output),
        SchemaCommand::Show { message_type } => {
            let schema = client.get(&["schemas", &message_type]).await?;
            match output.format() {
                OutputFormat::Table => show_fields(&schema, &mut output),
                _ => output.item(&schema),
            }
        }
    }
}

pub fn show_fields(schema: &Value, output: &mut Output) -> Result<(), Failure> {
    let fields = schema.pointer("/spec/fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    output.items(
        fields,
        &[
            column("NUMBER", "/number"),
            column("FIELD", "/name"),
            column("LABEL", "/label"),
            column("TYPE", "/type"),
            column("COMMENT", "/comment"),
        ],
    )
}

pub const COLUMNS: &[Column] =
    &[column("TYPE", "/metadata/name"), column("FILE", "/spec/file"), column("COMMENT", "/spec/comment")];

fn list(items: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.items(items, COLUMNS)
}
