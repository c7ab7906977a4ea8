//! A double of InfluxDB 3's write API as its documentation describes it: with `accept_partial`, what can be written is, and
//! the other lines are named. It is not InfluxDB 3.

use async_trait::async_trait;
use delivery::contract::{Request, Response, Upstream};
use serde_json::{Value, json};
use std::sync::Mutex;

use crate::influx_2::{Points, text};

#[derive(Default)]
pub struct Influx3Double(Mutex<Points>);

impl Influx3Double {
    pub fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().numbers()
    }
}

#[async_trait]
impl Upstream for Influx3Double {
    async fn answer(&self, request: Request) -> Response {
        assert_eq!(request.target, "/api/v3/write_lp?db=d&precision=millisecond&accept_partial=true");
        let (mut points, text) = (self.0.lock().unwrap(), text(&request));
        let refused = text.lines().enumerate().filter_map(|(index, line)| {
            let message = points.take(line).err()?;
            Some(json!({ "original_line": line, "line_number": index + 1, "error_message": message }))
        });
        let refused: Vec<Value> = refused.collect();
        match refused.is_empty() {
            true => Response::new(204, ""),
            false => {
                let body = json!({ "error": "partial write of line protocol occurred", "data": refused });
                Response::new(400, body.to_string())
            }
        }
    }
}
