//! `millrace token`.

use super::get::TOKEN_COLUMNS;
use super::items;
use crate::arguments::{OutputFormat, TokenCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, note};
use serde_json::{Value, json};

pub async fn run(command: TokenCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { name, scopes, expires_in } => {
            let scopes = (!scopes.is_empty()).then_some(scopes);
            let body = json!({ "name": name, "scopes": scopes, "expiresIn": expires_in });
            let made = client.post_json(&["tokens"], &body).await?;
            let secret = made.get("secret").and_then(Value::as_str).unwrap_or_default();
            note(format!("the token {name} was made; this is the only time that it is shown"));
            match output.format() {
                // Alone, so that a script can take it.
                OutputFormat::Table => output.plain(&format!("{secret}\n")),
                _ => output.item(&made),
            }
        }
        TokenCommand::List => output.items(items(&client.get(&["tokens"]).await?), TOKEN_COLUMNS),
        TokenCommand::Delete { id } => {
            client.delete(&["tokens", &id]).await?;
            note(format!("token {id} is revoked"));
            Ok(())
        }
    }
}
