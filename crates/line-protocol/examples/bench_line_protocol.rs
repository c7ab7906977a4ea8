//! How fast bodies are taken apart, one core: `bench_line_protocol [SECONDS]`.

use line_protocol::{ParseOptions, parse};
use std::fmt::Write;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    for (name, body) in [("simple", simple()), ("telegraf", telegraf()), ("text", text())] {
        let lines = body.lines().count();
        let (begin, mut rounds) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs_f64(seconds) {
            let points = parse(body.as_bytes(), &ParseOptions::default(), &|_| None).expect("columns can be made");
            assert_eq!(points.rows, lines);
            rounds += 1;
        }
        let taken = begin.elapsed().as_secs_f64();
        let rate = (rounds * lines) as f64 / taken;
        let bytes = (rounds * body.len()) as f64 / taken;
        println!(
            "{{\"body\":\"{name}\",\"lines_per_second\":{rate:.0},\"megabytes_per_second\":{:.0},\"line_bytes\":{}}}",
            bytes / 1e6,
            body.len() / lines
        );
    }
}

/// Two tags, one field.
fn simple() -> String {
    let mut body = String::new();
    for line in 0..5_000_u64 {
        let value = (line * 7919 % 10_000) as f64 / 100.0;
        let time = 1_465_839_830_100_400_200 + line * 10_000_000;
        let _ = writeln!(body, "cpu,host=server{:02},region=eu-west value={value} {time}", line % 100);
    }
    body
}

/// As Telegraf's plugin for processors writes it.
fn telegraf() -> String {
    let mut body = String::new();
    for line in 0..5_000_u64 {
        let value = (line * 7919 % 10_000) as f64 / 100.0;
        let time = 1_465_839_830_000_000_000 + line / 9 * 10_000_000_000;
        let _ = writeln!(
            body,
            "cpu,cpu=cpu{},host=server{:02} usage_guest=0,usage_guest_nice=0,usage_idle={value},usage_iowait=0.05,usage_irq=0,\
             usage_nice=0,usage_softirq=0.1,usage_steal=0,usage_system=1.25,usage_user={value} {time}",
            line % 9,
            line % 100
        );
    }
    body
}

fn text() -> String {
    let mut body = String::new();
    for line in 0..5_000_u64 {
        let time = 1_465_839_830_100_400_200 + line * 10_000_000;
        let _ = writeln!(body, "log,app=web message=\"GET /index.html, 200\",took={line}i,ok=true {time}");
    }
    body
}
