//! Rows to Parquet. The columns are those of the contract, in its order; a test reads them back.

use crate::error::{Error, Result};
use argus_schemas::events::{self, Column, ColumnType, Event};
use argus_schemas::spans::{self, Mark, Span};
use arrow::array::{
    ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::sync::Arc;

/// One value on its way into a column.
enum Cell<'a> {
    U16(Option<u16>),
    U32(Option<u32>),
    U64(Option<u64>),
    I32(Option<i32>),
    I64(Option<i64>),
    Bool(Option<bool>),
    Text(Option<&'a str>),
    Texts(Option<&'a [String]>),
}

enum Builder {
    U16(UInt16Builder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Texts(ListBuilder<StringBuilder>),
}

impl Builder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::U16 => Builder::U16(UInt16Builder::new()),
            ColumnType::U32 => Builder::U32(UInt32Builder::new()),
            ColumnType::U64 => Builder::U64(UInt64Builder::new()),
            ColumnType::I32 => Builder::I32(Int32Builder::new()),
            ColumnType::I64 => Builder::I64(Int64Builder::new()),
            ColumnType::Bool => Builder::Bool(BooleanBuilder::new()),
            ColumnType::Text => Builder::Text(StringBuilder::new()),
            ColumnType::TextList => Builder::Texts(ListBuilder::new(StringBuilder::new())),
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Builder::U16(builder), Cell::U16(value)) => builder.append_option(value),
            (Builder::U32(builder), Cell::U32(value)) => builder.append_option(value),
            (Builder::U64(builder), Cell::U64(value)) => builder.append_option(value),
            (Builder::I32(builder), Cell::I32(value)) => builder.append_option(value),
            (Builder::I64(builder), Cell::I64(value)) => builder.append_option(value),
            (Builder::Bool(builder), Cell::Bool(value)) => builder.append_option(value),
            (Builder::Text(builder), Cell::Text(value)) => builder.append_option(value),
            (Builder::Texts(builder), Cell::Texts(value)) => {
                for text in value.unwrap_or_default() {
                    builder.values().append_value(text);
                }
                builder.append(value.is_some());
            }
            _ => unreachable!("row and column list are in the same order; a test reads every column back"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::U16(builder) => Arc::new(builder.finish()),
            Builder::U32(builder) => Arc::new(builder.finish()),
            Builder::U64(builder) => Arc::new(builder.finish()),
            Builder::I32(builder) => Arc::new(builder.finish()),
            Builder::I64(builder) => Arc::new(builder.finish()),
            Builder::Bool(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Texts(builder) => Arc::new(builder.finish()),
        }
    }
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::U16 => DataType::UInt16,
        ColumnType::U32 => DataType::UInt32,
        ColumnType::U64 => DataType::UInt64,
        ColumnType::I32 => DataType::Int32,
        ColumnType::I64 => DataType::Int64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => DataType::Utf8,
        ColumnType::TextList => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
    }
}

/// Rows of one table, gathered until they are written.
pub struct Table {
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    rows: usize,
}

