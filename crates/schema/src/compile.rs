//! `.proto` text to descriptors, without a file system: imports are resolved among the given files and the
//! well-known types.

use std::collections::HashMap;
use std::sync::Arc;

use miette::Diagnostic as _;
use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::error::{Diagnostic, SchemaError, SchemaErrorKind};
use crate::{FILES_MAX, SOURCE_BYTES_MAX, SOURCE_NESTING_MAX};

/// One `.proto` file by its import path (`/`-separated, relative to the root that imports are written against).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

struct MemoryResolver {
    texts: Arc<HashMap<String, String>>,
    well_known: GoogleFileResolver,
}

impl FileResolver for MemoryResolver {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.texts.get(name) {
            Some(text) => File::from_source(name, text),
            None => self.well_known.open_file(name),
        }
    }
}

pub(crate) fn compile(files: &[SourceFile]) -> Result<DescriptorPool, SchemaError> {
    let texts = Arc::new(checked_texts(files)?);
    let resolver = MemoryResolver { texts: Arc::clone(&texts), well_known: GoogleFileResolver::new() };
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(true);
    let mut findings: Vec<Diagnostic> = Vec::new();
    for file in files {
        if let Err(error) = compiler.open_file(&file.path) {
            for finding in diagnostics(&error, &texts) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    match SchemaError::from_diagnostics(SchemaErrorKind::Invalid, findings) {
        Some(error) => Err(error),
        None => Ok(compiler.descriptor_pool()),
    }
}

fn checked_texts(files: &[SourceFile]) -> Result<HashMap<String, String>, SchemaError> {
    if files.len() > FILES_MAX {
        return Err(too_large(format!("{} files, at most {FILES_MAX} are taken", files.len())));
    }
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if bytes > SOURCE_BYTES_MAX {
        return Err(too_large(format!("{bytes} bytes of source, at most {SOURCE_BYTES_MAX} are taken")));
    }
    let mut texts = HashMap::with_capacity(files.len());
    for file in files {
        check_path(&file.path)?;
        check_nesting(file)?;
        if texts.insert(file.path.clone(), file.text.clone()).is_some() {
            return Err(SchemaError::new(SchemaErrorKind::Invalid, "the file is given twice")
                .with_file(&file.path)
                .with_hint("give every import path once"));
        }
    }
    Ok(texts)
}

fn too_large(message: String) -> SchemaError {
    SchemaError::new(SchemaErrorKind::TooLarge, message).with_hint("push fewer files at a time")
}

fn check_path(path: &str) -> Result<(), SchemaError> {
    let well_formed = !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if well_formed {
        return Ok(());
    }
    Err(SchemaError::new(SchemaErrorKind::Invalid, format!("`{path}` is not an import path"))
        .with_hint("write it relative to the root of the imports, with `/`, for example `city/booking.proto`"))
}

/// Bounds brackets, also those in comments and texts: a schema does not come near the limit.
fn check_nesting(file: &SourceFile) -> Result<(), SchemaError> {
    let mut depth = 0usize;
    for (offset, byte) in file.text.bytes().enumerate() {
        match byte {
            b'{' | b'[' | b'<' => depth += 1,
            b'}' | b']' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > SOURCE_NESTING_MAX {
            let (line, column) = position(&file.text, offset);
            let mut error = SchemaError::new(
                SchemaErrorKind::TooLarge,
                format!("brackets nest deeper than {SOURCE_NESTING_MAX} levels"),
            )
            .with_file(&file.path)
            .with_hint("move inner types to the top level");
            (error.line, error.column) = (Some(line), Some(column));
            return Err(error);
        }
    }
    Ok(())
}

fn diagnostics(error: &protox::Error, texts: &HashMap<String, String>) -> Vec<Diagnostic> {
    let file = error.file().map(str::to_owned);
    let text = file.as_deref().and_then(|name| texts.get(name)).map(String::as_str);
    let mut found = vec![diagnostic(error, &file, text)];
    if let Some(related) = error.related() {
        found.extend(related.map(|more| diagnostic(more, &file, text)));
    }
    found
}

fn diagnostic(error: &dyn miette::Diagnostic, file: &Option<String>, text: Option<&str>) -> Diagnostic {
    let message = error.to_string();
    // The last label is where the fault was found; earlier ones say what it collides with.
    let offset = error.labels().and_then(|labels| labels.map(|label| label.offset()).last());
    let place = text.zip(offset).map(|(text, offset)| position(text, offset));
    let hint = error.help().map(|help| help.to_string()).or_else(|| hint(&message, text));
    Diagnostic { file: file.clone(), line: place.map(|p| p.0), column: place.map(|p| p.1), message, hint }
}

fn hint(message: &str, text: Option<&str>) -> Option<String> {
    if text.is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with("edition"))) {
        return Some(
            "protobuf editions cannot be compiled from source here: write `syntax = \"proto3\";`, or compile with protoc \
             and push the descriptor set"
                .to_owned(),
        );
    }
    if message.starts_with("import '") && message.ends_with("not found") {
        return Some("push the imported file together with this one, under the path that the import names".to_owned());
    }
    if message.starts_with("name '") && message.ends_with("is not defined") {
        return Some("define it, or import the file that does".to_owned());
    }
    if message.starts_with("field number '") && message.ends_with("is already used") {
        return Some("give the field a number of its own".to_owned());
    }
    if message.starts_with("import cycle") {
        return Some("move the shared types to a third file".to_owned());
    }
    None
}

/// Line and column of a byte offset, from 1; columns count characters.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (line.try_into().unwrap_or(u32::MAX), column.try_into().unwrap_or(u32::MAX))
}
