//! Tables whose rows contradict each other: a column here and there has other rows' values, so that forks run in circles or come
//! out of order, exits come before forks, two processes share a key, spans end before they start. The analyser answers, on one
//! thread as on many.

use argus_tests::{Scratch, analyze, analyze_on_one_thread, copy_folder, files_beneath, sample_cases, shown};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// How many broken cases are made of each sample.
const SEEDS: u64 = 24;

/// A small generator of random numbers: the same seed gives the same case everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Some rows of some columns get the values of other rows, or of their neighbours.
fn mutate(table: &RecordBatch, random: &mut Random) -> RecordBatch {
    let rows = table.num_rows();
    let mut columns: Vec<ArrayRef> = table.columns().to_vec();
    for _ in 0..1 + random.below(6) {
        let which = random.below(columns.len());
        let mut from: Vec<u32> = (0..rows as u32).collect();
        match random.below(3) {
            // All rows are another's by so much.
            0 => from.rotate_left(random.below(rows)),
            1 => from.reverse(),
            _ => (0..1 + random.below(rows / 4 + 1)).for_each(|_| from[random.below(rows)] = random.below(rows) as u32),
        }
        let mixed = take(&columns[which], &UInt32Array::from(from), None).expect("rows of the table");
        columns[which] = mixed;
    }
    RecordBatch::try_new(table.schema(), columns).unwrap_or_else(|_| table.clone())
}

fn mutate_file(path: &Path, random: &mut Random) {
    let file = File::open(path).expect("it can be opened");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).expect("Parquet");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("its pages can be read")).collect();
    let Some(first) = batches.first() else { return };
    let table = mutate(&concat_batches(&first.schema(), &batches).expect("batches of one schema"), random);
    let file = File::create(path).expect("it can be written");
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&table.schema()), None).expect("a schema of Parquet");
    writer.write(&table).and_then(|()| writer.close()).expect("it can be written");
}

#[test]
fn mixed_up_tables_are_answered_the_same_on_one_thread_or_many() {
    let samples = sample_cases();
    let mut reported = 0;
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let sample = &samples[random.below(samples.len())];
        let scratch = Scratch::new("mutated");
        let case = scratch.join("mixed.argus");
        copy_folder(sample, &case);
        let tables = files_beneath(&case);
        let tables = tables.iter().filter(|path| path.extension().is_some_and(|ending| ending == "parquet"));
        tables.for_each(|path| mutate_file(path, &mut random));
        for command in [&["report", "--format", "json"][..], &["tree", "--json"], &["timeline"]] {
            let mut arguments = vec![OsStr::new(command[0]), case.as_os_str()];
            arguments.extend(command[1..].iter().map(OsStr::new));
            let (many, one) = (analyze(&arguments), analyze_on_one_thread(&arguments));
            let name = format!("seed {seed} of {}, {command:?}", sample.display());
            assert!(matches!(many.status.code(), Some(0 | 2)), "{name}: {}", shown(&many));
            assert!(!String::from_utf8_lossy(&many.stderr).contains("panicked"), "{name}: {}", shown(&many));
            assert!(many.stdout == one.stdout && many.status == one.status, "{name} differs on one thread");
            reported += u64::from(many.status.success() && command[0] == "report");
        }
    }
    // A refusal of all would prove nothing.
    assert!(reported * 2 > SEEDS, "only {reported} of {SEEDS} were reported on");
}
