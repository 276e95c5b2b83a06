//! The events table of a case, row by row: for columns that no report shows.

use argus_schemas::case::CaseLayout;
use argus_schemas::events::{Event, Kind};
use argus_schemas::spans::Span;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Int32Type, Int64Type, Schema, UInt16Type, UInt32Type, UInt64Type,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One batch of a file.
struct Rows(RecordBatch);

impl Rows {
    fn column(&self, name: &str) -> &dyn Array {
        &**self.0.column_by_name(name).unwrap_or_else(|| panic!("there is no column {name}"))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str, row: usize) -> Option<T::Native> {
        let column = self.column(name).as_primitive::<T>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.column(name).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    fn texts(&self, name: &str, row: usize) -> Option<Vec<String>> {
        let column = self.column(name).as_list::<i32>();
        let texts = |list: &dyn Array| list.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        column.is_valid(row).then(|| texts(&*column.value(row)))
    }

    fn origin(&self, name: &str, row: usize) -> Option<&'static str> {
        self.text(name, row).map(|text| if text == "kernel" { "kernel" } else { "argument" })
    }

    fn event(&self, row: usize) -> Event {
        Event {
            event_id: self.number::<UInt64Type>("event_id", row).unwrap_or_default(),
            boot_ns: self.number::<UInt64Type>("boot_ns", row).unwrap_or_default(),
            cpu: self.number::<UInt16Type>("cpu", row).unwrap_or_default(),
            kind: self.text("kind", row).and_then(|text| Kind::from_text(&text)),
            pid: self.number::<Int32Type>("pid", row).unwrap_or_default(),
            tid: self.number::<Int32Type>("tid", row).unwrap_or_default(),
            start_ns: self.number::<UInt64Type>("start_ns", row).unwrap_or_default(),
            mnt_ns: self.number::<UInt32Type>("mnt_ns", row),
            ret: self.number::<Int64Type>("ret", row),
            path: self.text("path", row),
            path2: self.text("path2", row),
            path_from: self.origin("path_from", row),
            dev: self.number::<UInt64Type>("dev", row),
            inode: self.number::<UInt64Type>("inode", row),
            flags: self.number::<UInt64Type>("flags", row),
            mode: self.number::<UInt32Type>("mode", row),
            family: self.text("family", row),
            proto: self.text("proto", row),
            local_port: self.number::<UInt16Type>("local_port", row),
            socket: self.number::<UInt64Type>("socket", row),
            remote_addr: self.text("remote_addr", row),
            remote_port: self.number::<UInt16Type>("remote_port", row),
            addr_from: self.origin("addr_from", row),
            bytes_out: self.number::<UInt64Type>("bytes_out", row),
            bytes_in: self.number::<UInt64Type>("bytes_in", row),
            exe: self.text("exe", row),
            argv: self.texts("argv", row),
            child_pid: self.number::<Int32Type>("child_pid", row),
            child_start_ns: self.number::<UInt64Type>("child_start_ns", row),
            signal: self.number::<Int32Type>("signal", row),
            target_pid: self.number::<Int32Type>("target_pid", row),
            capabilities: self.number::<UInt64Type>("capabilities", row),
            path_later: self.text("path_later", row),
            count: self.number::<UInt32Type>("count", row),
            missing: self.texts("missing", row).unwrap_or_default(),
            net_ns: self.number::<UInt32Type>("net_ns", row),
            ..Event::default()
        }
    }
}

/// The rows of every file.
fn rows(files: impl Iterator<Item = PathBuf>) -> Vec<Rows> {
    let mut all = Vec::new();
    for file in files {
        let file = File::open(file).expect("it can be read");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
        all.extend(reader.expect("it is Parquet").map(|batch| plain(&batch.expect("its pages can be read"))));
    }
    all
}

fn files_of(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten();
    let parquet = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "parquet");
    files.map(|entry| entry.expect("it can be read").path()).filter(parquet)
}

