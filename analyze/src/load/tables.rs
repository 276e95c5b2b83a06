//! Parquet files to frames and rows, with the contract's columns whatever the file lacks.

use crate::error::{Error, Result};
use argus_schemas::events::{self, Column, ColumnType, Kind};
use argus_schemas::spans::{self, Mark, Span};
use polars::io::HiveOptions;
use polars::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::U16 => DataType::UInt16,
        ColumnType::U32 => DataType::UInt32,
        ColumnType::U64 => DataType::UInt64,
        ColumnType::I32 => DataType::Int32,
        ColumnType::I64 => DataType::Int64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => DataType::String,
        ColumnType::TextList => DataType::List(Box::new(DataType::String)),
    }
}

fn refuse(path: &Path) -> impl Fn(String) -> Error + '_ {
    move |reason| Error::Table { path: path.to_owned(), reason }
}

/// The file's own schema and number of rows, from its footer.
fn footer(path: &Path) -> Result<(Schema, u64)> {
    let refuse = refuse(path);
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut reader = ParquetReader::new(file);
    let schema = reader.schema().map_err(|error| refuse(error.to_string()))?;
    let rows = reader.num_rows().map_err(|error| refuse(error.to_string()))?;
    Ok((Schema::from_arrow_schema(schema.as_ref()), rows as u64))
}

/// The rows of a table, by its footer.
///
/// # Errors
/// When it is no Parquet file.
pub fn rows_of(path: &Path) -> Result<u64> {
    footer(path).map(|(_, rows)| rows)
}

/// Compares a file's schema with the contract, and says how to select every column of it.
fn selection(path: &Path, found: &Schema, columns: &[Column]) -> Result<Vec<Expr>> {
    columns
        .iter()
        .map(|column| {
            let wanted = data_type(column.kind);
            match found.get(column.name) {
                Some(kind) if *kind == wanted => Ok(col(column.name)),
                Some(kind) => Err(refuse(path)(format!("column {} is {kind}, not {wanted}", column.name))),
                None if column.nullable => Ok(lit(NULL).cast(wanted).alias(column.name)),
                None => Err(refuse(path)(format!("column {} is missing", column.name))),
            }
        })
        .collect()
}

fn scan(path: &Path, columns: &[Column]) -> Result<(LazyFrame, u64)> {
    let (schema, rows) = footer(path)?;
    let select = selection(path, &schema, columns)?;
    // Whoever names a case may use any character: a path is this one file, and neither a pattern nor another machine's,
    // and no folder of it (`pid=7`) names a column.
    let location = std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let location = PlRefPath::try_from_path(&location).map_err(|error| refuse(path)(error.to_string()))?;
    let only_this =
        ScanArgsParquet { glob: false, hive_options: HiveOptions::new_disabled(), ..ScanArgsParquet::default() };
    Ok((LazyFrame::scan_parquet(location, only_this)?.select(select), rows))
}

fn empty(columns: &[Column]) -> LazyFrame {
    let schema: Schema = columns.iter().map(|column| Field::new(column.name.into(), data_type(column.kind))).collect();
    DataFrame::empty_with_schema(&schema).lazy()
}

/// One segment of events.
pub struct Segment {
    /// Every column of the events table.
    pub frame: LazyFrame,
    /// Its rows.
    pub rows: u64,
    /// The last instant in it; `None`: it is empty.
    pub last_ns: Option<u64>,
    /// The first instant of what was recorded at once, and not folded or counted over a time.
    pub first_ns: Option<u64>,
}

/// Reads one segment of events.
///
/// # Errors
/// When it is not readable Parquet ([`Error::Table`]), or lacks what the contract asks for.
pub fn segment(path: &Path) -> Result<Segment> {
    let (frame, rows) = scan(path, events::COLUMNS)?;
    let at_once = col("last_ns").is_null().and(col("kind").neq(lit(Kind::Close.as_str())));
    // A footer says nothing of the pages before it: reading some columns through finds a damaged file here, where it can
    // be named, and not in a query over all of them.
    let read = frame
        .clone()
        .select([
            col("boot_ns").max().alias("boot"),
            col("last_ns").max().alias("last"),
            col("boot_ns").filter(at_once).min().alias("first"),
            col("path").count().alias("paths"),
        ])
        .collect()
        .map_err(|error| refuse(path)(error.to_string()))?;
    let instant = |name: &str| -> Result<Option<u64>> { Ok(read.column(name)?.u64()?.get(0)) };
    Ok(Segment { rows, last_ns: instant("boot")?.max(instant("last")?), first_ns: instant("first")?, frame })
}

