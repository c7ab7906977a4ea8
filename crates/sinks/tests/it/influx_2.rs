//! A double of InfluxDB 2's write API as its documentation describes it: what can be written is, and the first reason is
//! answered with 422 and a count. It is not InfluxDB 2.

use async_trait::async_trait;
use delivery::contract::{Request, Response, Upstream};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;

/// Points by their series and time, so that the same point is there once.
#[derive(Default)]
pub struct Points {
    points: BTreeMap<(String, i64), u64>,
}

impl Points {
    /// Takes a line whose field is an integer; says what is wrong with another one.
    pub fn take(&mut self, line: &str) -> Result<(), String> {
        let mut parts = line.split(' ');
        let (Some(series), Some(field), Some(time)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("unable to parse '{line}': missing fields"));
        };
        let number = field.strip_prefix("n=").and_then(|value| value.strip_suffix('i')?.parse().ok());
        let Some(number) = number else {
            return Err("field type conflict: input field \"n\" on measurement \"m\" is type string, already exists as type integer".into());
        };
        let time = time.parse().map_err(|_| format!("unable to parse '{line}': bad timestamp"))?;
        self.points.insert((series.to_owned(), time), number);
        Ok(())
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.points.values().copied().collect()
    }
}

pub fn text(request: &Request) -> String {
    if request.header("content-encoding") != Some("gzip") {
        return String::from_utf8(request.body.clone()).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(request.body.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[derive(Default)]
pub struct InfluxDouble(Mutex<Points>);

impl InfluxDouble {
    pub fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().numbers()
    }
}

#[async_trait]
impl Upstream for InfluxDouble {
    async fn answer(&self, request: Request) -> Response {
        assert_eq!(request.target, "/api/v2/write?org=o&bucket=b&precision=ms");
        let mut points = self.0.lock().unwrap();
        let errors: Vec<String> = text(&request).lines().filter_map(|line| points.take(line).err()).collect();
        let Some(first) = errors.first() else { return Response::new(204, "") };
        let message = format!("failure writing points to database: partial write: {first} dropped={}", errors.len());
        Response::new(422, serde_json::json!({ "code": "unprocessable entity", "message": message }).to_string())
    }
}
