//! Rows of tasks as text: JSON, JSON lines, CSV. Must not know where it is written to.
//!
//! JSON rows are those of `task/list`, byte for byte. CSV has a column for each of their members, which
//! are [named](COLUMNS) in their order.

use crate::environment::act::Warning;
use crate::state::observation::seconds::to_micros;
use crate::state::{Place, TaskRow, TimesRow};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One array.
    Json,
    /// One object a line.
    Jsonl,
}

impl Format {
    /// The one that the end of a file's name tells.
    pub fn of(path: &str) -> Option<Format> {
        let extension = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Format::Csv,
            "json" => Format::Json,
            "jsonl" | "ndjson" => Format::Jsonl,
            _ => return None,
        })
    }
}

/// What begins like this may be run by a spreadsheet.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Columns of CSV: the members of a row but for its `key`, which is the `uuid`.
const COLUMNS: [&str; 34] = [
    "uuid",
    "name",
    "state",
    "place",
    "args",
    "kwargs",
    "args_cut",
    "queue",
    "worker",
    "seen",
    "sent",
    "received",
    "started",
    "succeeded",
    "failed",
    "retried",
    "revoked",
    "rejected",
    "finished",
    "eta",
    "expires",
    "runtime",
    "retries",
    "max_retries",
    "progress",
    "result",
    "exception",
    "root_id",
    "parent_id",
    "group_id",
    "ended",
    "orphaned",
    "retry_of",
    "retried_as",
];

/// Rows that are formatted and not taken yet.
#[derive(Debug)]
pub struct Sheet {
    text: Text,
    rows: usize,
    /// Cells of CSV with an apostrophe before what looked like a formula.
    defused: u64,
}

#[derive(Debug)]
enum Text {
    Csv(Box<csv::Writer<Vec<u8>>>),
    Json(Vec<u8>),
    Jsonl(Vec<u8>),
}