/// The texts of a table as they are read here: those that the analyser writes are laid out another way than the capture's.
fn plain(batch: &RecordBatch) -> Rows {
    let other = |kind: &DataType| matches!(kind, DataType::Utf8View | DataType::LargeUtf8 | DataType::LargeList(_));
    if !batch.columns().iter().any(|column| other(column.data_type())) {
        return Rows(batch.clone());
    }
    let list = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => cast(column, &DataType::Utf8).expect("a text is a text"),
        DataType::LargeList(_) => cast(column, &list()).expect("a list of texts"),
        _ => Arc::clone(column),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let schema = batch.schema();
    let named = schema.fields().iter().zip(&columns);
    let fields: Vec<Field> =
        named.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true)).collect();
    Rows(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length"))
}

/// Every event of a case, in order of time.
///
/// # Panics
/// If the case cannot be read.
pub fn events(case: &Path) -> Vec<Event> {
    let rows = rows(files_of(&CaseLayout::new(case).events()));
    let mut all: Vec<Event> = rows.iter().flat_map(|rows| (0..rows.0.num_rows()).map(|row| rows.event(row))).collect();
    all.sort_by_key(|event| (event.boot_ns, event.event_id));
    all
}

/// Writes the events of a case anew, without those that are not kept.
///
/// # Panics
/// If that fails.
pub fn rewrite(case: &Path, keep: impl Fn(u64) -> bool) {
    for path in files_of(&CaseLayout::new(case).events()) {
        let batches = rows(std::iter::once(path.clone()));
        let Some(first) = batches.first() else { continue };
        let file = File::create(&path).expect("it can be written");
        let mut writer = ArrowWriter::try_new(file, first.0.schema(), None).expect("it was written with this schema");
        for batch in &batches {
            let ids = (0..batch.0.num_rows()).map(|row| batch.number::<UInt64Type>("event_id", row));
            let kept: BooleanArray = ids.map(|id| Some(id.is_some_and(&keep))).collect();
            let batch = filter_record_batch(&batch.0, &kept).expect("one truth value for each row");
            writer.write(&batch).expect("it can be written");
        }
        writer.close().expect("it can be written");
    }
}

/// How many rows a table of a case has.
///
/// # Panics
/// If it cannot be read.
pub fn rows_of(case: &Path, table: &str) -> u64 {
    rows(std::iter::once(case.join(table))).iter().map(|rows| rows.0.num_rows() as u64).sum()
}

/// Every span of a case: what it is, when it was open, and who said so.
///
/// # Panics
/// If the case cannot be read.
pub fn spans(case: &Path) -> Vec<Span> {
    let rows = rows(files_of(&CaseLayout::new(case).spans()));
    let span = |rows: &Rows, row| Span {
        span_id: rows.text("span_id", row).unwrap_or_default(),
        kind: rows.text("kind", row).unwrap_or_default(),
        name: rows.text("name", row).unwrap_or_default(),
        start_boot_ns: rows.number::<UInt64Type>("start_boot_ns", row).unwrap_or_default(),
        end_boot_ns: rows.number::<UInt64Type>("end_boot_ns", row),
        author_pid: rows.number::<Int32Type>("author_pid", row),
        ..Span::default()
    };
    rows.iter().flat_map(|rows| (0..rows.0.num_rows()).map(|row| span(rows, row))).collect()
}

/// A row of the verdict table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// The span that owns the event.
    pub owner: Option<String>,
    /// `attributed`, ...
    pub verdict: String,
    /// What that rests on.
    pub basis: Option<String>,
    /// The spans between which it is not decided.
    pub candidates: Vec<String>,
}

/// By event.
pub type Verdicts = BTreeMap<u64, Ruling>;

/// The verdicts that `argus-analyze attribute` wrote to a file.
///
/// # Panics
/// If it cannot be read.
pub fn verdicts(file: &Path) -> Verdicts {
    let rows = rows(std::iter::once(file.to_owned()));
    let verdict = |rows: &Rows, row| {
        let id = rows.number::<UInt64Type>("event_id", row).expect("every row has one");
        let ruling = Ruling {
            owner: rows.text("owner", row),
            verdict: rows.text("verdict", row).expect("every row has one"),
            basis: rows.text("basis", row),
            candidates: rows.texts("candidates", row).unwrap_or_default(),
        };
        (id, ruling)
    };
    rows.iter().flat_map(|rows| (0..rows.0.num_rows()).map(|row| verdict(rows, row))).collect()
}
