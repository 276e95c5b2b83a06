//! The events table on disk while it grows: readable at any instant, and few files in the end.
//!
//! What came in is written as a small file every [`PERIOD`]. When there are many of those, or much in them, they are
//! written anew as one file. The manifest decides which files count: it is replaced after the new file is on disk and
//! before the old ones go, so that whoever reads after a crash finds every event once.

use crate::case::CaseFolder;
use crate::error::{Error, Result};
use crate::tables::Table;
use argus_schemas::case::CaseLayout;
use argus_schemas::events::Event;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use std::time::{Duration, Instant};

/// How often what came in is written: a killed capture loses no more than this, and the time it takes to write it.
pub const PERIOD: Duration = Duration::from_millis(500);

/// A segment is closed when it has this many rows: about 1 MB on disk, and 20 MB in memory until then at worst. As many
/// more may have come in meanwhile.
const SEGMENT_ROWS: usize = 65_536;

/// Or when so many came at once: in a flood nothing is written twice.
const FLOOD_ROWS: usize = SEGMENT_ROWS / 2;

/// Or when it is this old: ten hours of little work are 60 files.
const SEGMENT_AGE: Duration = Duration::from_secs(600);

/// So many small files, and they become one.
const PIECES: usize = 40;

/// The events of a case.
pub struct Segments {
    /// Rows that are on no disk yet.
    table: Table,
    written: Instant,
    /// The segment that is still growing: what is in it, the files that hold it, when it began.
    batches: Vec<RecordBatch>,
    rows: usize,
    pieces: Vec<String>,
    began: Instant,
    number: u32,
    /// Rows of the growing segment that could not be written. All of it is tried again each time.
    unwritten: usize,
    /// Rows that were given up, because keeping them would have cost too much memory.
    dropped: u64,
}

impl Segments {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            table: Table::events(),
            written: Instant::now(),
            batches: Vec::new(),
            rows: 0,
            pieces: Vec::new(),
            began: Instant::now(),
            number: 0,
            unwritten: 0,
            dropped: 0,
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event) {
        self.table.push_event(event);
    }

    /// Rows that are on no disk although they should be: given up, or still tried.
    pub fn missing(&self) -> u64 {
        self.dropped + self.unwritten as u64
    }

    /// Whether it is time to write.
    pub fn is_due(&self) -> bool {
        let waits = self.table.rows() > 0 || self.unwritten > 0;
        self.table.rows() >= SEGMENT_ROWS || (waits && self.written.elapsed() >= PERIOD)
    }

    /// Writes what came in, and the manifest; `last`: nothing more will come. What cannot be written is tried again
    /// the next time, as long as it is not too much.
    pub fn write(&mut self, case: &mut CaseFolder, last: bool) -> Result<()> {
        self.written = Instant::now();
        let fresh = self.table.rows() > 0;
        if fresh {
            let batch = self.table.take()?;
            self.rows += batch.num_rows();
            self.unwritten += batch.num_rows();
            self.batches.push(batch);
        }
        let outcome = self.write_batches(case, fresh, last);
        if outcome.is_err() && self.unwritten >= SEGMENT_ROWS {
            self.dropped += self.unwritten as u64;
            (self.batches, self.rows, self.unwritten) = (Vec::new(), 0, 0);
            self.pieces.clear();
        }
        outcome
    }

    fn write_batches(&mut self, case: &mut CaseFolder, fresh: bool, last: bool) -> Result<()> {
        let just_come = self.batches.last().filter(|_| fresh).map_or(0, RecordBatch::num_rows);
        let many = self.rows >= SEGMENT_ROWS || just_come >= FLOOD_ROWS;
        let closes = last || many || self.began.elapsed() >= SEGMENT_AGE;
        let again = self.unwritten > just_come;
        let whole = closes || again || self.pieces.len() >= PIECES;
        if self.rows == 0 || !(fresh || whole) {
            return Ok(());
        }
        self.number += 1;
        let name = CaseLayout::segment("events", self.number);
        if whole && !closes && self.batches.len() > 1 {
            // A batch of a few rows takes the memory of a thousand; one of all of them does not.
            let schema = self.batches[0].schema();
            let all = concat_batches(&schema, &self.batches).map_err(|source| Error::Columns { source })?;
            self.batches = vec![all];
        }
        let part = if whole { &self.batches[..] } else { &self.batches[self.batches.len() - 1..] };
        let rows = case.write_table(part, &name)?;
        let replaced = if whole { self.pieces.clone() } else { Vec::new() };
        let before = case.manifest.files.clone();
        if let Err(error) = case.replace_files(&replaced, &name, rows).and_then(|()| case.write_manifest()) {
            case.manifest.files = before;
            // Not in the manifest, it would only be in the way.
            case.remove_files(&[name]);
            return Err(error);
        }
        case.remove_files(&replaced);
        self.unwritten = 0;
        if whole {
            self.pieces.clear();
        }
        if closes {
            (self.batches, self.rows, self.began) = (Vec::new(), 0, Instant::now());
        } else if let Some(entry) = case.manifest.files.last() {
            self.pieces.push(entry.path.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::tests::manifest;
    use argus_schemas::events::Kind;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    /// Rows of all files that the manifest on disk names; and how many files there are.
    fn on_disk(case: &CaseFolder) -> (u64, usize) {
        let text = std::fs::read(case.layout.manifest()).unwrap();
        let manifest: argus_schemas::manifest::Manifest = serde_json::from_slice(&text).unwrap();
        let mut rows = 0;
        for entry in &manifest.files {
            let file = std::fs::File::open(case.layout.root().join(&entry.path)).unwrap();
            let found: usize = ParquetRecordBatchReaderBuilder::try_new(file)
                .unwrap()
                .build()
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum();
            assert_eq!(entry.rows, Some(found as u64));
            rows += found as u64;
        }
        assert_eq!(std::fs::read_dir(case.layout.events()).unwrap().count(), manifest.files.len());
        (rows, manifest.files.len())
    }

    #[test]
    fn every_event_is_on_disk_once_and_files_stay_few() {
        let folder = std::env::temp_dir().join(format!("argus-segments-{}", std::process::id()));
        let mut case = CaseFolder::create(&folder.join("x.argus"), manifest(), None).unwrap();
        let mut segments = Segments::new();
        let mut written = 0;
        let mut most = 0;
        for round in 0..100u64 {
            for _ in 0..=round % 3 {
                written += 1;
                segments.push(&Event { event_id: written, kind: Some(Kind::Open), ..Event::default() });
            }
            segments.write(&mut case, false).unwrap();
            let (rows, files) = on_disk(&case);
            assert_eq!(rows, written);
            most = most.max(files);
        }
        assert!(most <= PIECES + 1, "{most} files");
        segments.write(&mut case, true).unwrap();
        assert_eq!(on_disk(&case), (written, 1));
        segments.write(&mut case, true).unwrap();
        assert_eq!(on_disk(&case), (written, 1), "nothing more is nothing more to write");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
