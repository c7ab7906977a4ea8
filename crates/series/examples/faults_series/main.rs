//! Fault tests of the series store: SEEDS runs in which the process that writes is killed with SIGKILL again and again while
//! chunks are written and merged, and as many in which the disk becomes full. What is there afterwards is compared point by
//! point with what was acknowledged.
//!
//! Usage: `faults_series [SEEDS]`. The last line of stdout is one JSON object. Small disks need root and the right to mount.

mod model;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use model::{Found, MEASUREMENT, Model, Random};
use series::SeriesError;

const SEEDS_DEFAULT: u64 = 20;
const KILLS: u64 = 8;
/// Batches written before a kill, at most.
const BATCHES_MAX: u64 = 120;
const SMALL_DISK: &str = "48m";
const GROWN_DISK: &str = "512m";
/// A small disk has to be full after this many batches.
const BATCHES_UNTIL_FULL_MAX: u64 = 20_000;
const BATCHES_AFTER_FULL: u64 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, dir, seed, first] = arguments.as_slice()
        && role == "write"
    {
        return write_until_killed(Path::new(dir), seed.parse()?, first.parse()?);
    }
    let seeds = arguments.first().map_or(Ok(SEEDS_DEFAULT), |count| count.parse())?;
    let start = Instant::now();
    let (mut all, mut cases) = (Found::default(), 0);
    for seed in 0..seeds {
        let dir = tempfile::tempdir()?;
        for (name, run) in [("kill", kill as fn(&Path, u64) -> _), ("disk full", fill_disk)] {
            let found = run(&dir.path().join(name.replace(' ', "-")), seed).unwrap_or_else(|error| {
                eprintln!("seed {seed}, {name}: {error}");
                Found { failed: 1, ..Found::default() }
            });
            eprintln!("seed {seed}, {name}: {found:?}");
            all.add(found);
            cases += 1;
        }
    }
    let Found { lost, doubled, wrong, failed } = all;
    let seconds = start.elapsed().as_secs();
    println!(
        "{{\"area\":\"series\",\"cases\":{cases},\"lost\":{lost},\"doubled\":{doubled},\"wrong\":{wrong},\"failed\":{failed},\"seconds\":{seconds}}}"
    );
    if lost + doubled + wrong + failed > 0 { Err("points are not as they were acknowledged".into()) } else { Ok(()) }
}

/// The process that is killed: tells each batch that is acknowledged.
fn write_until_killed(dir: &Path, seed: u64, first: u64) -> Result<(), Box<dyn Error>> {
    let store = model::open(dir)?;
    let mut stdout = std::io::stdout();
    for batch in first.. {
        model::write(&store, seed, batch)?;
        writeln!(stdout, "{batch}")?;
        stdout.flush()?;
        if batch % 10 == 0 {
            store.expire()?;
        }
    }
    Ok(())
}

fn kill(dir: &Path, seed: u64) -> Result<Found, Box<dyn Error>> {
    let mut random = Random::new(seed);
    let (mut model, mut all) = (Model::default(), Found::default());
    for _ in 0..KILLS {
        let batches = random.below(BATCHES_MAX) + 1;
        let mut writer = Command::new(std::env::current_exe()?)
            .args(["write", &dir.display().to_string(), &seed.to_string(), &model.batches.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut acknowledged = model.batches;
        for (count, line) in BufReader::new(writer.stdout.take().ok_or("no output")?).lines().enumerate() {
            acknowledged = line?.parse::<u64>()? + 1;
            if count as u64 + 1 == batches {
                // Somewhere within one of the next writes.
                std::thread::sleep(Duration::from_micros(random.below(20_000)));
                writer.kill()?;
            }
        }
        writer.wait()?;
        let store = model::open(dir)?;
        // Each write has the next number, so this tells how many are there.
        let there = store.sequence(MEASUREMENT)?;
        if there < acknowledged {
            eprintln!("seed {seed}: {acknowledged} batches were acknowledged, {there} are there");
            all.lost += acknowledged - there;
        }
        model.advance(seed, there);
        all.add(model.compare(&store)?);
    }
    Ok(all)
}

fn fill_disk(dir: &Path, seed: u64) -> Result<Found, Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    mount(&["-t", "tmpfs", "-o", &format!("size={SMALL_DISK}"), "tmpfs"], dir)?;
    let result = write_on_full_disk(dir, seed);
    run(Command::new("umount").arg(dir))?;
    result
}

fn write_on_full_disk(dir: &Path, seed: u64) -> Result<Found, Box<dyn Error>> {
    let mut model = Model::default();
    let store_dir = dir.join("series");
    let store = model::open(&store_dir)?;
    let mut all = Found::default();
    loop {
        let point = store.sync_point();
        match model::write(&store, seed, model.batches).and_then(|_| store.sync(point)) {
            Ok(()) => model.advance(seed, model.batches + 1),
            Err(SeriesError::DiskFull) => break,
            Err(error) => return Err(format!("on a full disk: {error}").into()),
        }
        if model.batches > BATCHES_UNTIL_FULL_MAX {
            return Err("the disk does not become full".into());
        }
    }
    // Whether the refused batch is there is open; what was acknowledged is there and can be read.
    let refused = model.batches;
    let mut with_refused = Model::default();
    with_refused.advance(seed, refused + 1);
    let is_right = |model: &Model| model.compare(&store).map(|found| found.lost + found.doubled + found.wrong == 0);
    if !is_right(&model)? && !is_right(&with_refused)? {
        all.add(model.compare(&store)?);
    }
    if !matches!(model::write(&store, seed, refused), Ok(_) | Err(SeriesError::DiskFull)) {
        return Err("a full disk is not told".into());
    }
    mount(&["-o", &format!("remount,size={GROWN_DISK}")], dir)?;
    let point = store.sync_point();
    for _ in 0..BATCHES_AFTER_FULL {
        model::write(&store, seed, model.batches)?;
        model.advance(seed, model.batches + 1);
    }
    store.sync(point)?;
    all.add(model.compare(&store)?);
    drop(store);
    all.add(model.compare(&model::open(&store_dir)?)?);
    Ok(all)
}

fn mount(options: &[&str], dir: &Path) -> Result<(), Box<dyn Error>> {
    run(Command::new("mount").args(options).arg(dir))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let ended = command.output()?;
    if !ended.status.success() {
        let reason = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("{command:?} needs root and the right to mount: {}", reason.trim()).into());
    }
    Ok(())
}
