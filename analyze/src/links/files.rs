//! Files that one call wrote, and another executed or read.

use super::{End, Link};
use crate::attribute::Attribution;
use crate::error::Result;
use crate::forest::{Exec, Forest};
use argus_schemas::events::Kind;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Way;
use argus_schemas::span_log::is_shell;
use polars::prelude::*;
use std::collections::BTreeSet;

/// The access mode among the flags of an open: 0 reads, 1 writes, 2 does both.
const ACCESS: u64 = 0o3;

/// Flags of an open that leaves nothing of what was there: it makes the file (O_EXCL), or empties it (O_TRUNC).
const ANEW: u64 = 0o200 | 0o1000;

/// What is not stored anywhere: a device, or the kernel's own files.
const NOWHERE: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Programs whose first argument is what they run.
const INTERPRETERS: [&str; 8] = ["python", "node", "perl", "ruby", "php", "deno", "bun", "lua"];

/// Whether a file's path begins so, up to a slash: what sorts from there on, and before the next character.
fn beneath(place: &str) -> Expr {
    let after = format!("{}0", place.trim_end_matches('/'));
    col("file").gt_eq(lit(place.to_owned())).and(col("file").lt(lit(after)))
}

fn is(kind: Kind) -> Expr {
    col("kind").eq(lit(kind.as_str()))
}

/// Files that were written, and then used by a call that was not the last to write them.
pub(super) fn links(events: &LazyFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Link>> {
    let owned = attribution
        .verdicts
        .clone()
        .lazy()
        .filter(col("verdict").eq(lit("attributed")))
        .select([col("event_id"), col("owner")]);
    let access = || col("flags").fill_null(lit(0u64)).and(lit(ACCESS));
    let stored = || NOWHERE.iter().fold(beneath("/"), |stored, place| stored.and(beneath(place).not()));
    let keeps = col("flags").fill_null(lit(0u64)).and(lit(ANEW)).eq(lit(0u64));
    let row = || [col("event_id"), col("boot_ns"), col("pid"), col("start_ns"), col("file")];
    let done = events.clone().filter(col("ret").fill_null(lit(0i64)).gt_eq(lit(0i64)));
    let written = when(is(Kind::Open).and(access().neq(lit(0u64)))).then(col("path")).otherwise(
        when(is(Kind::Rename).or(is(Kind::Link))).then(col("path2")).otherwise(lit(NULL).cast(DataType::String)),
    );
    let writes = done
        .clone()
        .filter(is(Kind::Open).or(is(Kind::Rename)).or(is(Kind::Link)))
        .with_column(written.alias("file"))
        .filter(stored())
        .select(row())
        .join(owned.clone(), [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Inner));
    // Of a script the image is its interpreter, and the name that was asked for is the script's. One that was asked for by a
    // relative name shows when its interpreter reads it.
    let execs = done.clone().filter(is(Kind::Exec));
    let images = execs.clone().with_column(col("exe").alias("file")).select(row());
    let scripts = execs.with_column(col("path2").alias("file")).select(row());
    let reads = done
        .filter(is(Kind::Open).and(access().neq(lit(1u64))).and(keeps))
        .with_column(col("path").alias("file"))
        .select(row());
    let marked = |frame: LazyFrame, executed: bool| frame.with_column(lit(executed).alias("executed"));
    let uses = concat([marked(images, true), marked(scripts, true), marked(reads, false)], UnionArgs::default())?
        .filter(stored())
        .join(writes.clone().select([col("file")]), [col("file")], [col("file")], JoinArgs::new(JoinType::Semi))
        .join(owned, [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Inner))
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default());
    let writes = writes
        .select([
            col("boot_ns"),
            col("boot_ns").alias("written_ns"),
            col("event_id").alias("writer_event"),
            col("pid").alias("writer_pid"),
            col("start_ns").alias("writer_start"),
            col("owner").alias("writer"),
            col("file"),
        ])
        .sort(["boot_ns", "writer_event"], SortMultipleOptions::default());
    let as_of = AsOfOptions {
        strategy: AsofStrategy::Backward,
        tolerance: None,
        tolerance_str: None,
        left_by: Some(vec!["file".into()]),
        right_by: Some(vec!["file".into()]),
        // An open that makes a file is both at one instant, and no use of what was there.
        allow_eq: false,
        check_sortedness: false,
    };
    let found = uses
        .join(writes, [col("boot_ns")], [col("boot_ns")], JoinArgs::new(JoinType::AsOf(Box::new(as_of))))
        .filter(col("writer").is_not_null().and(col("writer").neq(col("owner"))))
        .sort(["boot_ns", "event_id"], SortMultipleOptions::default())
        .collect()?;
    read(&found, attribution, forest)
}

fn read(found: &DataFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Link>> {
    let texts = |name: &str| -> Result<StringChunked> { Ok(found.column(name)?.str()?.clone()) };
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(found.column(name)?.u64()?.clone()) };
    let i32s = |name: &str| -> Result<Int32Chunked> { Ok(found.column(name)?.i32()?.clone()) };
    let (file, owner, writer) = (texts("file")?, texts("owner")?, texts("writer")?);
    let (event, at, start) = (u64s("event_id")?, u64s("boot_ns")?, u64s("start_ns")?);
    let (writer_event, written, writer_start) = (u64s("writer_event")?, u64s("written_ns")?, u64s("writer_start")?);
    let (pid, writer_pid) = (i32s("pid")?, i32s("writer_pid")?);
    let executed = found.column("executed")?.bool()?;
    let claims = &attribution.claims;
    let mut seen = BTreeSet::new();
    let mut links = Vec::new();
    for row in 0..found.height() {
        let link = || {
            let to = End {
                span: Some(claims.by_id(owner.get(row)?)?),
                process: ProcessKey { pid: pid.get(row)?, start_ns: start.get(row)? },
                event_id: event.get(row)?,
                boot_ns: at.get(row)?,
            };
            let from = End {
                span: Some(claims.by_id(writer.get(row)?)?),
                process: ProcessKey { pid: writer_pid.get(row)?, start_ns: writer_start.get(row)? },
                event_id: writer_event.get(row)?,
                boot_ns: written.get(row)?,
            };
            let object = file.get(row)?.to_owned();
            let ran = executed.get(row)? || forest.image_at(to.process, to.boot_ns).is_some_and(|it| runs(it, &object));
            Some(Link { to, from, way: if ran { Way::Executed } else { Way::Read }, object })
        };
        // A file that one process reads over and over is one hand-off.
        links.extend(
            link().filter(|link| seen.insert((link.from.span, link.to.process, link.way, link.object.clone()))),
        );
    }
    Ok(links)
}

/// Whether a program is an interpreter that was told to run this file.
fn runs(image: &Exec, file: &str) -> bool {
    let name = image.exe.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    if !is_shell(name) && !INTERPRETERS.iter().any(|known| name.starts_with(known)) {
        return false;
    }
    let script = image.argv.iter().skip(1).find(|argument| !argument.starts_with('-'));
    script.is_some_and(|script| match script.strip_prefix("./").unwrap_or(script) {
        absolute if absolute.starts_with('/') => absolute == file,
        relative => image.cwd.as_deref().is_some_and(|cwd| format!("{cwd}/{relative}") == file),
    })
}
