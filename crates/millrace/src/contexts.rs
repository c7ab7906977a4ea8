//! Servers that a person talks to, by name, each with its token: `contexts.yaml` in the configuration folder, which only its
//! owner can read.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextsFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

#[derive(Debug)]
pub struct Contexts {
    /// Without a home there is nowhere to keep any.
    path: Option<PathBuf>,
    file: ContextsFile,
}

impl Contexts {
    pub fn read() -> Result<Self, Failure> {
        let Some(path) = path() else { return Ok(Self { path: None, file: ContextsFile::default() }) };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => String::new(),
            Err(error) => return Err(Failure::error(format!("cannot read {}: {error}", path.display()))),
        };
        let file = match text.trim().is_empty() {
            true => ContextsFile::default(),
            false => serde_yaml_ng::from_str(&text).map_err(|error| {
                Failure::error(format!("{} cannot be understood: {error}", path.display()))
                    .with_hint("mend it, or delete it and use `millrace context set NAME --server URL`")
            })?,
        };
        Ok(Self { path: Some(path), file })
    }

    /// The one with this name, with its name.
    pub fn get(&self, name: &str) -> Result<(&str, &Context), Failure> {
        match self.file.contexts.get_key_value(name) {
            Some((name, context)) => Ok((name, context)),
            None => Err(self.unknown(name)),
        }
    }

    pub fn current(&self) -> Result<Option<(&str, &Context)>, Failure> {
        self.file.current.as_deref().map(|name| self.get(name)).transpose()
    }

    pub fn all(&self) -> &BTreeMap<String, Context> {
        &self.file.contexts
    }

    pub fn is_current(&self, name: &str) -> bool {
        self.file.current.as_deref() == Some(name)
    }

    /// The first one is taken into use at once.
    pub fn set(&mut self, name: &str, context: Context) {
        self.file.contexts.insert(name.to_owned(), context);
        if self.file.contexts.len() == 1 {
            self.file.current = Some(name.to_owned());
        }
    }

    pub fn take_into_use(&mut self, name: &str) -> Result<(), Failure> {
        self.get(name)?;
        self.file.current = Some(name.to_owned());
        Ok(())
    }

    pub fn delete(&mut self, name: &str) -> Result<(), Failure> {
        if self.file.contexts.remove(name).is_none() {
            return Err(self.unknown(name));
        }
        if self.is_current(name) {
            self.file.current = None;
        }
        Ok(())
    }

    /// Whole or not at all, and readable by nobody else at any moment.
    pub fn write(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Err(Failure::error("there is no home directory to keep contexts in")
                .with_hint("set HOME or XDG_CONFIG_HOME"));
        };
        let text = serde_yaml_ng::to_string(&self.file)
            .map_err(|error| Failure::error(format!("the contexts have no YAML form: {error}")))?;
        write_private(path, &text).map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))
    }

    fn unknown(&self, name: &str) -> Failure {
        let known = self.file.contexts.keys().map(String::as_str);
        let hint = match control::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`millrace context list` shows what there is".to_owned(),
        };
        Failure::not_found(format!("there is no context `{name}`")).with_hint(hint)
    }
}

fn path() -> Option<PathBuf> {
    let of = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG base directory specification: a path that is not absolute does not count.
    let configuration = of("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let configuration = configuration.or_else(|| Some(of("HOME")?.join(".config")))?;
    Some(configuration.join("millrace").join("contexts.yaml"))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let beside = path.with_extension(format!("yaml.{}", std::process::id()));
    // One that is left over may have other rights.
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
