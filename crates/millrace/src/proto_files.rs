//! Finding `.proto` files on disk: which import path each has, and which files it needs.

use crate::failure::Failure;
use schema::SourceFile;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

const FILES_MAX: usize = 4_096;
const DEPTH_MAX: usize = 32;

/// What the given paths hold. Sources and descriptor sets are not mixed by the compiler, so they are apart.
#[derive(Default)]
pub struct ProtoFiles {
    pub sources: Vec<SourceFile>,
    /// With the path, for error messages.
    pub descriptor_sets: Vec<(PathBuf, Vec<u8>)>,
}

/// Reads `.proto` files, directories of them, and descriptor sets. A directory is a root of imports; the root of a single
/// file is what is left of its path without its package (`city/booking/v1/b.proto` with `package city.booking.v1`), else
/// the directory it is in. Imports are looked for in all roots and in the working directory.
pub fn load(paths: &[PathBuf], roots: &[PathBuf]) -> Result<ProtoFiles, Failure> {
    let mut found = ProtoFiles::default();
    let mut search: Vec<PathBuf> = roots.to_vec();
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            search.push(path.clone());
            let before = sources.len() + found.descriptor_sets.len();
            let mut files = Vec::new();
            walk(path, 0, &mut files)?;
            for file in files {
                sources.insert(import_path(&file, path)?, read_text(&file)?);
            }
            if sources.len() + found.descriptor_sets.len() == before {
                return Err(Failure::error(format!("there is no .proto file in {}", path.display())));
            }
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            let text = read_text(path)?;
            let root =
                roots.iter().find(|root| path.starts_with(root)).cloned().unwrap_or_else(|| root_of(path, &text));
            sources.insert(import_path(path, &root)?, text);
            search.push(root);
        } else {
            let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            found.descriptor_sets.push((path.clone(), bytes));
        }
    }
    search.push(PathBuf::from("."));
    add_imports(&mut sources, &search)?;
    found.sources = sources.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
    Ok(found)
}

fn add_imports(sources: &mut BTreeMap<String, String>, search: &[PathBuf]) -> Result<(), Failure> {
    let mut waiting: VecDeque<String> = sources.values().flat_map(|text| imports(text)).collect();
    while let Some(import) = waiting.pop_front() {
        if sources.contains_key(&import) || import.starts_with("google/protobuf/") {
            continue;
        }
        // One that is nowhere is for the compiler to complain about: it knows the line.
        let Some(path) = search.iter().map(|root| root.join(&import)).find(|path| path.is_file()) else { continue };
        let text = read_text(&path)?;
        waiting.extend(imports(&text));
        sources.insert(import, text);
        if sources.len() > FILES_MAX {
            return Err(Failure::error(format!("more than {FILES_MAX} files are imported")));
        }
    }
    Ok(())
}

fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::error(format!("{} is nested deeper than {DEPTH_MAX} directories", directory.display())));
    }
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(directory, &error))?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(Failure::error(format!(
                "there are more than {FILES_MAX} .proto files in {}",
                directory.display()
            )));
        }
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot read {}: {error}", path.display()))
}

fn import_path(path: &Path, root: &Path) -> Result<String, Failure> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Option<Vec<&str>> = relative
        .components()
        .filter(|component| !matches!(component, std::path::Component::CurDir))
        .map(|component| component.as_os_str().to_str())
        .collect();
    match parts {
        Some(parts) => Ok(parts.join("/")),
        None => Err(Failure::error(format!("the name of {} is not UTF-8", path.display()))),
    }
}

fn root_of(path: &Path, text: &str) -> PathBuf {
    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let Some(package) = package(text) else { return directory };
    let mut root = directory.as_path();
    for part in package.rsplit('.') {
        match (root.file_name(), root.parent()) {
            (Some(name), Some(parent)) if name.to_str() == Some(part) => root = parent,
            _ => return directory,
        }
    }
    root.to_path_buf()
}

fn package(text: &str) -> Option<String> {
    statements(text, "package").next().map(|rest| rest.trim().to_owned())
}

fn imports(text: &str) -> Vec<String> {
    statements(text, "import")
        .filter_map(|rest| {
            let quote = rest.find(['"', '\''])?;
            let inner = &rest[quote + 1..];
            inner.find(['"', '\'']).map(|end| inner[..end].to_owned())
        })
        .collect()
}

/// What follows a keyword at the beginning of a line, up to the semicolon. Good enough to find files; the compiler reads
/// them properly.
fn statements<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.trim_start().strip_prefix(keyword)?;
        rest.starts_with([' ', '\t', '"', '\'']).then(|| rest.split(';').next().unwrap_or(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_brings_its_imports_from_the_root_of_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "city/a/a.proto",
            "syntax = \"proto3\";\npackage city.a;\nimport \"city/b/b.proto\";\nimport public 'city/c.proto';\n",
        );
        write("city/b/b.proto", "package city.b;\nimport \"google/protobuf/timestamp.proto\";\n");
        write("city/c.proto", "package city;\n");
        write("city/unused.proto", "package city;\n");
        let names = |paths: &[&str]| -> Vec<String> {
            let paths: Vec<PathBuf> = paths.iter().map(|path| dir.path().join(path)).collect();
            load(&paths, &[]).unwrap_or_default().sources.into_iter().map(|file| file.path).collect()
        };
        assert_eq!(names(&["city/a/a.proto"]), ["city/a/a.proto", "city/b/b.proto", "city/c.proto"]);
        assert_eq!(names(&[""]), ["city/a/a.proto", "city/b/b.proto", "city/c.proto", "city/unused.proto"]);
        assert!(load(&[dir.path().join("none.proto")], &[]).is_err());
    }
}
