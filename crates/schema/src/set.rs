//! A set of schemas that belong together, and how a push changes it.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message as _;
use prost_reflect::{
    DescriptorError, DescriptorPool, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use prost_types::FileDescriptorProto;

use crate::compile::{self, SourceFile};
use crate::editions;
use crate::error::{SchemaError, SchemaErrorKind};
use crate::summary::{self, MessageSummary};
use crate::{DESCRIPTOR_SET_BYTES_MAX, FILES_MAX, MESSAGES_MAX};

/// Files with their message types, complete with all imports. A clone shares everything.
#[derive(Debug, Clone)]
pub struct SchemaSet {
    pool: DescriptorPool,
}

impl SchemaSet {
    pub fn empty() -> Self {
        Self { pool: DescriptorPool::new() }
    }

    /// Compiles `.proto` sources. Imports are resolved among `files` and the well-known types.
    pub fn from_sources(files: &[SourceFile]) -> Result<Self, SchemaError> {
        // The pool that the compiler fills decides about `packed` and the like before it has resolved the options
        // (prost-reflect 0.16.5), so it is built again of what the compiler made.
        let compiled = compile::compile(files)?;
        Self::from_files(compiled.files().map(|file| FileBytes::of(&file)).collect())
    }

    /// Reads a serialised `google.protobuf.FileDescriptorSet`, as `protoc --include_imports --descriptor_set_out` writes it.
    /// Missing imports are taken from the well-known types. Files of the editions 2023 and 2024 become proto3 (or proto2)
    /// files that mean the same.
    pub fn from_descriptor_set(bytes: &[u8]) -> Result<Self, SchemaError> {
        if bytes.len() > DESCRIPTOR_SET_BYTES_MAX {
            return Err(SchemaError::new(
                SchemaErrorKind::TooLarge,
                format!("the descriptor set has {} bytes, at most {DESCRIPTOR_SET_BYTES_MAX} are taken", bytes.len()),
            ));
        }
        Self::from_files(FileBytes::split(bytes)?)
    }

    /// The set after a push: files of `newer` replace files of the same name, and an older file whose types are all
    /// defined by `newer` under another file name goes away. Anything else that is defined twice is a conflict.
    pub fn merge(&self, newer: &SchemaSet) -> Result<Self, SchemaError> {
        let pushed: HashMap<String, FileDescriptor> =
            newer.pool.files().map(|file| (file.name().to_owned(), file)).collect();
        let defined: HashMap<String, String> = newer
            .pool
            .files()
            .flat_map(|file| top_level_names(&file).into_iter().map(move |name| (name, file.name().to_owned())))
            .collect();
        let mut files = Vec::new();
        for file in self.pool.files().filter(|file| !pushed.contains_key(file.name())) {
            let names = top_level_names(&file);
            let taken: Vec<&String> = names.iter().filter(|name| defined.contains_key(*name)).collect();
            match taken.first() {
                Some(_) if taken.len() == names.len() => {}
                Some(name) => return Err(twice(name, file.name(), &defined[*name])),
                None => files.push(FileBytes::of(&file)),
            }
        }
        files.extend(newer.pool.files().map(|file| FileBytes::of(&file)));
        Self::from_files(files).map_err(|error| SchemaError {
            kind: SchemaErrorKind::Conflict,
            hint: Some(
                error
                    .hint
                    .unwrap_or_else(|| "push the changed file together with the files that depend on it".to_owned()),
            ),
            ..error
        })
    }

    /// The set with one more file, for example one that was generated. A file of the same name is replaced.
    pub fn with_file(&self, file: FileDescriptorProto) -> Result<Self, SchemaError> {
        let file =
            FileBytes { name: file.name().to_owned(), imports: file.dependency.clone(), bytes: file.encode_to_vec() };
        let mut files: Vec<FileBytes> =
            self.pool.files().filter(|old| old.name() != file.name).map(|old| FileBytes::of(&old)).collect();
        files.push(file);
        Self::from_files(files)
    }

    /// The serialised `google.protobuf.FileDescriptorSet` with all imports and, where the source had them, comments.
    pub fn to_descriptor_set(&self) -> Vec<u8> {
        self.pool.encode_to_vec()
    }

    /// The message type of this full name (`package.Message`).
    pub fn message(&self, full_name: &str) -> Result<MessageDescriptor, SchemaError> {
        let name = full_name.trim_start_matches('.');
        match self.pool.get_message_by_name(name).filter(|message| !message.is_map_entry()) {
            Some(message) => Ok(message),
            None => Err(self.unknown(name)),
        }
    }

    /// The method `package.Service/Method`.
    pub fn method(&self, name: &str) -> Result<MethodDescriptor, SchemaError> {
        let services: Vec<ServiceDescriptor> = self.pool.services().collect();
        let found = name.split_once('/').and_then(|(service, method)| {
            let service = services.iter().find(|known| known.full_name() == service.trim_start_matches('.'))?;
            service.methods().find(|known| known.name() == method)
        });
        found.ok_or_else(|| {
            let error = SchemaError::new(SchemaErrorKind::NotFound, format!("there is no method `{name}`"));
            let methods = services.iter().flat_map(|service| {
                let name = service.full_name().to_owned();
                service.methods().map(move |method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
            });
            let lower = name.to_lowercase();
            match methods.min_by_key(|known| strsim::damerau_levenshtein(&lower, &known.to_lowercase())) {
                Some(nearest) => error.with_hint(format!("did you mean `{nearest}`?")),
                None => error.with_hint("no service is registered: push the `.proto` file that defines it"),
            }
        })
    }

    /// Every message type but map entries and the well-known types, by full name.
    pub fn messages(&self) -> Vec<MessageSummary> {
        let sorted: BTreeMap<String, MessageDescriptor> = self
            .pool
            .all_messages()
            .filter(|message| !message.is_map_entry() && !is_well_known_file(message.parent_file().name()))
            .map(|message| (message.full_name().to_owned(), message))
            .collect();
        let mut comments = summary::Comments::default();
        sorted.values().map(|message| summary::summarize(message, &mut comments)).collect()
    }

    /// One message type with its fields; the types of nested messages are named, to be described in turn.
    pub fn describe(&self, full_name: &str) -> Result<MessageSummary, SchemaError> {
        Ok(summary::summarize(&self.message(full_name)?, &mut summary::Comments::default()))
    }

    fn unknown(&self, name: &str) -> SchemaError {
        let lower = name.to_lowercase();
        let nearest = self
            .pool
            .all_messages()
            .filter(|message| !message.is_map_entry())
            .map(|message| {
                let full = strsim::damerau_levenshtein(&lower, &message.full_name().to_lowercase());
                let short = strsim::damerau_levenshtein(&lower, &message.name().to_lowercase());
                (full.min(short), message.full_name().to_owned())
            })
            .min();
        let error = SchemaError::new(SchemaErrorKind::NotFound, format!("there is no message type `{name}`"));
        match nearest {
            Some((distance, nearest)) if distance <= 2 + name.len() / 3 => {
                error.with_hint(format!("did you mean `{nearest}`?"))
            }
            Some(_) => error.with_hint("`millrace schema list` shows what is registered"),
            None => error.with_hint("no schema is registered yet: `millrace schema push` registers one"),
        }
    }

    fn from_files(files: Vec<FileBytes>) -> Result<Self, SchemaError> {
        if files.len() > FILES_MAX {
            return Err(SchemaError::new(
                SchemaErrorKind::TooLarge,
                format!("the set has {} files, at most {FILES_MAX} are taken", files.len()),
            ));
        }
        let mut pool = DescriptorPool::new();
        for file in in_import_order(files)? {
            pool.decode_file_descriptor_proto(file.bytes.as_slice())
                .map_err(|error| descriptor_error(error, &file.name))?;
        }
        Self::checked(pool)
    }

    fn checked(pool: DescriptorPool) -> Result<Self, SchemaError> {
        let messages = pool.all_messages().len();
        if messages > MESSAGES_MAX {
            return Err(SchemaError::new(
                SchemaErrorKind::TooLarge,
                format!("the set has {messages} message types, at most {MESSAGES_MAX} are taken"),
            ));
        }
        Ok(Self { pool })
    }
}

impl Default for SchemaSet {
    fn default() -> Self {
        Self::empty()
    }
}

/// A file as bytes: extension options, which the plain descriptor type would lose, stay in it.
struct FileBytes {
    name: String,
    imports: Vec<String>,
    bytes: Vec<u8>,
}

impl FileBytes {
    fn of(file: &FileDescriptor) -> Self {
        Self {
            name: file.name().to_owned(),
            imports: file.file_descriptor_proto().dependency.clone(),
            bytes: file.encode_to_vec(),
        }
    }

    /// Splits a `FileDescriptorSet` (field 1 = file) without decoding and encoding the files.
    fn split(bytes: &[u8]) -> Result<Vec<Self>, SchemaError> {
        #[derive(Clone, PartialEq, prost::Message)]
        struct RawSet {
            #[prost(bytes = "vec", repeated, tag = "1")]
            file: Vec<Vec<u8>>,
        }
        let invalid = |error: prost::DecodeError| {
            SchemaError::new(SchemaErrorKind::Invalid, format!("this is no FileDescriptorSet: {error}"))
                .with_hint("make one with `protoc --include_imports --descriptor_set_out=FILE ...`")
        };
        let set = RawSet::decode(bytes).map_err(invalid)?;
        set.file
            .into_iter()
            .map(|bytes| {
                let bytes = editions::lowered(&bytes)?.unwrap_or(bytes);
                let file = FileDescriptorProto::decode(bytes.as_slice()).map_err(invalid)?;
                Ok(Self { name: file.name().to_owned(), imports: file.dependency, bytes })
            })
            .collect()
    }
}

/// Orders files so that each comes after its imports, and adds the well-known ones that are imported but not given.
fn in_import_order(files: Vec<FileBytes>) -> Result<Vec<FileBytes>, SchemaError> {
    let mut names: HashSet<String> = HashSet::with_capacity(files.len());
    for file in &files {
        if !names.insert(file.name.clone()) {
            return Err(
                SchemaError::new(SchemaErrorKind::Invalid, "the file is in the set twice").with_file(&file.name)
            );
        }
    }
    let mut waiting = files;
    let mut seen = 0;
    while seen < waiting.len() {
        for import in waiting[seen].imports.clone() {
            if !names.contains(&import) {
                let known = DescriptorPool::global().get_file_by_name(&import).filter(|_| is_well_known_file(&import));
                let Some(known) = known else {
                    return Err(SchemaError::new(
                        SchemaErrorKind::Invalid,
                        format!("import `{import}` is not in the set"),
                    )
                    .with_file(&waiting[seen].name)
                    .with_hint("push the imported file too; protoc puts imports in with `--include_imports`"));
                };
                names.insert(import);
                waiting.push(FileBytes::of(&known));
            }
        }
        seen += 1;
    }
    let mut ordered: Vec<FileBytes> = Vec::with_capacity(waiting.len());
    let mut done: HashSet<String> = HashSet::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let (ready, blocked): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|file| file.imports.iter().all(|import| done.contains(import)));
        if ready.is_empty() {
            let names: Vec<&str> = blocked.iter().map(|file| file.name.as_str()).collect();
            return Err(SchemaError::new(
                SchemaErrorKind::Invalid,
                format!("files import each other: {}", names.join(", ")),
            )
            .with_hint("move the shared types to a file of their own"));
        }
        done.extend(ready.iter().map(|file| file.name.clone()));
        ordered.extend(ready);
        waiting = blocked;
    }
    Ok(ordered)
}

