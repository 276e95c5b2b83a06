//! The events table of a case, row by row: for columns that no report shows.

use argus_schemas::case::CaseLayout;
use argus_schemas::events::{Event, Kind};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type, UInt16Type, UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;

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
            remote_addr: self.text("remote_addr", row),
            remote_port: self.number::<UInt16Type>("remote_port", row),
            addr_from: self.origin("addr_from", row),
            bytes_out: self.number::<UInt64Type>("bytes_out", row),
            bytes_in: self.number::<UInt64Type>("bytes_in", row),
            exe: self.text("exe", row),
            argv: self.texts("argv", row),
            child_pid: self.number::<Int32Type>("child_pid", row),
            signal: self.number::<Int32Type>("signal", row),
            target_pid: self.number::<Int32Type>("target_pid", row),
            capabilities: self.number::<UInt64Type>("capabilities", row),
            path_later: self.text("path_later", row),
            count: self.number::<UInt32Type>("count", row),
            missing: self.texts("missing", row).unwrap_or_default(),
            ..Event::default()
        }
    }
}

/// Every event of a case, in order of time.
///
/// # Panics
/// If the case cannot be read.
pub fn events(case: &Path) -> Vec<Event> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(CaseLayout::new(case).events()).expect("the case has events") {
        let file = File::open(entry.expect("it can be read").path()).expect("it can be read");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
        for batch in reader.expect("it is Parquet") {
            let rows = Rows(batch.expect("its pages can be read"));
            all.extend((0..rows.0.num_rows()).map(|row| rows.event(row)));
        }
    }
    all.sort_by_key(|event| (event.boot_ns, event.event_id));
    all
}