/// All segments as one frame.
///
/// # Errors
/// What polars fails with.
pub fn events(segments: Vec<LazyFrame>) -> Result<LazyFrame> {
    if segments.is_empty() {
        return Ok(empty(events::COLUMNS));
    }
    Ok(concat(segments, UnionArgs::default())?)
}

/// The first and the last id of the events in a file; `None` where it is no table of events, or holds none.
pub fn ids_in(path: &Path) -> Option<(u64, u64)> {
    let (frame, _) = scan(path, events::COLUMNS).ok()?;
    let ids =
        frame.select([col("event_id").min().alias("first"), col("event_id").max().alias("last")]).collect().ok()?;
    Some((ids.column("first").ok()?.u64().ok()?.get(0)?, ids.column("last").ok()?.u64().ok()?.get(0)?))
}

struct Rows {
    frame: DataFrame,
}

impl Rows {
    fn text(&self, name: &str, row: usize) -> Option<String> {
        self.frame.column(name).ok()?.str().ok()?.get(row).map(str::to_owned)
    }
    fn u64(&self, name: &str, row: usize) -> Option<u64> {
        self.frame.column(name).ok()?.u64().ok()?.get(row)
    }
    fn i32(&self, name: &str, row: usize) -> Option<i32> {
        self.frame.column(name).ok()?.i32().ok()?.get(row)
    }
    fn u32(&self, name: &str, row: usize) -> Option<u32> {
        self.frame.column(name).ok()?.u32().ok()?.get(row)
    }
}

fn rows<T>(paths: &[PathBuf], columns: &[Column], read: impl Fn(&Rows, usize) -> T) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for path in paths {
        let (frame, _) = scan(path, columns)?;
        let rows = Rows { frame: frame.collect().map_err(|error| refuse(path)(error.to_string()))? };
        all.extend((0..rows.frame.height()).map(|row| read(&rows, row)));
    }
    Ok(all)
}

/// The spans of all files.
pub fn spans(paths: &[PathBuf]) -> Result<Vec<Span>> {
    rows(paths, spans::COLUMNS, |rows, row| Span {
        span_id: rows.text("span_id", row).unwrap_or_default(),
        trace_id: rows.text("trace_id", row),
        parent_id: rows.text("parent_id", row),
        call_id: rows.text("call_id", row),
        session: rows.text("session", row),
        kind: rows.text("kind", row).unwrap_or_default(),
        name: rows.text("name", row).unwrap_or_default(),
        pid: rows.i32("pid", row),
        tid: rows.i32("tid", row),
        start_boot_ns: rows.u64("start_boot_ns", row).unwrap_or_default(),
        end_boot_ns: rows.u64("end_boot_ns", row),
        start_err_ns: rows.u64("start_err_ns", row).unwrap_or_default(),
        end_err_ns: rows.u64("end_err_ns", row).unwrap_or_default(),
        status: rows.text("status", row),
        args: rows.text("args", row),
        result: rows.text("result", row),
        declares: rows.text("declares", row),
        source: rows.text("source", row).unwrap_or_default(),
        author_pid: rows.i32("author_pid", row),
        author_uid: rows.u32("author_uid", row),
        received_boot_ns: rows.u64("received_boot_ns", row),
        for_pid: rows.i32("for_pid", row),
        end_author_pid: rows.i32("end_author_pid", row),
        author_address: rows.text("author_address", row).and_then(|address| address.parse().ok()),
        end_received_boot_ns: rows.u64("end_received_boot_ns", row),
    })
}

/// The marks of all files.
pub fn marks(paths: &[PathBuf]) -> Result<Vec<Mark>> {
    rows(paths, spans::MARK_COLUMNS, |rows, row| Mark {
        pid: rows.i32("pid", row),
        tid: rows.i32("tid", row).unwrap_or_default(),
        span_id: rows.text("span_id", row),
        boot_ns: rows.u64("boot_ns", row).unwrap_or_default(),
        author_pid: rows.i32("author_pid", row),
        author_uid: rows.u32("author_uid", row),
        how: rows.text("how", row),
    })
}
