//! What every case has: a server in a data directory of its own, daggers that read a topic of the cluster and publish to
//! others, and a service that publishes all the time.

use crate::events::{self, Event, PROTO, Place, Total, Window};
use crate::publisher::{EndWindows, Frame, Publisher, Stream};
use crate::results::{self, Isolation, Verdict};
use crate::server::{Answer, Server, log_file};
use crate::slow_disk::server_on_slow_disk;
use crate::test_cluster::TestCluster;
use crate::{Found, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PARTITIONS: i32 = 3;
/// Longest wait for a dagger to be well again after a fault.
const PATIENCE: Duration = Duration::from_secs(150);
const LOG_LINES_SHOWN: usize = 20;
/// Clients connect again after at most 10 s.
const TELLING_TIME_MAX: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What differs between cases.
#[derive(Clone)]
pub struct Plan {
    /// In the name of topics and transactions, which the cases of one cluster share.
    pub name: String,
    pub seed: u64,
    pub delivery: &'static str,
    /// Time between checkpoints, and until a partition without records does not hold back windows any more.
    pub checkpoint_ms: u64,
    pub idle_ms: u64,
    pub windows: Vec<Window>,
    pub frame: Frame,
    /// How the server reaches the cluster: the `spec` of a KafkaCluster; and secrets that it needs.
    pub cluster_spec: Option<String>,
    pub secrets: Vec<(String, String)>,
    /// Settings of the output's topic; made beforehand if there are any.
    pub output_settings: Vec<(&'static str, &'static str)>,
    /// What is in the query in the place of the key.
    pub key_sql: &'static str,
    /// Time that the server's disk needs for a sync besides its own, in microseconds.
    pub sync_us: Option<u64>,
    /// The network that is cut is not the publisher's.
    pub publisher_is_beside: bool,
}

impl Plan {
    pub fn new(case: &str, seed: u64) -> Self {
        let hop = seed.is_multiple_of(3).then_some(Window::Hop);
        Self {
            name: format!("{case}-{seed}"),
            seed,
            delivery: "exactlyOnce",
            checkpoint_ms: [300, 500, 1_000][(seed % 3) as usize],
            idle_ms: 10_000,
            windows: std::iter::once(Window::Tumble).chain(hop).collect(),
            frame: Frame::None,
            cluster_spec: None,
            secrets: Vec::new(),
            output_settings: Vec::new(),
            key_sql: "key",
            sync_us: None,
            publisher_is_beside: false,
        }
    }

    pub fn input(&self) -> String {
        format!("{}-in", self.name)
    }

    pub fn output(&self, window: Window) -> String {
        format!("{}-{}", self.name, if window == Window::Hop { "hop" } else { "tumble" })
    }

    /// Names of the daggers, which are those of their topics.
    pub fn daggers(&self) -> Vec<String> {
        self.windows.iter().map(|window| self.output(*window)).collect()
    }

    fn dagger(&self, window: Window) -> String {
        let (name, input) = (self.output(window), self.input());
        let Self { delivery, checkpoint_ms, idle_ms, key_sql, .. } = self;
        let (function, sizes) = match window {
            Window::Tumble => ("TUMBLE", "INTERVAL '10' SECOND"),
            Window::Hop => ("HOP", "INTERVAL '5' SECOND, INTERVAL '10' SECOND"),
        };
        format!(
            "kind: Dagger
apiVersion: millrace/v1
metadata: {{name: {name}}}
spec:
  streams:
    - {{schema: faults.v1.Event, topics: [{input}], timestamp: event_time, watermark: {{delay: 5s, idle: {idle_ms}ms}}}}
  checkpoint: {{interval: {checkpoint_ms}ms}}
  sinks:
    - {{kind: topic, topic: {name}, cluster: kafka, schema: faults.v1.Total, delivery: {delivery}, key: [key], partitions: 2}}
  sql: |
    SELECT {key_sql} AS key, count(1) AS number, sum(`value`) AS total, {function}_END(rowtime, {sizes}) AS window_timestamp
    FROM data_stream WHERE `value` > 0 GROUP BY {function}(rowtime, {sizes}), key"
        )
    }

    fn input_document(&self) -> String {
        let encoding = match self.frame {
            Frame::None => String::new(),
            Frame::Confluent(id) => format!(", encoding: {{type: confluent, schemaIds: [{id}], messageIndex: [0]}}"),
        };
        format!(
            "kind: Topic
apiVersion: millrace/v1
metadata: {{name: {}}}
spec: {{cluster: kafka, schema: faults.v1.Event{encoding}}}",
            self.input()
        )
    }
}

pub struct Scene {
    pub cluster: Arc<TestCluster>,
    pub plan: Plan,
    pub folder: TempDir,
    pub binary: PathBuf,
    /// The server's data directory.
    pub data: PathBuf,
    /// Absent while it is killed.
    pub server: Option<Server>,
    publisher: Option<Publisher>,
    /// Every state and problem that was seen, with the dagger's name before it.
    pub seen: Vec<String>,
}

impl Scene {
    /// Everything runs, and results have come.
    pub async fn begin(cluster: &Arc<TestCluster>, plan: Plan) -> Result<Scene> {
        let mut scene = Self::without_daggers(cluster, plan).await?;
        for window in scene.plan.windows.clone() {
            scene.apply(scene.plan.dagger(window)).await?;
        }
        scene.publish(None)?;
        scene.until("results", |status| status["rows"].as_u64() > Some(0)).await?;
        Ok(scene)
    }

    /// A server that knows the cluster and the topic.
    async fn without_daggers(cluster: &Arc<TestCluster>, plan: Plan) -> Result<Scene> {
        cluster.create_topic(&plan.input(), PARTITIONS, &[]).await?;
        if !plan.output_settings.is_empty() {
            for name in plan.daggers() {
                cluster.create_topic(&name, 2, &plan.output_settings).await?;
            }
        }
        let (folder, binary) = (crate::folder()?, crate::server::binary()?);
        let binary = match plan.sync_us {
            Some(sync_us) => server_on_slow_disk(&binary, sync_us, folder.path())?,
            None => binary,
        };
        let data = folder.path().join("data");
        let server = Some(Server::start(&binary, &data)?);
        let cluster = Arc::clone(cluster);
        let scene = Scene { cluster, plan, folder, binary, data, server, publisher: None, seen: Vec::new() };
        let files = json!({ "files": [{ "path": "faults/v1/event.proto", "text": PROTO }] });
        scene.server()?.post("/schemas", files).await?.success()?;
        for (name, value) in &scene.plan.secrets {
            scene.set_secret(name, value).await?;
        }
        let plain = format!("{{type: kafka, bootstrap: [{}]}}", quoted(scene.cluster.bootstrap()?));
        let spec = scene.plan.cluster_spec.clone().unwrap_or(plain);
        let document = format!("kind: KafkaCluster\napiVersion: millrace/v1\nmetadata: {{name: kafka}}\nspec: {spec}");
        scene.apply(document).await?;
        scene.apply(scene.plan.input_document()).await?;
        Ok(scene)
    }

    pub fn server(&self) -> Result<&Server> {
        self.server.as_ref().ok_or_else(|| "the server does not run".into())
    }

    pub async fn set_secret(&self, name: &str, value: &str) -> Result<()> {
        let answer = self.server()?.put(&format!("/secrets/{name}"), json!({ "value": value })).await?;
        answer.success().map(drop)
    }

    pub async fn apply(&self, document: String) -> Result<Value> {
        self.server()?.post_text("/apply", document).await?.success()
    }

    pub async fn start_dagger(&self, name: &str, accept_loss: Option<&str>) -> Result<Answer> {
        let query = accept_loss.map(|loss| format!("?acceptLoss={loss}")).unwrap_or_default();
        self.server()?.post(&format!("/daggers/{name}/start{query}"), json!({})).await
    }

    pub fn publish(&mut self, begin_ms: Option<i64>) -> Result<()> {
        let client = match self.plan.publisher_is_beside {
            true => self.cluster.client_beside_the_proxy()?,
            false => self.cluster.client()?,
        };
        let Plan { seed, frame, .. } = self.plan;
        let stream = Stream { topic: self.plan.input(), partitions: PARTITIONS, seed, frame, begin_ms };
        self.publisher = Some(Publisher::start(client, stream)?);
        Ok(())
    }

    /// All that was published; no more comes.
    pub async fn end_publishing(&mut self, end_windows: EndWindows) -> Result<Vec<Event>> {
        let publisher = self.publisher.take().ok_or("nothing was published")?;
        let ended =
            tokio::task::spawn_blocking(move || publisher.finish(end_windows).map_err(|error| error.to_string()));
        Ok(ended.await??)
    }

    pub async fn restart(&mut self) -> Result<()> {
        self.server = None;
        self.server = Some(Server::start(&self.binary, &self.data)?);
        Ok(())
    }

    pub fn kill(&mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => server.kill(),
            None => Ok(()),
        }
    }

    /// Statuses of the daggers, which are noted.
    pub async fn look(&mut self) -> Result<Vec<Value>> {
        let mut statuses = Vec::new();
        for name in self.plan.daggers() {
            let status = self.server()?.get(&format!("/daggers/{name}")).await?.success()?["status"].clone();
            let problem = status["problem"].as_str().unwrap_or_default();
            let line = format!("{name} {} {problem}", status["state"].as_str().unwrap_or_default());
            if !self.seen.contains(&line) {
                self.seen.push(line);
            }
            statuses.push(status);
        }
        Ok(statuses)
    }

    /// Looks on for so long.
    pub async fn watch(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.look().await?;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Looks on until people were told, at the longest until a client has tried again.
    pub async fn watch_until_told(&mut self, words: &[&str]) -> Result<()> {
        let until = Instant::now() + TELLING_TIME_MAX;
        while !self.has_seen(words) && Instant::now() < until {
            self.watch(LOOK_INTERVAL).await?;
        }
        Ok(())
    }

    fn has_seen(&self, words: &[&str]) -> bool {
        self.seen.iter().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// Orders something of the cluster and looks on until it is done.
    pub async fn order(&mut self, command: &str, node: i32) -> Result<()> {
        let (cluster, command) = (Arc::clone(&self.cluster), command.to_owned());
        let ordered =
            tokio::task::spawn_blocking(move || cluster.node(&command, node).map_err(|error| error.to_string()));
        while !ordered.is_finished() {
            self.watch(LOOK_INTERVAL).await?;
        }
        Ok(ordered.await??)
    }

    /// Waits until every dagger is as it should be.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let statuses = self.look().await?;
            if statuses.iter().all(&is_so) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let shown: Vec<String> = statuses.iter().map(short).collect();
                return Err(format!("no {what} within {} s: {shown:?}", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Ends the stream, waits for the results, and judges results and ledgers.
    pub async fn judge(&mut self, found: &mut Found) -> Result<()> {
        let events = self.end_publishing(EndWindows::Yes).await?;
        self.judge_events(&events, &events, |_| true, found).await
    }

    /// `events` is all that was published, `in_topic` what of it is in the topic; `is_published` tells which results there
    /// are to be.
    pub async fn judge_events(
        &mut self,
        events: &[Event],
        in_topic: &[Event],
        is_published: impl Fn(&Place) -> bool,
        found: &mut Found,
    ) -> Result<()> {
        let ends = events::counts(in_topic, PARTITIONS).per_partition;
        let all_read = |status: &Value| next_offsets(status) == ends;
        self.until("end of the topic", all_read).await?;
        for window in self.plan.windows.clone() {
            let mut expected = events::expected(events, window);
            expected.retain(|place, _| is_published(place));
            let (verdict, rows) = self.verdict(window, expected).await?;
            found.rows += rows;
            self.take_verdict(verdict, found);
        }
        let counts = events::counts(events, PARTITIONS);
        for status in self.look().await? {
            check_ledger(&status["ledger"], &counts, found);
        }
        Ok(())
    }

    fn take_verdict(&self, verdict: Verdict, found: &mut Found) {
        found.lost += verdict.lost;
        found.wrong += verdict.wrong;
        match self.plan.delivery {
            "atLeastOnce" => found.again += verdict.doubled,
            _ => found.doubled += verdict.doubled,
        }
    }

    async fn verdict(&self, window: Window, expected: BTreeMap<Place, Total>) -> Result<(Verdict, usize)> {
        let (client, topic) = (self.cluster.client()?, self.plan.output(window));
        let read = tokio::task::spawn_blocking(move || {
            let told = |error: Box<dyn std::error::Error>| error.to_string();
            let read =
                results::read(client.clone(), &topic, Isolation::Committed, &expected, PATIENCE).map_err(told)?;
            let verdict = results::judge(&read, &expected);
            if verdict.lost > 0 {
                let all =
                    results::read(client, &topic, Isolation::Uncommitted, &expected, Duration::ZERO).map_err(told)?;
                results::say_what_became_of_lost(&all, &read, &expected);
            }
            Ok::<_, String>((verdict, read.len()))
        });
        let (verdict, rows) = read.await??;
        if verdict.lost > 0 {
            eprintln!("    people were told: {:#?}\n    the server's log ends with:\n{}", self.seen, self.log_tail());
        }
        Ok((verdict, rows))
    }

    /// What people were shown must have said all this at once.
    pub fn was_told(&self, words: &[&str], found: &mut Found) {
        if !self.has_seen(words) {
            found.fail(format!("nothing said {words:?}, but: {:#?}", self.seen));
        }
    }

    /// The end of what the servers logged.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(log_file(&self.data)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    pub fn copy_data(&self, to: &Path) -> Result<()> {
        let status = std::process::Command::new("cp").arg("-a").arg(&self.data).arg(to).status()?;
        if status.success() { Ok(()) } else { Err("cp failed".into()) }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::env::var_os("FAULTS_LOG").is_some() {
            eprintln!("{}", self.log_tail());
        }
    }
}

pub fn quoted(addresses: &str) -> String {
    addresses.split(',').map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ")
}

/// By partition.
pub fn next_offsets(status: &Value) -> Vec<u64> {
    let partitions = status["partitions"].as_array().into_iter().flatten();
    let mut offsets: Vec<(u64, u64)> =
        partitions.filter_map(|one| Some((one["partition"].as_u64()?, one["nextOffset"].as_u64()?))).collect();
    offsets.sort_unstable();
    offsets.into_iter().map(|(_, next)| next).collect()
}

fn check_ledger(ledger: &Value, counts: &events::Counts, found: &mut Found) {
    let cell = |name: &str| ledger[name].as_u64().unwrap_or_default();
    let sum: u64 = ["delivered", "filtered", "dead_lettered", "late", "held"].into_iter().map(cell).sum();
    let all: u64 = counts.per_partition.iter().sum();
    let is_right = cell("consumed") == all
        && sum == all
        && cell("late") == 0
        && cell("dead_lettered") == counts.broken
        && cell("filtered") == counts.filtered;
    if !is_right {
        let (broken, filtered) = (counts.broken, counts.filtered);
        found.fail(format!("of {all} records {broken} are broken and {filtered} filtered; the ledger is {ledger}"));
    }
}

fn short(status: &Value) -> String {
    format!("{} {} {:?} {}", status["state"], status["problem"], next_offsets(status), status["ledger"])
}
