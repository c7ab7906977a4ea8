//! `millrace dagger run`: a dagger over files, without a server. The rows go to stdout or a file, the ledger is the last
//! line of stderr.

use super::read_document;
use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::output::note;
use crate::proto_files;
use control::dagger_plan::{FutureCheck, PlannedDagger};
use control::dagger_spec::DaggerSpec;
use flow::{
    BoundedOptions, DelimitedFile, FlowError, NdjsonFile, RecordFile, RefusedRecord, StreamSettings, TableInput,
};
use schema::SchemaSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BATCH_ROWS_DEFAULT: usize = 8_192;
const OUTPUT_BUFFER_BYTES: usize = 1 << 20;
/// Refused records are all counted; so many are shown.
const REFUSED_SHOWN_MAX: u64 = 20;

pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let schemas = load_schemas(&arguments.proto)?;
    let (_, mut spec) = DaggerSpec::parse(&read_document(&arguments.spec)?)?;
    fill_single_schema(&mut spec, &schemas);
    let planned = control::dagger_plan::plan(&mut spec, &schemas, FutureCheck::None)?;
    let inputs = open_inputs(&planned, &arguments.input)?;
    let threads = arguments
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let batch_rows = arguments.batch_rows.map_or(BATCH_ROWS_DEFAULT, |rows| rows as usize);
    let options = BoundedOptions { threads, batch_rows };
    match &arguments.output {
        None => {
            let mut out = BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, std::io::stdout());
            run_into(planned, inputs, options, &mut out)
        }
        Some(path) => {
            let file = File::create(path)
                .map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))?;
            run_into(planned, inputs, options, &mut BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, file))
        }
    }
}

fn run_into(
    planned: PlannedDagger,
    inputs: Vec<TableInput>,
    options: BoundedOptions,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut shown = 0;
    let mut show_refused = |refused: &[RefusedRecord]| {
        for record in refused {
            shown += 1;
            match shown {
                ..=REFUSED_SHOWN_MAX => note(format!(
                    "{}, file {}, record {}: {}",
                    record.stream, record.partition, record.offset, record.error
                )),
                _ => break,
            }
        }
        Ok(())
    };
    let (ledger, rows) =
        flow::run_bounded(planned.plan, inputs, options, out, &mut show_refused).map_err(failure_of)?;
    // Exactly the cells of the contract, in its order.
    note(format!(
        "{{\"consumed\":{},\"delivered\":{},\"filtered\":{},\"late\":{},\"dead_lettered\":{},\"rows\":{rows}}}",
        ledger.consumed, ledger.delivered, ledger.filtered, ledger.late, ledger.dead_lettered
    ));
    Ok(())
}

fn failure_of(error: FlowError) -> Failure {
    match error {
        FlowError::Output(error) => Failure::output(error),
        other => Failure::error(other.to_string()),
    }
}

fn load_schemas(paths: &[PathBuf]) -> Result<SchemaSet, Failure> {
    let files = proto_files::load(paths, &[])?;
    let mut schemas = match files.sources.is_empty() {
        true => SchemaSet::empty(),
        false => SchemaSet::from_sources(&files.sources).map_err(control::ControlError::from)?,
    };
    for (path, bytes) in files.descriptor_sets {
        let more = SchemaSet::from_descriptor_set(&bytes)
            .map_err(|error| Failure::error(format!("{}: {error}", path.display())))?;
        schemas = schemas.merge(&more).map_err(control::ControlError::from)?;
    }
    Ok(schemas)
}

/// Where there is one message type only, it need not be named.
fn fill_single_schema(spec: &mut DaggerSpec, schemas: &SchemaSet) {
    let messages = schemas.messages();
    if let [only] = messages.as_slice() {
        for stream in &mut spec.streams {
            stream.schema.get_or_insert_with(|| only.full_name.clone());
        }
    }
}

/// The files of every table, in the order in which they were given: they are its partitions.
fn open_inputs(planned: &PlannedDagger, given: &[(String, PathBuf)]) -> Result<Vec<TableInput>, Failure> {
    for (table, _) in given {
        if !planned.streams.iter().any(|stream| stream.table == *table) {
            let tables: Vec<&str> = planned.streams.iter().map(|stream| stream.table.as_str()).collect();
            let hint = match control::nearest(table, tables.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the tables are: {}", tables.join(", ")),
            };
            return Err(Failure::usage(format!("the dagger has no table `{table}`")).with_hint(hint));
        }
    }
    planned
        .streams
        .iter()
        .map(|stream| {
            let files = given
                .iter()
                .filter(|(table, _)| *table == stream.table)
                .enumerate()
                .map(|(partition, (_, path))| open_file(path, stream, partition))
                .collect::<Result<Vec<_>, _>>()?;
            match files.is_empty() {
                false => Ok(TableInput { settings: Arc::clone(stream), files }),
                true => Err(Failure::usage(format!("the table `{}` has no --input", stream.table))
                    .with_hint(format!("add --input {}=FILE", stream.table))),
            }
        })
        .collect()
}

fn open_file(path: &Path, stream: &StreamSettings, partition: usize) -> Result<Box<dyn RecordFile>, Failure> {
    let partition = u32::try_from(partition).map_err(|_| Failure::usage("too many files"))?;
    let opened: Result<Box<dyn RecordFile>, FlowError> = match path.extension().and_then(|extension| extension.to_str())
    {
        Some("pb" | "bin") => DelimitedFile::open(path, &stream.table, partition).map(|file| Box::new(file) as _),
        Some("ndjson" | "jsonl" | "json") => {
            NdjsonFile::open(path, stream.message.clone(), &stream.table, partition).map(|file| Box::new(file) as _)
        }
        _ => {
            return Err(Failure::usage(format!("the form of {} cannot be told by its name", path.display()))
                .with_hint("name it FILE.pb (varint-delimited protobuf) or FILE.ndjson"));
        }
    };
    opened.map_err(failure_of)
}
