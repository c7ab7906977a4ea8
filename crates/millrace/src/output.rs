//! Printing: data on stdout in the form that was asked for, everything else on stderr.

use crate::arguments::OutputFormat;
use crate::failure::Failure;
use serde_json::Value;
use std::io::{IsTerminal, StdoutLock, Write};

/// Wider cells are cut in tables, and only there.
const CELL_CHARS_MAX: usize = 80;

/// A column of a table: its title, and where its value is in an item (`/metadata/name`).
pub struct Column {
    pub title: &'static str,
    pub pointer: &'static str,
}

pub const fn column(title: &'static str, pointer: &'static str) -> Column {
    Column { title, pointer }
}

pub struct Output {
    format: OutputFormat,
    out: std::io::BufWriter<StdoutLock<'static>>,
    /// Of a table that is printed as it grows.
    stream: Option<StreamedTable>,
}

struct StreamedTable {
    titles: Vec<String>,
    widths: Vec<usize>,
}

impl Output {
    pub fn new(format: OutputFormat) -> Self {
        Self { format, out: std::io::BufWriter::new(std::io::stdout().lock()), stream: None }
    }

    pub fn format(&self) -> OutputFormat {
        self.format
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::output)
    }

    /// The `items` of a listing.
    pub fn items(&mut self, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Table => {
                let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
                let cells = items
                    .iter()
                    .map(|item| columns.iter().map(|column| cell(item.pointer(column.pointer))).collect())
                    .collect::<Vec<Vec<Cell>>>();
                self.table(&titles, &cells)?;
            }
            OutputFormat::Json => self.text(&(pretty(&Value::Array(items.to_vec())) + "\n"))?,
            OutputFormat::Ndjson => {
                for item in items {
                    self.text(&format!("{item}\n"))?;
                }
            }
            OutputFormat::Yaml => self.yaml(&Value::Array(items.to_vec()))?,
        }
        self.flush()
    }

    /// Resources in the form that `apply` reads: with `-o yaml` documents, apart by `---`.
    pub fn documents(&mut self, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
        if self.format != OutputFormat::Yaml {
            return self.items(items, columns);
        }
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.text("---\n")?;
            }
            self.yaml(item)?;
        }
        self.flush()
    }

    /// Text as it is.
    pub fn plain(&mut self, text: &str) -> Result<(), Failure> {
        self.text(text)?;
        self.flush()
    }

    /// One thing. As a table it is YAML, which reads best for what has depth.
    pub fn item(&mut self, item: &Value) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json => self.text(&(pretty(item) + "\n"))?,
            OutputFormat::Ndjson => self.text(&format!("{item}\n"))?,
            OutputFormat::Table | OutputFormat::Yaml => self.yaml(item)?,
        }
        self.flush()
    }

    fn yaml(&mut self, value: &Value) -> Result<(), Failure> {
        let text = serde_yaml_ng::to_string(value).map_err(|error| Failure::error(format!("no YAML form: {error}")))?;
        self.text(&text)
    }

    /// Rows that are JSON lines already: passed on untouched where the form allows it, so that no digit is lost.
    pub fn rows(&mut self, lines: &[Vec<u8>]) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Ndjson => {
                for line in lines {
                    self.out.write_all(line).map_err(Failure::output)?;
                    self.text("\n")?;
                }
            }
            OutputFormat::Json => {
                self.text("[")?;
                for (index, line) in lines.iter().enumerate() {
                    self.text(if index > 0 { ",\n " } else { "\n " })?;
                    self.out.write_all(line).map_err(Failure::output)?;
                }
                self.text(if lines.is_empty() { "]\n" } else { "\n]\n" })?;
            }
            OutputFormat::Yaml => {
                let values = lines.iter().map(|line| parse_row(line)).collect::<Result<Vec<_>, _>>()?;
                self.yaml(&Value::Array(values))?;
            }
            OutputFormat::Table => {
                let values = lines.iter().map(|line| parse_row(line)).collect::<Result<Vec<_>, _>>()?;
                let titles = titles_of(&values);
                let cells: Vec<Vec<Cell>> =
                    values.iter().map(|row| titles.iter().map(|title| cell(row.get(title))).collect()).collect();
                self.table(&titles, &cells)?;
            }
        }
        self.flush()
    }

    /// A row of a stream that has no end: shown at once.
    pub fn streamed_row(&mut self, line: &[u8]) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json | OutputFormat::Ndjson => {
                self.out.write_all(line).map_err(Failure::output)?;
                self.text("\n")?;
            }
            OutputFormat::Yaml => {
                let row = parse_row(line)?;
                self.text("---\n")?;
                self.yaml(&row)?;
            }
            OutputFormat::Table => self.streamed_table_row(&parse_row(line)?)?,
        }
        self.flush()
    }

    fn streamed_table_row(&mut self, row: &Value) -> Result<(), Failure> {
        let titles = titles_of(std::slice::from_ref(row));
        let cells: Vec<Cell> = titles.iter().map(|title| cell(row.get(title))).collect();
        if self.stream.as_ref().is_none_or(|table| table.titles != titles) {
            let widths: Vec<usize> =
                titles.iter().zip(&cells).map(|(title, cell)| width(title).max(width(&cell.text))).collect();
            let mut line = String::new();
            push_line(&mut line, titles.iter().map(|title| (title.as_str(), false)), &widths);
            self.text(&paint_title(&line))?;
            self.stream = Some(StreamedTable { titles, widths });
        }
        let mut line = String::new();
        if let Some(table) = &mut self.stream {
            for (known, cell) in table.widths.iter_mut().zip(&cells) {
                *known = (*known).max(width(&cell.text));
            }
            push_line(&mut line, cells.iter().map(|cell| (cell.text.as_str(), cell.is_number)), &table.widths);
        }
        self.text(&line)
    }

    fn table(&mut self, titles: &[String], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        if titles.is_empty() {
            return Ok(());
        }
        let widths: Vec<usize> = titles
            .iter()
            .enumerate()
            .map(|(index, title)| rows.iter().map(|row| width(&row[index].text)).max().unwrap_or(0).max(width(title)))
            .collect();
        let is_number: Vec<bool> = (0..titles.len()).map(|index| rows.iter().any(|row| row[index].is_number)).collect();
        let mut line = String::new();
        push_line(&mut line, titles.iter().map(String::as_str).zip(is_number), &widths);
        self.text(&paint_title(&line))?;
        for row in rows {
            line.clear();
            push_line(&mut line, row.iter().map(|cell| (cell.text.as_str(), cell.is_number)), &widths);
            self.text(&line)?;
        }
        Ok(())
    }
}

