//! Documents that people keep in files: found, read and put in an order that works, before anything is sent.
//!
//! Only the outer form is read here (kind, name, YAML); what a spec may hold is the server's to say.

use crate::failure::{Failure, Problem};
use control::{Kind, Metadata};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Of a folder these are read; others may lie beside them.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
const DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub struct Document {
    /// As the user named it.
    file: String,
    /// With as many blank lines before it as there are lines before it in the file, so that line numbers hold.
    pub text: String,
    pub kind: Kind,
    pub metadata: Metadata,
    pub spec: Value,
}

/// Every document of the files and folders, in the order in which they can be applied.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            let text = super::commands::read_document(path)?;
            read_all("stdin", &text, &mut documents)?;
            continue;
        }
        for file in files(path)? {
            read_all(&file.display().to_string(), &super::commands::read_document(&file)?, &mut documents)?;
        }
    }
    if documents.is_empty() {
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::error(format!("there is no document in {}", shown.join(", ")))
            .with_hint(format!("of a folder the files that end in .{} are read", EXTENSIONS.join(", ."))));
    }
    refuse_twins(&documents)?;
    Ok(in_order(documents))
}

/// A file, or those of a folder and the folders below it, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |path: &Path, error: std::io::Error| {
        let failure = Failure::error(format!("cannot read {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.with_hint("look at the path that -f names"),
            _ => failure,
        }
    };
    if !path.metadata().map_err(|error| unreadable(path, error))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![(path.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let path = entry.map_err(|error| unreadable(&folder, error))?.path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if path.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if path.is_file() && EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read_all(file: &str, text: &str, documents: &mut Vec<Document>) -> Result<(), Failure> {
    for text in control::document::split(text) {
        documents.push(Document::read(file, text)?);
    }
    Ok(())
}

impl Document {
    fn read(file: &str, text: String) -> Result<Self, Failure> {
        let first_line = first_line(&text);
        let placed = |error: control::ControlError| {
            // One that has a place begins with it.
            let place = if error.position.is_some() { file.to_owned() } else { format!("{file}, line {first_line}") };
            Failure::from(error).at(&place)
        };
        let kind = control::document_kind(&text).map_err(placed)?;
        let (metadata, spec) = control::parse_document::<Value>(&text, kind).map_err(placed)?;
        if kind == Kind::Schema {
            return Err(Failure::error(format!("{file}, line {first_line}: a Schema is no document to apply"))
                .with_hint("register .proto files with `millrace schema push`"));
        }
        Ok(Self { file: file.to_owned(), text, kind, metadata, spec })
    }

    /// `dagger counts`, as it is called in messages.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.word(), self.metadata.name)
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    fn first_line(&self) -> usize {
        first_line(&self.text)
    }

    /// What the server found wrong with it, by file and line. Of a mistake in the SQL the server knows the line within the
    /// SQL.
    pub fn failure(&self, problem: Problem) -> Failure {
        let is_sql = problem.code.starts_with("sql_");
        let place = match problem.line {
            // The detail begins with line and column already.
            Some(line) if !is_sql && problem.detail.starts_with(&format!("line {line},")) => self.file.clone(),
            Some(line) if !is_sql => format!("{}, line {line}", self.file),
            Some(line) => format!("{}, line {}, in the SQL", self.file, self.sql_line(line)),
            None => format!("{}, line {}", self.file, self.first_line()),
        };
        Failure::from(problem).at(&place)
    }

    /// The line of the file that has a line of `spec.sql`.
    fn sql_line(&self, line: usize) -> usize {
        let begins = self.text.lines().enumerate().find_map(|(index, text)| {
            let value = text.trim_start().trim_start_matches("- ").strip_prefix("sql:")?.trim();
            Some((index + 1, value.split_whitespace().next().unwrap_or_default().to_owned()))
        });
        match begins {
            // A literal block begins below its key; other forms join their lines.
            Some((at, value)) if value.starts_with('|') => at + line,
            Some((at, _)) => at,
            None => self.first_line(),
        }
    }

    fn texts<'a>(&'a self, list: &str, field: &'a str) -> impl Iterator<Item = &'a str> {
        let items = self.spec.get(list).and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(move |item| item.get(field))
            .flat_map(|value| match value {
                Value::Array(values) => values.iter().collect(),
                one => vec![one],
            })
            .filter_map(Value::as_str)
    }

    /// The documents that have to be there before this one: (kind, name).
    pub fn needs(&self) -> Vec<(Kind, &str)> {
        let mut needs = Vec::new();
        if self.kind != Kind::Group {
            needs.push((Kind::Group, self.metadata.group.as_str()));
        }
        needs.extend(self.texts("streams", "topics").map(|topic| (Kind::Topic, topic)));
        if self.kind == Kind::Firehose {
            needs.extend(self.spec.get("topic").and_then(Value::as_str).map(|topic| (Kind::Topic, topic)));
        }
        needs.extend(self.spec.get("cluster").and_then(Value::as_str).map(|cluster| (Kind::DaggerCluster, cluster)));
        needs
    }

    /// What it makes: itself, and the topics that it writes.
    pub fn makes(&self) -> Vec<(Kind, &str)> {
        let mut makes = vec![(self.kind, self.metadata.name.as_str())];
        makes.extend(self.texts("sinks", "topic").map(|topic| (Kind::Topic, topic)));
        if self.kind == Kind::Firehose {
            let topic = self.spec.pointer("/sink/topic").and_then(Value::as_str);
            makes.extend(topic.map(|topic| (Kind::Topic, topic)));
        }
        makes
    }
}

/// The line of the first word.
fn first_line(text: &str) -> usize {
    let is_blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    1 + text.lines().take_while(is_blank).count()
}

/// The same resource in two documents would become what the last one says, and nobody could tell which that is.
fn refuse_twins(documents: &[Document]) -> Result<(), Failure> {
    let mut seen: HashMap<(Kind, &str), &Document> = HashMap::new();
    for document in documents {
        if let Some(first) = seen.insert((document.kind, &document.metadata.name), document) {
            return Err(Failure::error(format!(
                "{}, line {}: the {} is in {}, line {}, already",
                document.file,
                document.first_line(),
                document.title(),
                first.file,
                first.first_line()
            ))
            .with_hint("leave one of them out"));
        }
    }
    Ok(())
}

fn rank(kind: Kind) -> usize {
    let order =
        [Kind::Group, Kind::KafkaCluster, Kind::DaggerCluster, Kind::Schema, Kind::Topic, Kind::Dagger, Kind::Firehose];
    order.iter().position(|known| *known == kind).unwrap_or(usize::MAX)
}

/// Groups, clusters, topics, daggers; a dagger that writes a topic before those that read it. Otherwise as they came.
fn in_order(mut documents: Vec<Document>) -> Vec<Document> {
    documents.sort_by_key(|document| rank(document.kind));
    let mut makers: HashMap<(Kind, &str), Vec<usize>> = HashMap::new();
    for (index, document) in documents.iter().enumerate() {
        for made in document.makes() {
            makers.entry(made).or_default().push(index);
        }
    }
    let (mut order, mut seen) = (Vec::with_capacity(documents.len()), vec![false; documents.len()]);
    for index in 0..documents.len() {
        place(index, &documents, &makers, &mut seen, &mut order);
    }
    drop(makers);
    let mut documents: Vec<Option<Document>> = documents.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| documents[index].take()).collect()
}

/// After what it needs. Daggers that feed each other in a circle have no first one; the server says what is missing.
fn place(
    index: usize,
    documents: &[Document],
    makers: &HashMap<(Kind, &str), Vec<usize>>,
    seen: &mut [bool],
    order: &mut Vec<usize>,
) {
    if std::mem::replace(&mut seen[index], true) {
        return;
    }
    for maker in documents[index].needs().iter().filter_map(|needed| makers.get(needed)).flatten() {
        place(*maker, documents, makers, seen, order);
    }
    order.push(index);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Document> {
        let mut documents = Vec::new();
        read_all("f.yaml", text, &mut documents).unwrap();
        documents
    }

    fn dagger(name: &str, reads: &str, writes: &str) -> String {
        format!(
            "apiVersion: millrace/v1\nkind: Dagger\nmetadata: {{name: {name}}}\nspec:\n  streams: [{{topics: [{reads}]}}]\n  \
             sinks: [{{kind: topic, topic: {writes}}}]\n  sql: |\n    SELECT 1\n---\n"
        )
    }

    #[test]
    fn what_is_needed_comes_first() {
        let text = dagger("last", "middle", "end")
            + &dagger("first", "raw", "middle")
            + "apiVersion: millrace/v1\nkind: Topic\nmetadata: {name: raw, group: rides}\nspec: {}\n---\n"
            + "apiVersion: millrace/v1\nkind: Group\nmetadata: {name: rides}\nspec: {}\n";
        let ordered = in_order(read(&text));
        let titles: Vec<String> = ordered.iter().map(Document::title).collect();
        assert_eq!(titles, ["group rides", "topic raw", "dagger first", "dagger last"]);
        // A circle is no reason to hang.
        assert_eq!(in_order(read(&(dagger("a", "x", "y") + &dagger("b", "y", "x")))).len(), 2);
    }

    #[test]
    fn a_mistake_has_the_line_of_the_file() {
        let text = dagger("first", "a", "b") + &dagger("second", "b", "c");
        let second = &read(&text)[1];
        let problem = |code: &str, detail: &str, line| Problem {
            status: 422,
            code: code.to_owned(),
            detail: detail.to_owned(),
            hint: None,
            line,
        };
        let check = |problem, expected: &str| assert_eq!(second.failure(problem).detail(), expected);
        check(
            problem("unknown_key", "line 14, column 3: unknown key", Some(14)),
            "f.yaml: line 14, column 3: unknown key",
        );
        check(problem("topic_invalid", "it is wrong", None), "f.yaml, line 10: it is wrong");
        check(
            problem("sql_invalid", "line 1, column 8: no", Some(1)),
            "f.yaml, line 17, in the SQL: line 1, column 8: no",
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_place() {
        let mut documents = Vec::new();
        let mut detail = |text: &str| read_all("f.yaml", text, &mut documents).unwrap_err().detail().to_owned();
        assert_eq!(detail("\n# nothing\nkind: Dager\n"), "f.yaml, line 3: `Dager` is not a kind");
        assert!(detail("kind: Topic\nmetadata: [\n").starts_with("f.yaml: line "));
        assert!(
            detail("apiVersion: millrace/v1\nkind: Topic\nmetadata: {name: a, gruop: b}\nspec: {}\n")
                .contains("line 3, column")
        );
        assert!(
            detail("apiVersion: millrace/v1\nkind: Topic\nmetadata: {name: '-'}\nspec: {}\n")
                .contains("f.yaml, line 1: ")
        );
    }
}
