//! `faults_engine [SEEDS]`: kills the server with SIGKILL at random moments while a dagger replays a topic, and compares the
//! series with that of a run that nobody disturbed. The last line of stdout is one JSON object.
//!
//! Each case uses its own seed for the moments of the kills; the seed is printed. The ledger must balance after each case.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use city::{BrokenRecords, City, CityBatch, CityOptions};

const RECORDS: usize = 1_500_000;
const KILLS: usize = 20;
const DAGGER: &str = "kind: Dagger
apiVersion: millrace/v1
metadata: {name: replayed}
spec:
  streams:
    - table: data_stream
      schema: city.booking.v1.BookingLog
      topics: [bookings]
      timestamp: event_timestamp
      startFrom: earliest
      watermark: {delay: 5s, idle: 2s}
  checkpoint: {interval: 200ms}
  sql: |
    SELECT city_id AS tag_city_id, S2Id(lat, long, 13) AS tag_s2id, vehicle_type AS tag_vehicle_type,
           count(1) AS num_of_bookings, avg(lat) AS mean_lat, TUMBLE_END(rowtime, INTERVAL '60' SECOND) AS window_timestamp
    FROM data_stream
    WHERE status = 'COMPLETED'
    GROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND), city_id, S2Id(lat, long, 13), vehicle_type
";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    let binary = binary()?;
    let folder = tempfile::tempdir()?;
    let filled = folder.path().join("filled");
    fill(&binary, folder.path(), &filled)?;
    let expected = undisturbed(&binary, folder.path(), &filled)?;
    eprintln!("undisturbed: {} points", expected.len());
    let (mut lost, mut doubled, mut failed) = (0, 0, 0);
    for seed in 1..=seeds {
        let found = disturbed(&binary, folder.path(), &filled, seed);
        match found {
            Ok((points, balances)) => {
                let missing = expected.iter().filter(|point| points.binary_search(point).is_err()).count();
                let extra = points.iter().filter(|point| expected.binary_search(point).is_err()).count();
                eprintln!(
                    "seed {seed}: {} points, {missing} missing, {extra} extra, ledger balances: {balances}",
                    points.len()
                );
                lost += missing;
                doubled += extra;
                failed += usize::from(!balances);
            }
            Err(error) => {
                eprintln!("seed {seed}: {error}");
                failed += 1;
            }
        }
    }
    println!("{{\"area\":\"engine\",\"cases\":{seeds},\"lost\":{lost},\"doubled\":{doubled},\"failed\":{failed}}}");
    std::process::exit(i32::from(lost + doubled + failed > 0));
}

fn binary() -> Result<PathBuf> {
    // target/release/examples/faults_engine -> target/release/millrace
    let own = std::env::current_exe()?;
    let binary = own.ancestors().nth(2).ok_or("no target folder")?.join("millrace");
    if binary.exists() { Ok(binary) } else { Err(format!("{} is missing: run `make build`", binary.display()).into()) }
}

/// A running server; killed when dropped.
struct Server {
    process: Child,
    data: PathBuf,
}

impl Server {
    fn start(binary: &Path, data: &Path) -> Result<Self> {
        let mut process = Command::new(binary)
            .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut url)?;
        if !url.starts_with("http://") {
            let _ = process.kill();
            return Err(format!("the server did not start: {url:?}").into());
        }
        Ok(Server { process, data: data.to_owned() })
    }

    fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn millrace(binary: &Path, server: &Server, arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary).arg("--data-dir").arg(&server.data).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("millrace {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A data directory with the topic filled and the dagger not yet made.
fn fill(binary: &Path, folder: &Path, data: &Path) -> Result<()> {
    let protos = folder.join("protos");
    for source in city::proto_sources() {
        let path = protos.join(source.path);
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        std::fs::write(path, source.text)?;
    }
    let records = folder.join("bookings.pb");
    std::fs::write(&records, bookings())?;
    std::fs::write(folder.join("dagger.yaml"), DAGGER)?;
    let server = Server::start(binary, data)?;
    let text = |path: &Path| path.display().to_string();
    millrace(binary, &server, &["schema", "push", &text(&protos)])?;
    millrace(
        binary,
        &server,
        &["topic", "create", "bookings", "--partitions", "2", "--schema", "city.booking.v1.BookingLog"],
    )?;
    millrace(binary, &server, &["topic", "produce", "bookings", "--file", &text(&records)])?;
    server.kill()
}

fn bookings() -> Vec<u8> {
    let topics = city::topics();
    let mut city = City::new(CityOptions {
        seed: 11,
        records_per_second: 20_000.0,
        broken: BrokenRecords::Undecodable,
        ..CityOptions::default()
    });
    let (mut batch, mut bytes, mut written) = (CityBatch::new(), Vec::new(), 0);
    while written < RECORDS {
        city.next_batch(&mut batch, i64::MAX, 20_000);
        let bookings = batch.records().iter().filter(|record| topics[record.topic].name.ends_with("booking-log"));
        // Publishing checks records against the schema, so broken ones do not get in this way.
        for record in bookings.filter(|record| record.broken.is_none()).take(RECORDS - written) {
            let value = batch.value(record);
            let mut len = value.len();
            while len >= 0x80 {
                bytes.push(len as u8 | 0x80);
                len >>= 7;
            }
            bytes.push(len as u8);
            bytes.extend(value);
            written += 1;
        }
    }
    bytes
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err("cp failed".into()) }
}

fn undisturbed(binary: &Path, folder: &Path, filled: &Path) -> Result<Vec<String>> {
    let data = folder.join("undisturbed");
    copy(filled, &data)?;
    let server = Server::start(binary, &data)?;
    millrace(binary, &server, &["dagger", "apply", "-f", &folder.join("dagger.yaml").display().to_string()])?;
    Ok(finish(binary, &server)?.0)
}

/// Kills the server again and again at random moments, then lets it finish.
fn disturbed(binary: &Path, folder: &Path, filled: &Path, seed: u64) -> Result<(Vec<String>, bool)> {
    let data = folder.join("disturbed");
    copy(filled, &data)?;
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for kill in 0..KILLS {
        let server = Server::start(binary, &data)?;
        if kill == 0 {
            millrace(binary, &server, &["dagger", "apply", "-f", &folder.join("dagger.yaml").display().to_string()])?;
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_millis(random % 700));
        server.kill()?;
    }
    let server = Server::start(binary, &data)?;
    finish(binary, &server)
}

/// Waits until all is read and all windows are closed; gives the points and whether the ledger balances.
fn finish(binary: &Path, server: &Server) -> Result<(Vec<String>, bool)> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let shown: serde_json::Value =
            serde_json::from_str(&millrace(binary, server, &["dagger", "show", "replayed", "-o", "json"])?)?;
        let ledger = &shown["status"]["ledger"];
        let cell = |name: &str| ledger[name].as_u64().unwrap_or(0);
        if cell("consumed") == RECORDS as u64 && cell("held") == 0 {
            let sum = cell("delivered") + cell("filtered") + cell("late") + cell("dead_lettered") + cell("held");
            let points = millrace(binary, server, &["sql", "SELECT * FROM replayed", "-o", "ndjson"])?;
            let mut points: Vec<String> = points.lines().map(str::to_string).collect();
            points.sort_unstable();
            return Ok((points, sum == RECORDS as u64));
        }
        if Instant::now() > deadline {
            return Err(format!("not finished after 120 s: {ledger}").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