struct Cell {
    text: String,
    is_number: bool,
}

fn cell(value: Option<&Value>) -> Cell {
    let (text, is_number) = match value {
        None | Some(Value::Null) => ("-".to_owned(), false),
        Some(Value::String(text)) => (text.replace(['\n', '\r', '\t'], " "), false),
        Some(Value::Number(number)) => (number.to_string(), true),
        Some(other) => (other.to_string(), false),
    };
    let text = match text.chars().nth(CELL_CHARS_MAX) {
        None => text,
        Some(_) => text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect(),
    };
    Cell { text, is_number }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn push_line<'a>(line: &mut String, cells: impl Iterator<Item = (&'a str, bool)>, widths: &[usize]) {
    let start = line.len();
    for (index, ((text, is_number), width_wanted)) in cells.zip(widths).enumerate() {
        if index > 0 {
            line.push_str("  ");
        }
        let padding = width_wanted.saturating_sub(width(text));
        if is_number {
            line.extend(std::iter::repeat_n(' ', padding));
            line.push_str(text);
        } else {
            line.push_str(text);
            line.extend(std::iter::repeat_n(' ', padding));
        }
    }
    line.truncate(start + line[start..].trim_end().len());
    line.push('\n');
}

fn titles_of(rows: &[Value]) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !titles.contains(key) {
            titles.push(key.clone());
        }
    }
    titles
}

fn parse_row(line: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(line)
        .map_err(|error| Failure::error(format!("the server sent a row that is no JSON: {error}")))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Something that happened, for the one who watches; never data.
pub fn note(text: impl AsRef<str>) {
    // With stderr gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

fn colours(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub fn paint_error(text: &str) -> String {
    if colours(std::io::stderr().is_terminal()) { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// A line of a unified diff.
pub fn paint_difference(line: &str) -> String {
    let colour = match line.as_bytes().first() {
        _ if !colours(std::io::stdout().is_terminal()) => return line.to_owned(),
        Some(b'+') => "32",
        Some(b'-') => "31",
        Some(b'@') => "36",
        _ => return line.to_owned(),
    };
    format!("\x1b[{colour}m{line}\x1b[0m")
}

fn paint_title(line: &str) -> String {
    if colours(std::io::stdout().is_terminal()) {
        format!("\x1b[1m{}\x1b[0m\n", line.trim_end())
    } else {
        line.to_owned()
    }
}
