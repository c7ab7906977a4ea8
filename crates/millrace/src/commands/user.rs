//! `millrace user`.

use crate::arguments::{OutputFormat, UserCommand};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Output, note};
use reqwest::Method;
use serde_json::json;

pub async fn run(command: UserCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    let UserCommand::Set(arguments) = command;
    let body = json!({ "platformAdmin": arguments.platform_admin });
    let request = client.request(Method::PUT, &["users", &arguments.name])?.json(&body);
    let user = json(client.send(request).await?).await?;
    let is_or_not = if arguments.platform_admin { "is" } else { "is not" };
    note(format!("{} {is_or_not} an admin of the platform", arguments.name));
    match output.format() {
        OutputFormat::Table => Ok(()),
        _ => output.item(&user),
    }
}
