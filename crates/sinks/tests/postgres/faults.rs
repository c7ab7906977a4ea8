//! What goes wrong with a PostgreSQL makes no dead letters, loses nothing and doubles nothing.

use delivery::contract::KeptInMemory;
use delivery::{
    BackoffOptions, Courier, CourierOptions, Destination, EncodedBatchBuilder, ErrorClass, Parcel, Position,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::servers::{Place, VERSIONS, context, plan, variable};
use crate::values::{Writer, ids, refused, words};

const PARTITIONS: i64 = 3;

fn courier(destination: Arc<dyn Destination>) -> Courier<u64> {
    let backoff = BackoffOptions {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        ..BackoffOptions::default()
    };
    let options =
        CourierOptions { batch_records_max: 200, linger: Duration::from_millis(5), backoff, ..Default::default() };
    Courier::start(destination, Arc::new(KeptInMemory::default()), options)
}

/// Records of these numbers, each at its number in a partition of its own lane.
fn parcel(writer: &Writer, numbers: std::ops::Range<i64>) -> Parcel<u64> {
    let records = writer.encode(&ids(numbers.clone()));
    let partition = |number: i64| number % PARTITIONS;
    let positions = numbers.clone().map(|number| Position { partition: partition(number) as u32, offset: number });
    let keys = numbers.clone().map(|number| partition(number) as u64).collect::<Vec<_>>().into();
    Parcel { records: records.at(positions.collect()), keys: Some(keys), origin: Arc::new(0) }
}

async fn until_problem(courier: &Courier<u64>, words: &str) {
    let waiting = async {
        while !courier.problem().is_some_and(|problem| problem.message.contains(words)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap_or_else(|_| panic!("`{words}` is not in {:?}", courier.problem()));
}

async fn flush(courier: &Courier<u64>) {
    tokio::time::timeout(Duration::from_secs(60), courier.flush())
        .await
        .unwrap_or_else(|_| panic!("not through: {:?}", courier.problem()))
        .unwrap();
    assert_eq!(courier.counts().dead_lettered, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_there_once_however_often_it_is_given() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        place.run("CREATE TABLE t (id bigint CHECK (id <> 3))").await;
        let settings = place.settings(json!({}));
        // Number 3 is refused, and the process ends before it is with the dead letters. So it comes again, and again.
        for _ in 0..3 {
            let writer = Writer::new(&settings, &ids([]));
            assert_eq!(refused(&writer.write_at(&ids(0..10), 100).await.unwrap()), [3]);
        }
        // In other batches.
        let writer = Writer::new(&settings, &ids([]));
        assert_eq!(refused(&writer.write_at(&ids(2..5), 102).await.unwrap()), [1]);
        assert!(refused(&writer.write_at(&ids(5..15), 105).await.unwrap()).is_empty());
        assert_eq!(
            place.numbers("SELECT id FROM t ORDER BY id").await,
            [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
        );
        // Without positions, as when dead letters are played again.
        assert!(refused(&writer.write(&ids([0])).await.unwrap()).is_empty());
        assert_eq!(place.numbers("SELECT count(*) FROM t WHERE id = 0").await, [2]);
        let noted =
            place.rows("SELECT owner, incarnation, topic, partition, next_offset FROM millrace_positions").await;
        let expected = json!({
            "owner": "orders-to-postgres", "incarnation": "1", "topic": "orders", "partition": 0, "next_offset": 115,
        });
        assert_eq!(noted, [expected]);
        // Another incarnation begins anew.
        let mut other = context();
        other.incarnation = "2".into();
        let planned = plan(&settings, &ids([]).schema(), &other).unwrap();
        let destination = planned.destination().unwrap();
        let again = Writer { planned, destination };
        assert!(refused(&again.write_at(&ids(0..2), 100).await.unwrap()).is_empty());
        assert_eq!(place.numbers("SELECT count(*) FROM t WHERE id = 1").await, [2]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_write_each_record_once() {
    const RECORDS: i64 = 3_000;
    for version in VERSIONS {
        let place = Place::new(version).await;
        for mode in [json!({}), json!({ "mode": "upsert", "uniqueKeys": ["id"] })] {
            place.run("DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint)").await;
            if mode.get("mode").is_some() {
                // Nothing would hide a doubled row but the index itself.
                place.run("ALTER TABLE t ADD PRIMARY KEY (id); DELETE FROM millrace_positions").await;
            }
            let writing = [70, 110].map(|step| {
                let writer = Writer::new(&place.settings(mode.clone()), &ids([]));
                async move {
                    let courier = courier(Arc::clone(&writer.destination));
                    for start in (0..RECORDS).step_by(step) {
                        let parcel = parcel(&writer, start..RECORDS.min(start + step as i64));
                        courier.push(parcel).await.unwrap();
                    }
                    flush(&courier).await;
                }
            });
            futures::future::join_all(writing).await;
            let ids = place.numbers("SELECT id FROM t ORDER BY id").await;
            assert_eq!(ids, (0..RECORDS as u64).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_changed_is_waited_for() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        place.run("CREATE TABLE t (id bigint)").await;
        let writer = Writer::new(&place.settings(json!({})), &ids([]));
        let courier = courier(Arc::clone(&writer.destination));
        let mut next = 0;
        let mut push = async |count: i64| {
            courier.push(parcel(&writer, next..next + count)).await.unwrap();
            next += count;
        };
        push(100).await;
        flush(&courier).await;
        for (breaks, words, mends) in [
            ("ALTER TABLE t RENAME TO away", "there is no table", "ALTER TABLE away RENAME TO t"),
            ("ALTER TABLE t RENAME id TO number", "has no column `id`", "ALTER TABLE t RENAME number TO id"),
            // Eight bytes there, too: they would be taken for a time.
            (
                "ALTER TABLE t ALTER id TYPE timestamptz USING to_timestamp(id)",
                "they do not go together",
                "ALTER TABLE t ALTER id TYPE bigint USING extract(epoch FROM id)",
            ),
            (
                "ALTER TABLE t ADD COLUMN note text NOT NULL DEFAULT ''; ALTER TABLE t ALTER note DROP DEFAULT",
                "note",
                "ALTER TABLE t DROP COLUMN note",
            ),
        ] {
            place.run(breaks).await;
            push(100).await;
            until_problem(&courier, words).await;
            place.run(mends).await;
            flush(&courier).await;
        }
        // Dropped and made anew, with other numbers inside.
        place.run("CREATE TABLE other AS SELECT * FROM t; DROP TABLE t; ALTER TABLE other RENAME TO t").await;
        push(100).await;
        flush(&courier).await;
        // Narrower by now: the server converts, and refuses nothing that it can hold.
        place.run("ALTER TABLE t ALTER id TYPE int").await;
        push(100).await;
        flush(&courier).await;
        assert_eq!(place.numbers("SELECT id::bigint FROM t ORDER BY id").await, (0..next as u64).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_waits() {
    let authorities = std::fs::read_to_string(variable("MILLRACE_POSTGRES_CA")).unwrap();
    for version in VERSIONS {
        let place = Place::new(version).await;
        let role = "DO $$ BEGIN CREATE ROLE secured LOGIN; EXCEPTION WHEN duplicate_object THEN END $$";
        place.run(role).await;
        let password = |word: &str| format!("ALTER ROLE secured PASSWORD '{word}'");
        place.run(&password("right")).await;
        place.run(&format!("GRANT ALL ON SCHEMA {} TO secured; CREATE TABLE t (id bigint)", place.schema)).await;
        let settings = |more: serde_json::Value| {
            let mut settings = place.settings(json!({ "user": "secured", "secret": "pg" }));
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            settings
        };
        let deliver = async |more: serde_json::Value| {
            let writer = Writer::new(&settings(more), &ids([]));
            let checked = writer.planned.check().await;
            (checked, writer.write_at(&ids([1]), 0).await)
        };
        // No right to the table yet.
        let (checked, written) = deliver(json!({})).await;
        let checked = checked.unwrap_err();
        assert_eq!(checked.detail, format!("`secured` has no right to SELECT on \"{}\".\"t\"", place.schema));
        assert_eq!(written.unwrap_err().class, ErrorClass::Auth);
        place.run(checked.hint.strip_prefix("run ").unwrap()).await;
        let (checked, written) = deliver(json!({})).await;
        assert_eq!((checked, refused(&written.unwrap())), (Ok(()), vec![]));
        for (more, words) in
            [(json!({ "secret": "wrong" }), "password authentication failed"), (json!({ "secret": null }), "password")]
        {
            let (checked, written) = deliver(more).await;
            let (checked, written) = (checked.unwrap_err(), written.unwrap_err());
            assert!(checked.detail.contains(words) && !checked.detail.contains("wrong"), "{checked:?}");
            assert!(written.class == ErrorClass::Auth && written.reason.contains(words), "{written:?}");
        }
        let (checked, written) = deliver(json!({ "database": "nowhere" })).await;
        assert_eq!(checked.unwrap_err().key.as_deref(), Some("database"));
        assert_eq!(written.unwrap_err().class, ErrorClass::Down);
        // Encrypted: the authority is known, or nothing is looked at.
        for more in [
            json!({ "sslMode": "verify-full", "caCertificates": authorities }),
            json!({ "sslMode": "verify-full", "caCertificates": authorities, "host": "localhost" }),
            json!({ "sslMode": "require" }),
        ] {
            let (checked, written) = deliver(more).await;
            assert_eq!((checked, refused(&written.unwrap())), (Ok(()), vec![]));
        }
        let (checked, written) = deliver(json!({ "sslMode": "verify-full" })).await;
        let (checked, written) = (checked.unwrap_err(), written.unwrap_err());
        assert_eq!((checked.key.as_deref(), written.class), (Some("sslMode"), ErrorClass::Down));
        assert!(written.reason.contains("UnknownIssuer"), "{written:?}");
        // Changed while it writes: it waits, and goes on when it is right again.
        let writer = Writer::new(&settings(json!({})), &ids([]));
        place.run(&password("changed")).await;
        let courier = courier(Arc::clone(&writer.destination));
        courier.push(parcel(&writer, 10..20)).await.unwrap();
        until_problem(&courier, "does not let us in").await;
        place.run(&password("right")).await;
        flush(&courier).await;
        assert_eq!(place.numbers("SELECT count(*) FROM t WHERE id >= 10").await, [10]);
    }
}

/// A server that a test may kill.
struct OwnServer {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl OwnServer {
    fn start(version: u32) -> Self {
        let bin = variable(&format!("MILLRACE_POSTGRES_{version}_BIN"));
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, bin: bin.into(), port };
        run(server.program("initdb").args(["-U", "millrace", "--auth=trust", "--no-sync", "-D"]).arg(server.data()));
        assert!(server.try_start());
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("db")
    }

    /// The server refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = match is_root() {
            true => Command::new("runuser"),
            false => Command::new(&program),
        };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.current_dir(self.folder.path());
        command
    }

    fn try_start(&self) -> bool {
        let options =
            format!("-c listen_addresses=127.0.0.1 -p {} -k {} -c fsync=off", self.port, self.folder.path().display());
        let log = self.folder.path().join("log");
        let mut command = self.program("pg_ctl");
        command.args(["-s", "-w", "-o", &options, "-l"]).arg(log).arg("-D").arg(self.data()).arg("start");
        command.status().unwrap().success()
    }

    fn kill(&self) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        run(Command::new("kill").args(["-9", pid.lines().next().unwrap()]));
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").args(["-s", "-m", "immediate", "-D"]).arg(self.data()).arg("stop").status();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_each_record_once() {
    const RECORDS: i64 = 20_000;
    for version in VERSIONS {
        let server = tokio::task::block_in_place(|| OwnServer::start(version));
        let place = Place::at(&server.address()).await;
        place.run("CREATE TABLE t (id bigint)").await;
        let writer = Writer::new(&place.settings(json!({})), &ids([]));
        let courier = courier(Arc::clone(&writer.destination));
        for round in 0..2 {
            for start in (round * RECORDS..(round + 1) * RECORDS).step_by(100) {
                courier.push(parcel(&writer, start..start + 100)).await.unwrap();
            }
            // In the middle of it.
            while courier.counts().delivered < (round * RECORDS + RECORDS / 4) as u64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill();
            until_problem(&courier, "cannot be written to").await;
            // Its children see after a moment that it is gone.
            tokio::task::block_in_place(|| while !server.try_start() {});
            flush(&courier).await;
        }
        let place = Place { client: crate::servers::client(&server.address(), "postgres").await, ..place };
        let stored = place.numbers(&format!("SELECT id FROM {}.t ORDER BY id", place.schema)).await;
        assert_eq!(stored, (0..2 * RECORDS as u64).collect::<Vec<_>>());
        assert!(courier.counts().retried > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_for() {
    let disk = variable("MILLRACE_POSTGRES_SMALL_DISK");
    if disk == "none" {
        eprintln!("NOT TESTED: a full disk under PostgreSQL, since there is no right to mount a small one");
        return;
    }
    for version in VERSIONS {
        let place = Place::new(version).await;
        let (folder, space) = (Path::new(&disk).join(version.to_string()), place.schema.replace('s', "small"));
        place.run(&format!("CREATE TABLESPACE {space} LOCATION '{}'", folder.display())).await;
        place.run(&format!("CREATE TABLE ballast (word text) TABLESPACE {space}")).await;
        place.run("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, 4500)").await;
        place.run(&format!("CREATE TABLE t (id bigint, word text) TABLESPACE {space}")).await;
        let long = "x".repeat(1_000);
        let batch = |start: i64| words(&(start..start + 100).map(|id| (id, long.as_str())).collect::<Vec<_>>());
        let writer = Writer::new(&place.settings(json!({})), &batch(0));
        let courier = courier(Arc::clone(&writer.destination));
        for start in (0..4_000).step_by(100) {
            let records = writer.encode(&batch(start));
            let positions = (start..start + 100).map(|offset| Position { partition: 0, offset });
            let records = records.at(positions.collect());
            let keys = Some(vec![0; records.len()].into());
            courier.push(Parcel { records, keys, origin: Arc::new(0) }).await.unwrap();
        }
        until_problem(&courier, "No space left on device").await;
        assert_eq!(courier.counts().dead_lettered, 0);
        place.run("DROP TABLE ballast").await;
        place.run("CHECKPOINT").await;
        flush(&courier).await;
        assert_eq!(place.numbers("SELECT id FROM t ORDER BY id").await, (0..4_000).collect::<Vec<_>>());
        // Others need the disk.
        for statement in ["DROP TABLE t", "CHECKPOINT", &format!("DROP TABLESPACE {space}")] {
            place.run(statement).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_an_outage() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        place.run("CREATE TABLE t (id bigint)").await;
        let writer = Writer::new(&place.settings(json!({ "statementTimeout": "200ms" })), &ids([]));
        assert!(refused(&writer.write_at(&ids([1]), 0).await.unwrap()).is_empty());
        place.run("BEGIN; LOCK TABLE t").await;
        let error = writer.write_at(&ids([2]), 1).await.unwrap_err();
        assert!(error.class == ErrorClass::Down && error.reason.contains("statement timeout"), "{error:?}");
        place.run("COMMIT").await;
        assert!(refused(&writer.write_at(&ids([2]), 1).await.unwrap()).is_empty());
        let mut builder = EncodedBatchBuilder::default();
        builder.push(b"\0\x01\0\0\0\x14cut");
        // A defect of ours, or a table of another form: never a dead letter.
        let error = writer.destination.deliver(&builder.finish()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Down, "{error:?}");
    }
}
