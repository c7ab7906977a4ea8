//! `millrace sql`.

use crate::arguments::SqlArguments;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use futures::TryStreamExt;
use reqwest::{Method, header};
use serde_json::json;

pub async fn run(arguments: SqlArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let request = client
        .request(Method::POST, &["sql"])?
        .header(header::ACCEPT, "application/x-ndjson")
        .json(&json!({ "sql": arguments.sql }));
    let rows: Vec<Vec<u8>> = client.lines(request).await?.try_collect().await?;
    output.rows(&rows)
}