impl Sheet {
    /// An empty one, with what stands before the first row.
    pub fn new(format: Format) -> io::Result<Sheet> {
        let text = match format {
            Format::Csv => {
                let mut writer = Box::new(csv::Writer::from_writer(Vec::new()));
                writer.write_record(COLUMNS)?;
                Text::Csv(writer)
            }
            Format::Json => Text::Json(b"[".to_vec()),
            Format::Jsonl => Text::Jsonl(Vec::new()),
        };
        Ok(Sheet { text, rows: 0, defused: 0 })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &TaskRow<'_>) -> io::Result<()> {
        match &mut self.text {
            Text::Csv(writer) => writer
                .write_record(cells(row, &mut self.defused)?.iter().map(|cell| cell.as_bytes()))?,
            Text::Json(text) => {
                text.extend_from_slice(if self.rows == 0 { b"\n" } else { b",\n" });
                serde_json::to_writer(text, row)?;
            }
            Text::Jsonl(text) => {
                serde_json::to_writer(&mut *text, row)?;
                text.push(b'\n');
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that are not taken yet, about.
    pub fn len(&self) -> usize {
        match &self.text {
            Text::Csv(writer) => writer.get_ref().len(),
            Text::Json(text) | Text::Jsonl(text) => text.len(),
        }
    }

    /// Takes what is formatted.
    pub fn take(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.text {
            Text::Csv(writer) => {
                let full = std::mem::replace(&mut **writer, csv::Writer::from_writer(Vec::new()));
                full.into_inner().map_err(csv::IntoInnerError::into_error)
            }
            Text::Json(text) | Text::Jsonl(text) => Ok(std::mem::take(text)),
        }
    }

    /// What stands behind the last row.
    pub fn end(&self) -> &'static [u8] {
        match self.text {
            Text::Json(_) => b"\n]\n",
            Text::Csv(_) | Text::Jsonl(_) => b"",
        }
    }

    /// What should be known of it.
    pub fn warnings(&self) -> Vec<Warning> {
        let text = format!(
            "cells that begin as formulas do, and that a spreadsheet would run: {}. An apostrophe was put \
             before each; `json` and `jsonl` hold them as they are",
            self.defused
        );
        let defused = self.defused > 0;
        defused.then(|| Warning::new("formula", text)).into_iter().collect()
    }
}

/// A row in the order of [`COLUMNS`]; what is absent is empty.
fn cells<'a>(
    row: &'a TaskRow<'_>,
    defused: &mut u64,
) -> serde_json::Result<[Cow<'a, str>; COLUMNS.len()]> {
    // Named one by one: a member that is new has to get a column.
    let TaskRow {
        key: _,
        uuid,
        name,
        state,
        place,
        args,
        kwargs,
        args_cut,
        queue,
        worker,
        seen,
        sent,
        times,
        finished,
        eta,
        expires,
        runtime,
        retries,
        max_retries,
        progress,
        result,
        exception,
        root_id,
        parent_id,
        group_id,
        ended,
        orphaned,
        retry_of,
        retried_as,
    } = row;
    let TimesRow { received, started, succeeded, failed, retried, revoked, rejected } = times;
    let progress = progress.map(serde_json::to_string).transpose()?;
    let orphaned = orphaned.as_ref().map(serde_json::to_string).transpose()?;
    let mut text = |text: Option<&'a str>| defuse(text.unwrap_or_default(), defused);
    Ok([
        text(Some(uuid)),
        text(*name),
        text(Some(state)),
        text(place.map(Place::as_str)),
        text(*args),
        text(*kwargs),
        text(args_cut.then_some("true")),
        text(*queue),
        text(*worker),
        moment(Some(*seen)),
        moment(*sent),
        moment(*received),
        moment(*started),
        moment(*succeeded),
        moment(*failed),
        moment(*retried),
        moment(*revoked),
        moment(*rejected),
        moment(*finished),
        moment(*eta),
        moment(*expires),
        number(*runtime),
        number(*retries),
        number(*max_retries),
        progress.unwrap_or_default().into(),
        text(*result),
        text(*exception),
        text(*root_id),
        text(*parent_id),
        text(*group_id),
        text(*ended),
        orphaned.unwrap_or_default().into(),
        text(*retry_of),
        text(*retried_as),
    ])
}

fn number<'a>(number: Option<impl ToString>) -> Cow<'a, str> {
    number.map(|number| number.to_string()).unwrap_or_default().into()
}

/// A moment of Unix seconds as people and spreadsheets read it: RFC 3339, in UTC.
fn moment<'a>(seconds: Option<f64>) -> Cow<'a, str> {
    let Some(seconds) = seconds else { return "".into() };
    let moment = Timestamp::from_microsecond(to_micros(seconds));
    moment.map_or_else(|_| seconds.to_string(), |moment| moment.to_string()).into()
}

/// Text that no spreadsheet takes for a formula. What is a number stays one.
fn defuse<'a>(text: &'a str, defused: &mut u64) -> Cow<'a, str> {
    let is_number =
        || text.parse::<f64>().is_ok() && text.bytes().any(|byte| byte.is_ascii_digit());
    if !text.starts_with(FORMULA) || is_number() {
        return text.into();
    }
    *defused += 1;
    format!("'{text}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_members_of_a_row() {
        let schema = schemars::schema_for!(TaskRow);
        let members = schema.get("properties").unwrap().as_object().unwrap();
        let members: Vec<_> = members.keys().filter(|name| *name != "key").collect();
        let mut columns = COLUMNS.to_vec();
        columns.sort_by_key(|name| members.iter().position(|member| member == name));
        assert_eq!(columns, members);
    }

    #[test]
    fn the_end_of_a_name_tells_the_format() {
        for (path, format) in [
            ("tasks.csv", Some(Format::Csv)),
            ("/a.b/TASKS.JSON", Some(Format::Json)),
            ("t.jsonl", Some(Format::Jsonl)),
            ("t.ndjson", Some(Format::Jsonl)),
            ("tasks.txt", None),
            ("csv", None),
            (".csv", None),
        ] {
            assert_eq!(Format::of(path), format, "{path}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("＝1", "'＝1"),
            ("-", "'-"),
            ("-inf", "'-inf"),
            ("-5", "-5"),
            ("+1.5e3", "+1.5e3"),
            ("(42, '=1')", "(42, '=1')"),
            ("", ""),
        ] {
            let mut defused = 0;
            assert_eq!(defuse(text, &mut defused), written);
            assert_eq!(defused, u64::from(text != written), "{text}");
        }
    }

    #[test]
    fn a_moment_is_text_and_its_very_microsecond() {
        assert_eq!(moment(Some(1_795_907_285.224_876)), "2026-11-28T23:08:05.224876Z");
        assert_eq!(moment(Some(0.0)), "1970-01-01T00:00:00Z");
        assert_eq!(moment(Some(1e18)), "1000000000000000000", "no year has it");
        assert_eq!(moment(None), "");
    }

    #[test]
    fn a_table_without_rows_is_one() {
        for (format, text) in [
            (Format::Json, "[\n]\n".to_owned()),
            (Format::Jsonl, String::new()),
            (Format::Csv, COLUMNS.join(",") + "\n"),
        ] {
            let mut sheet = Sheet::new(format).unwrap();
            let mut written = sheet.take().unwrap();
            written.extend_from_slice(sheet.end());
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
    }
}
