//! `faults_kafka [SEEDS] [CASE|all|fast]`: breaks a real Kafka cluster of three brokers, the network to it, what is in it, and
//! the server, in the middle of daggers that read from it and publish to it exactly once. The last line of stdout is one
//! JSON object. JOBS cases run at a time (2), each with clusters of its own.
//!
//! Records come all the time. At the end a reader of committed records must find each (window, key) once with the value that
//! a computation of our own gives; each partition's ledger must balance; no record may be late because of the fault; and
//! people must have been told what was wrong, in words. The seed decides what is published and when what breaks.

#[path = "faults_kafka/brokers.rs"]
mod brokers;
#[path = "faults_kafka/disk.rs"]
mod disk;
#[path = "faults_kafka/events.rs"]
mod events;
#[path = "faults_kafka/logins.rs"]
mod logins;
#[path = "faults_kafka/publisher.rs"]
mod publisher;
#[path = "faults_kafka/random.rs"]
mod random;
#[path = "faults_kafka/records.rs"]
mod records;
#[path = "faults_kafka/results.rs"]
mod results;
#[path = "faults_kafka/scene.rs"]
mod scene;
#[allow(dead_code)]
#[path = "server/server.rs"]
mod server;
#[path = "faults_kafka/server_kills.rs"]
mod server_kills;
#[path = "faults_kafka/slow_disk.rs"]
mod slow_disk;
#[path = "faults_kafka/test_cluster.rs"]
mod test_cluster;

use brokers::BrokerFault;
use scene::Plan;
use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use test_cluster::TestCluster;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What one seed of a case has found.
#[derive(Default)]
pub struct Found {
    pub lost: usize,
    pub doubled: usize,
    pub wrong: usize,
    pub failed: usize,
    /// Results that were there twice where that is what was asked for.
    pub again: usize,
    pub rows: usize,
    pub notes: Vec<String>,
}

impl Found {
    pub fn fail(&mut self, what: String) {
        eprintln!("    {what}");
        self.failed += 1;
    }

    pub fn check(&mut self, is_right: bool, otherwise: impl FnOnce() -> String) {
        if !is_right {
            self.fail(otherwise());
        }
    }

    fn add(&mut self, other: Found) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.again += other.again;
        self.rows += other.rows;
        self.notes.extend(other.notes);
    }

    fn is_good(&self) -> bool {
        self.lost + self.doubled + self.wrong + self.failed == 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Broker(BrokerFault),
    AllBrokers,
    LongerThanIdle,
    ServerKilled,
    AtLeastOnce,
    Zombie,
    OldData,
    TooLarge,
    UnknownFrames,
    TopicDeleted,
    ClockSkew,
    TokensExpire,
    PasswordChanged,
    DiskFull,
}

const CASES: &[(&str, Case)] = &[
    ("broker-restart", Case::Broker(BrokerFault::Restart)),
    ("leader-killed", Case::Broker(BrokerFault::LeaderKilled)),
    ("broker-paused", Case::Broker(BrokerFault::Paused)),
    ("all-brokers-killed", Case::AllBrokers),
    ("server-killed", Case::ServerKilled),
    ("at-least-once", Case::AtLeastOnce),
    ("zombie", Case::Zombie),
    ("old-data", Case::OldData),
    ("too-large", Case::TooLarge),
    ("unknown-frames", Case::UnknownFrames),
    ("topic-deleted", Case::TopicDeleted),
    ("broker-cut", Case::Broker(BrokerFault::Cut)),
    ("broker-blackhole", Case::Broker(BrokerFault::Blackhole)),
    ("outage-longer-than-idle", Case::LongerThanIdle),
    ("clock-skew", Case::ClockSkew),
    ("tokens-expire", Case::TokensExpire),
    ("password-changed", Case::PasswordChanged),
    ("disk-full", Case::DiskFull),
];

