//! `attribute`: the verdict of every event, as a table.

use super::report::analysed;
use super::{Status, emit};
use crate::error::{Error, Result};
use clap::Args;
use polars::prelude::{ParquetCompression, ParquetWriter};
use std::fs::File;
use std::path::PathBuf;

/// `attribute`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// The Parquet file to write.
    #[arg(short = 'o', long = "output", value_name = "FILE.parquet")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let mut analysis = analysed(&arguments.case)?;
    let failed = |source| Error::Write { path: arguments.output.clone(), source };
    let file = File::create(&arguments.output).map_err(failed)?;
    ParquetWriter::new(file).with_compression(ParquetCompression::Zstd(None)).finish(&mut analysis.verdicts)?;
    let mut summary = String::new();
    for count in &analysis.report.verdicts {
        let basis = count.basis.map(|basis| format!(" by {}", basis.as_str())).unwrap_or_default();
        summary.push_str(&format!("{:>10} {}{basis}\n", count.events, count.verdict.as_str()));
    }
    emit(&summary, None)?;
    Ok(Status::Fine)
}