fn is_well_known_file(name: &str) -> bool {
    name.starts_with("google/protobuf/")
}

fn top_level_names(file: &FileDescriptor) -> Vec<String> {
    let messages = file.messages().map(|message| message.full_name().to_owned());
    let enums = file.enums().map(|kind| kind.full_name().to_owned());
    let services = file.services().map(|service| service.full_name().to_owned());
    messages.chain(enums).chain(services).collect()
}

fn twice(name: &str, old: &str, new: &str) -> SchemaError {
    SchemaError::new(
        SchemaErrorKind::Conflict,
        format!("`{name}` is already defined in `{old}`, which defines more types"),
    )
    .with_file(new)
    .with_hint(format!(
        "push it as `{old}` with all of that file's types, or push a version of `{old}` without it as well"
    ))
}

fn descriptor_error(error: DescriptorError, file: &str) -> SchemaError {
    let message = error.to_string();
    let unsupported = message.starts_with("unknown syntax");
    let kind = if unsupported { SchemaErrorKind::Unsupported } else { SchemaErrorKind::Invalid };
    let from_zero = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
    SchemaError {
        file: Some(error.file().unwrap_or(file).to_owned()),
        line: error.line().map(from_zero),
        column: error.column().map(from_zero),
        hint: unsupported.then(|| {
            "proto2 and proto3 are supported; of the editions those whose features can be said in proto2 or proto3"
                .to_owned()
        }),
        ..SchemaError::new(kind, message)
    }
}