/// What runs where nobody wants to wait long.
const FAST: &[Case] =
    &[Case::AllBrokers, Case::ServerKilled, Case::Zombie, Case::TooLarge, Case::UnknownFrames, Case::TopicDeleted];

const SHORT_SESSION: [&str; 2] = ["--property", "broker.session.timeout.ms=3000"];
const KILLS: usize = 6;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let which = arguments.next().unwrap_or_else(|| "all".to_owned());
    let chosen: Vec<(&str, Case)> = CASES
        .iter()
        .copied()
        .filter(|(name, case)| match which.as_str() {
            "all" => true,
            "fast" => FAST.contains(case),
            which => which == *name,
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no case {which}; there are: fast {}", names.join(" ")).into());
    }
    let first = std::env::var("FIRST_SEED").ok().map_or(Ok(1), |text| text.parse())?;
    let jobs: usize = std::env::var("JOBS").ok().map_or(Ok(2), |text| text.parse())?;
    let began = Instant::now();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, chosen.len()))
            .map(|_| {
                scope.spawn(|| work(&chosen, first..first + seeds, &next, &done).map_err(|error| error.to_string()))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    let mut done = done.into_inner()?;
    done.sort_by_key(|(case, ..)| *case);
    let (mut all, mut table) = (Found::default(), Vec::new());
    for (case, mut found, took) in done {
        table.push(line(chosen[case].0, seeds, &found, took));
        found.notes.clear();
        all.add(found);
    }
    println!(
        "{:<26}{:>6}{:>9}{:>6}{:>9}{:>7}{:>8}{:>9}  notes",
        "case", "seeds", "results", "lost", "doubled", "wrong", "failed", "seconds"
    );
    for line in table {
        println!("{line}");
    }
    let (cases, seconds, Found { lost, doubled, wrong, failed, .. }) =
        (chosen.len() as u64 * seeds, began.elapsed().as_secs(), &all);
    println!(
        "{{\"area\":\"kafka\",\"cases\":{cases},\"lost\":{lost},\"doubled\":{doubled},\"wrong\":{wrong},\"failed\":{failed},\"seconds\":{seconds}}}"
    );
    std::process::exit(i32::from(!all.is_good()));
}

/// For a cluster or a server. Kept afterwards, with their logs, when `FAULTS_KEEP` is set.
fn folder() -> Result<TempDir> {
    let mut folder = tempfile::tempdir()?;
    folder.disable_cleanup(std::env::var_os("FAULTS_KEEP").is_some());
    Ok(folder)
}

/// Takes case after case.
fn work(
    cases: &[(&str, Case)],
    seeds: Range<u64>,
    next: &AtomicUsize,
    done: &Mutex<Vec<(usize, Found, Duration)>>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut clusters = Clusters::default();
    while let index = next.fetch_add(1, Ordering::Relaxed)
        && let Some((name, case)) = cases.get(index)
    {
        let (mut found, began) = (Found::default(), Instant::now());
        for seed in seeds.clone() {
            found.add(runtime.block_on(one(&mut clusters, name, *case, seed)));
        }
        done.lock().map_err(|error| error.to_string())?.push((index, found, began.elapsed()));
    }
    Ok(())
}

fn line(name: &str, seeds: u64, found: &Found, took: Duration) -> String {
    let again =
        if found.again > 0 { format!("{} twice, which at-least-once may; ", found.again) } else { String::new() };
    format!(
        "{name:<26}{seeds:>6}{:>9}{:>6}{:>9}{:>7}{:>8}{:>9}  {again}{}",
        found.rows,
        found.lost,
        found.doubled,
        found.wrong,
        found.failed,
        took.as_secs(),
        found.notes.join("; ")
    )
}

/// Clusters are made for the first case that needs them; one at a time.
#[derive(Default)]
struct Clusters {
    current: Option<(Vec<&'static str>, Arc<TestCluster>)>,
}

impl Clusters {
    fn with(&mut self, options: &[&'static str]) -> Result<Arc<TestCluster>> {
        if let Some((made_with, cluster)) = &self.current
            && made_with == options
        {
            return Ok(Arc::clone(cluster));
        }
        self.current = None;
        let cluster = Arc::new(TestCluster::up(options)?);
        self.current = Some((options.to_vec(), Arc::clone(&cluster)));
        Ok(cluster)
    }

    fn anew(&mut self, options: &[&'static str]) -> Result<Arc<TestCluster>> {
        self.give_up();
        self.with(options)
    }

    /// After a failure nobody knows how it is.
    fn give_up(&mut self) {
        self.current = None;
    }
}

async fn one(clusters: &mut Clusters, name: &str, case: Case, seed: u64) -> Found {
    let (mut found, began) = (Found::default(), Instant::now());
    if let Err(error) = disturb(clusters, Plan::new(name, seed), case, &mut found).await {
        found.fail(error.to_string());
        clusters.give_up();
    }
    let Found { rows, lost, doubled, wrong, failed, .. } = &found;
    let seconds = began.elapsed().as_secs();
    eprintln!(
        "{name} {seed}: {rows} results, {lost} lost, {doubled} doubled, {wrong} wrong, {failed} failed, {seconds} s"
    );
    found
}

/// Of the cluster that a case needs. Where brokers die there is nothing between them and their clients, which would still
/// take connections.
fn options(case: Case) -> Vec<&'static str> {
    let others: &[&str] = match case {
        Case::Broker(BrokerFault::Cut | BrokerFault::Blackhole) | Case::LongerThanIdle => &["--proxied"],
        Case::ClockSkew => &["--clock-skew", "2=+3h", "--clock-skew", "3=-50m"],
        Case::TokensExpire | Case::PasswordChanged => {
            return [
                &["--quick", "--nodes", "3", "--proxied", "--secure"][..],
                &SHORT_SESSION,
                &logins::REAUTHENTICATION,
            ]
            .concat();
        }
        _ => &[],
    };
    [&["--quick", "--nodes", "3"][..], &SHORT_SESSION, others].concat()
}

async fn disturb(clusters: &mut Clusters, plan: Plan, case: Case, found: &mut Found) -> Result<()> {
    let cluster = match case {
        // What was full is not small any more.
        Case::DiskFull => clusters.anew(&disk::SMALL)?,
        case => clusters.with(&options(case))?,
    };
    match case {
        Case::Broker(fault) => brokers::one_broker(&cluster, fault, plan, found).await,
        Case::AllBrokers => {
            let outage = Duration::from_secs(5 + plan.seed % 4 * 5);
            brokers::all_brokers(&cluster, outage, plan, found).await
        }
        Case::LongerThanIdle => brokers::longer_than_idle(&cluster, plan, found).await,
        Case::ServerKilled => server_kills::killed(&cluster, KILLS, plan, found).await,
        Case::AtLeastOnce => {
            server_kills::killed(&cluster, KILLS, Plan { delivery: "atLeastOnce", ..plan }, found).await
        }
        Case::Zombie => server_kills::zombie(&cluster, plan, found).await,
        Case::OldData => server_kills::old_data(&cluster, plan, found).await,
        Case::TooLarge => records::too_large(&cluster, plan, found).await,
        Case::UnknownFrames => records::unknown_frames(&cluster, plan, found).await,
        Case::TopicDeleted => records::deleted(&cluster, plan, found).await,
        // A broker whose clock is far off leads, and then another one does. (Brokers take no records that are more than
        // an hour ahead of their own clock.)
        Case::ClockSkew => brokers::one_broker(&cluster, BrokerFault::LeaderKilled, plan, found).await,
        Case::TokensExpire => logins::tokens(&cluster, plan, found).await,
        Case::PasswordChanged => logins::password(&cluster, plan, found).await,
        Case::DiskFull => disk::full(&cluster, plan, found).await,
    }
}