impl Table {
    fn new(columns: &[Column]) -> Self {
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(column.name, data_type(column.kind), column.nullable)).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            builders: columns.iter().map(|column| Builder::new(column.kind)).collect(),
            rows: 0,
        }
    }

    /// An empty events table.
    pub fn events() -> Self {
        Self::new(events::COLUMNS)
    }

    /// How many rows wait.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn push_row<const CELLS: usize>(&mut self, cells: [Cell<'_>; CELLS]) {
        debug_assert_eq!(CELLS, self.builders.len());
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            builder.push(cell);
        }
        self.rows += 1;
    }

    /// Appends one event.
    pub fn push_event(&mut self, e: &Event) {
        use Cell::{Bool, I32, I64, Text, Texts, U16, U32, U64};
        self.push_row([
            U64(Some(e.event_id)),
            U64(Some(e.boot_ns)),
            U16(Some(e.cpu)),
            U64(Some(e.cpu_seq)),
            Text(Some(e.kind.map_or("", |kind| kind.as_str()))),
            I32(Some(e.pid)),
            I32(Some(e.tid)),
            U64(Some(e.start_ns)),
            I32(e.ns_pid),
            U32(e.uid),
            U32(e.gid),
            U64(e.cgroup_id),
            U32(e.mnt_ns),
            Text(e.comm.as_deref()),
            I64(e.ret),
            Text(e.path.as_deref()),
            Text(e.path2.as_deref()),
            Text(e.path_from),
            U64(e.dev),
            U64(e.inode),
            U64(e.flags),
            U32(e.mode),
            Text(e.family.as_deref()),
            Text(e.proto.as_deref()),
            Text(e.local_addr.as_deref()),
            U16(e.local_port),
            Text(e.remote_addr.as_deref()),
            U16(e.remote_port),
            Text(e.addr_from),
            Text(e.host.as_deref()),
            U64(e.bytes_out),
            U64(e.bytes_in),
            Text(e.exe.as_deref()),
            Texts(e.argv.as_deref()),
            Text(e.cwd.as_deref()),
            Text(e.traceparent.as_deref()),
            Bool(e.capture_named),
            I32(e.child_pid),
            I32(e.child_tid),
            U64(e.child_start_ns),
            U64(e.clone_flags),
            I32(e.exit_code),
            I32(e.signal),
            Text(e.path_later.as_deref()),
            U64(e.socket),
            I32(e.target_pid),
            U64(e.target_start_ns),
            U32(e.euid),
            U64(e.capabilities),
            Texts(e.answers.as_deref()),
            U32(e.count),
            U64(e.last_ns),
            Texts((!e.missing.is_empty()).then_some(e.missing.as_slice())),
            U32(e.net_ns),
            I32(e.child_ns_tid),
        ]);
    }

    /// The spans table.
    pub fn of_spans(rows: &[Span]) -> Self {
        use Cell::{I32, Text, U32, U64};
        let mut table = Self::new(spans::COLUMNS);
        for s in rows {
            let author_address = s.author_address.map(|address| address.to_string());
            table.push_row([
                Text(Some(&s.span_id)),
                Text(s.trace_id.as_deref()),
                Text(s.parent_id.as_deref()),
                Text(s.call_id.as_deref()),
                Text(s.session.as_deref()),
                Text(Some(&s.kind)),
                Text(Some(&s.name)),
                I32(s.pid),
                I32(s.tid),
                U64(Some(s.start_boot_ns)),
                U64(s.end_boot_ns),
                U64(Some(s.start_err_ns)),
                U64(Some(s.end_err_ns)),
                Text(s.status.as_deref()),
                Text(s.args.as_deref()),
                Text(s.result.as_deref()),
                Text(s.declares.as_deref()),
                Text(Some(&s.source)),
                I32(s.author_pid),
                U32(s.author_uid),
                U64(s.received_boot_ns),
                I32(s.for_pid),
                I32(s.end_author_pid),
                Text(author_address.as_deref()),
                U64(s.end_received_boot_ns),
            ]);
        }
        table
    }

    /// The marks table.
    pub fn of_marks(rows: &[Mark]) -> Self {
        use Cell::{I32, Text, U32, U64};
        let mut table = Self::new(spans::MARK_COLUMNS);
        for m in rows {
            table.push_row([
                I32(m.pid),
                I32(Some(m.tid)),
                Text(m.span_id.as_deref()),
                U64(Some(m.boot_ns)),
                I32(m.author_pid),
                U32(m.author_uid),
                Text(m.how.as_deref()),
            ]);
        }
        table
    }

    /// Takes the rows out.
    pub fn take(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|source| Error::Columns { source })
    }
}

/// Writes batches of one table into an empty file, and returns how many rows that are.
pub fn write(batches: &[RecordBatch], file: File) -> std::result::Result<u64, ParquetError> {
    let Some(first) = batches.first() else { return Ok(0) };
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argus_schemas::events::Kind;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn every_column_of_the_contract_is_written_in_its_place() {
        let folder = std::env::temp_dir().join(format!("argus-tables-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("t.parquet");
        let mut table = Table::events();
        for kind in Kind::ALL {
            table.push_event(&Event {
                event_id: kind as u64,
                kind: Some(kind),
                path: Some("/a\nb".to_owned()),
                argv: Some(vec![String::new(), "x".to_owned()]),
                missing: vec!["path:truncated".to_owned()],
                ..Event::default()
            });
        }
        assert_eq!(write(&[table.take().unwrap()], File::create(&path).unwrap()).unwrap(), Kind::ALL.len() as u64);
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, events::COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>());
        let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, Kind::ALL.len());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn empty_tables_are_tables_too() {
        let folder = std::env::temp_dir().join(format!("argus-empty-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (mut table, name) in [(Table::of_spans(&[]), "s.parquet"), (Table::of_marks(&[]), "m.parquet")] {
            assert_eq!(write(&[table.take().unwrap()], File::create(folder.join(name)).unwrap()).unwrap(), 0);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
