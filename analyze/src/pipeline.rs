//! The stages in their order: load, forest, names, attribute, links, effects, judge.

use crate::error::Result;
use crate::explain::Examined;
use crate::load::{Case, load};
use crate::{attribute, effects, forest, judge, links, names};
use argus_schemas::report::Report;
use forest::Forest;
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// A case with everything that was worked out from it.
pub struct Analysis {
    /// What was read.
    pub case: Case,
    /// Its processes.
    pub forest: Forest,
    /// The verdict of every event, by event id.
    pub verdicts: DataFrame,
    /// What the reader is told.
    pub report: Report,
}

/// Analyses one case.
///
/// # Errors
/// When a file of it cannot be read.
pub fn analyse(path: &Path) -> Result<Analysis> {
    examine(path, |_| ()).map(|(analysis, ())| analysis)
}

/// Analyses one case, and looks at what attribution decided and why before that is let go.
///
/// # Errors
/// When a file of it cannot be read.
pub fn examine<T>(path: &Path, look: impl FnOnce(&Examined) -> T) -> Result<(Analysis, T)> {
    let mut case = load(path)?;
    let (forest, mut findings) = forest::build(&case.events, &case.manifest)?;
    findings.extend(attribute::earlier::settle(&mut case.said, &forest, &case.manifest));
    let names = names::table(&case.events)?;
    let (attribution, contradictions) =
        attribute::attribute(&case.events, &names, &forest, &case.said, &case.manifest)?;
    let verdicts = &attribution.verdicts;
    findings.extend(contradictions);
    findings.splice(0..0, case.findings.iter().cloned());
    let origin = judge::origin(&case.manifest);
    let named = names::join(&case.events, &names);
    let links = links::collect(&case.events, &attribution, &forest)?;
    let report = judge::judge(judge::Evidence {
        name: &case.name,
        manifest: &case.manifest,
        manifest_sha256: &case.manifest_sha256,
        signature: &case.signature,
        spans: &case.said.calls(),
        refused: &case.refused,
        unreadable: &case.unreadable,
        effects: &effects::collect(&named, verdicts, origin)?,
        rings: &effects::rings(&case.events, verdicts, origin)?,
        owned: &effects::owned_events(verdicts)?,
        links: links::summary(&links, &attribution, origin),
        verdict_counts: effects::verdict_counts(verdicts)?,
        findings,
        event_count: case.event_count,
        last_event_ns: case.last_event_ns,
        process_count: forest.len() as u64,
    });
    let looked = look(&Examined {
        events: &case.events,
        forest: &forest,
        attribution: &attribution,
        links: &links,
        report: &report,
    });
    let verdicts = attribution.verdicts;
    Ok((Analysis { case, forest, verdicts, report }, looked))
}

/// The reports on several cases, analysed at once; they come back in the order given.
///
/// # Errors
/// The first case's, in that order, that cannot be read.
pub fn reports(paths: &[PathBuf]) -> Result<Vec<Report>> {
    let analyses: Vec<Result<Report>> =
        paths.par_iter().map(|path| analyse(path).map(|analysis| analysis.report)).collect();
    analyses.into_iter().collect()
}
