//! `millrace backup`.

use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Output, column};
use reqwest::Method;

pub async fn run(client: Client, mut output: Output) -> Result<(), Failure> {
    let backup = json(client.send(client.request(Method::POST, &["backups"])?).await?).await?;
    output.items(&[backup], &[column("DIRECTORY", "/directory"), column("BYTES", "/bytes")])
}
