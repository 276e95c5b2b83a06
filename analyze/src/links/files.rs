//! Files whose content one call made, and another executed or read.
//!
//! A file is its device and inode, where the record has them, and its name only where not: who wrote what it holds stays so
//! when another renames it or links to it. Those are steps on the way to whoever takes it, and writes nothing.

#[cfg(test)]
mod tests;

use super::{End, Link, Passed};
use crate::attribute::Attribution;
use crate::error::Result;
use crate::forest::{Exec, Forest};
use argus_schemas::events::Kind;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::{Deed, Way};
use argus_schemas::span_log::is_shell;
use polars::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// The access mode among the flags of an open: 0 reads, 1 writes, 2 does both.
const ACCESS: u64 = 0o3;

/// Flag of an open that makes the file, if there is none.
const CREATE: u64 = 0o100;

/// Flags of an open that leaves nothing of what was there: it makes the file (O_EXCL), or empties it (O_TRUNC).
const ANEW: u64 = 0o200 | 0o1000;

/// Flag of an open that only names the file.
const PATH_ONLY: u64 = 0o10_000_000;

/// What is not stored anywhere: a device, or the kernel's own files.
const NOWHERE: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Files in memory that lie beneath devices.
const SHARED: &str = "/dev/shm/";

/// Programs whose first argument is what they run.
const INTERPRETERS: [&str; 8] = ["python", "node", "perl", "ruby", "php", "deno", "bun", "lua"];

/// How many calls count as the authors of one file, the last: what every call appends to would link each with all others.
const AUTHORS: usize = 16;

/// How many names a file is followed through, back to the one that it was written by.
const NAMES: usize = 8;

/// The columns that tell one file from another.
const KEY: [&str; 3] = ["dev", "inode", "name"];

/// Whether a file's path begins so, up to a slash: what sorts from there on, and before the next character.
fn beneath(place: &str) -> Expr {
    let after = format!("{}0", place.trim_end_matches('/'));
    col("file").gt_eq(lit(place.to_owned())).and(col("file").lt(lit(after)))
}

fn is(kind: Kind) -> Expr {
    col("kind").eq(lit(kind.as_str()))
}

/// Which file something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Inode(u64, u64),
    Name(String),
}

/// One thing that was done to a file, or to a name.
#[derive(Debug, Clone)]
struct Row {
    kind: Kind,
    end: End,
    last_ns: u64,
    key: Key,
    file: String,
    /// The new name of a rename or a link.
    second: Option<String>,
    flags: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Row {
    fn opens_to_write(&self) -> bool {
        self.kind == Kind::Open && (self.flags & ACCESS != 0 || self.flags & ANEW != 0)
    }

    /// Whether it opens a file to read what was there.
    fn opens_to_read(&self) -> bool {
        self.kind == Kind::Open && self.flags & ACCESS != 1 && self.flags & ANEW == 0
    }
}

/// Files that one call made the content of, and that another used.
pub(super) fn links(events: &LazyFrame, attribution: &Attribution, forest: &Forest) -> Result<Vec<Link>> {
    let owned = attribution
        .verdicts
        .clone()
        .lazy()
        .filter(col("verdict").eq(lit("attributed")))
        .select([col("event_id"), col("owner")]);
    let stored =
        NOWHERE.iter().fold(beneath("/"), |stored, place| stored.and(beneath(place).not())).or(beneath(SHARED));
    let flags = || col("flags").fill_null(lit(0u64));
    let has = |flag: u64| flags().and(lit(flag)).neq(lit(0u64));
    let known = || col("dev").is_not_null().and(col("inode").is_not_null());
    let columns = |file: Expr| {
        let number = |name: &str| when(known()).then(col(name)).otherwise(lit(0u64)).alias(name);
        let name = when(known()).then(lit("")).otherwise(file.clone()).alias("name");
        let plain = ["event_id", "boot_ns", "last_ns", "kind", "pid", "start_ns", "path2", "bytes_in", "bytes_out"];
        let mut columns: Vec<Expr> = plain.map(col).into();
        columns.extend([flags().alias("flags"), number("dev"), number("inode"), name, file.alias("file")]);
        columns
    };
    let key = || KEY.map(col);
    let semi = || JoinArgs::new(JoinType::Semi);
    let done = events.clone().filter(col("ret").fill_null(lit(0i64)).gt_eq(lit(0i64)));
    let opened = is(Kind::Open).and(has(PATH_ONLY).not());
    let used = is(Kind::Close).and(col("family").is_null());
    let cut = is(Kind::Truncate).and(known());
    let rows = done
        .clone()
        .filter(opened.or(used).or(cut).or(is(Kind::Exec)))
        // Of a script the image is its interpreter.
        .select(columns(when(is(Kind::Exec)).then(col("exe")).otherwise(col("path"))))
        .filter(stored);
    let moved = done.clone().filter(is(Kind::Rename).or(is(Kind::Link))).filter(col("path2").is_not_null());
    let writes = is(Kind::Open).and(has(ACCESS).or(has(ANEW)));
    let changed = is(Kind::Truncate).or(writes).or(col("bytes_out").gt(lit(0u64)));
    let targets = moved.clone().select([col("path2").alias("file")]);
    let changed = rows.clone().filter(changed).select(key());
    let renamed = rows.clone().join(targets, [col("file")], [col("file")], semi()).select(key());
    let changed = concat([changed, renamed], UnionArgs::default())?.unique(None, UniqueKeepStrategy::Any);
    let rows = rows.join(changed, key(), key(), semi()).join(
        owned.clone(),
        [col("event_id")],
        [col("event_id")],
        JoinArgs::new(JoinType::Left),
    );
    // What only one call ever used links nobody: that is most of a build.
    let (least, most) = (col("owner").min().alias("least"), col("owner").max().alias("most"));
    let shared = rows
        .clone()
        .group_by(key())
        .agg([least, most, col("owner").null_count().alias("unowned")])
        .filter(col("least").neq(col("most")).or(col("unowned").gt(lit(0u32)).and(col("least").is_not_null())))
        .select(key());
    let rows = rows.join(shared, key(), key(), semi()).collect()?;
    if rows.height() == 0 {
        return Ok(Vec::new());
    }
    let moves = moved
        .select(columns(col("path")))
        .join(owned.clone(), [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Left))
        .collect()?;
    let names = concat(
        [
            rows.clone().lazy().select([col("file")]),
            moves.clone().lazy().select([col("file")]),
            moves.clone().lazy().select([col("path2").alias("file")]),
        ],
        UnionArgs::default(),
    )?
    .unique(None, UniqueKeepStrategy::Any);
    // The name that a program was asked for by is the script's.
    let asked = is(Kind::Exec).and(col("path").neq(col("exe")));
    let by_name = done
        .filter(is(Kind::Delete).or(is(Kind::Truncate).and(known().not())).or(asked))
        .select(columns(col("path")))
        .with_column(col("file").alias("name"))
        .join(names, [col("file")], [col("file")], semi())
        .join(owned, [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Left))
        .collect()?;
    let mut all = Vec::new();
    for frame in [&rows, &moves, &by_name] {
        all.extend(read(frame, attribution)?);
    }
    Ok(follow(&all, forest))
}

fn read(frame: &DataFrame, attribution: &Attribution) -> Result<Vec<Row>> {
    let texts = |name: &str| -> Result<StringChunked> { Ok(frame.column(name)?.str()?.clone()) };
    let u64s = |name: &str| -> Result<UInt64Chunked> { Ok(frame.column(name)?.u64()?.clone()) };
    let (kind, file, second, name, owner) =
        (texts("kind")?, texts("file")?, texts("path2")?, texts("name")?, texts("owner")?);
    let (event, at, last, start) = (u64s("event_id")?, u64s("boot_ns")?, u64s("last_ns")?, u64s("start_ns")?);
    let (dev, inode, flags) = (u64s("dev")?, u64s("inode")?, u64s("flags")?);
    let (bytes_in, bytes_out) = (u64s("bytes_in")?, u64s("bytes_out")?);
    let pid = frame.column("pid")?.i32()?;
    let row = |row: usize| {
        let boot_ns = at.get(row)?;
        Some(Row {
            kind: Kind::from_text(kind.get(row)?)?,
            end: End {
                span: owner.get(row).and_then(|owner| attribution.claims.by_id(owner)),
                process: ProcessKey { pid: pid.get(row)?, start_ns: start.get(row)? },
                event_id: event.get(row)?,
                boot_ns,
            },
            last_ns: last.get(row).unwrap_or(boot_ns).max(boot_ns),
            key: match name.get(row) {
                Some(name) if !name.is_empty() => Key::Name(name.to_owned()),
                _ => Key::Inode(dev.get(row)?, inode.get(row)?),
            },
            file: file.get(row)?.to_owned(),
            second: second.get(row).map(str::to_owned),
            flags: flags.get(row).unwrap_or(0),
            bytes_in: bytes_in.get(row).unwrap_or(0),
            bytes_out: bytes_out.get(row).unwrap_or(0),
        })
    };
    Ok((0..frame.height()).filter_map(row).collect())
}

/// A call that made some of what a file holds.
#[derive(Debug, Clone)]
struct Author {
    end: End,
    file: String,
    deed: Option<Deed>,
}

/// What is known of a file at an instant.
#[derive(Debug, Default)]
struct File {
    authors: Vec<Author>,
    names: BTreeSet<String>,
    unlinked: bool,
}

/// One step from name to name.
struct Move {
    from: String,
    deed: Deed,
    end: End,
}

/// Everything that happened to files until an instant.
#[derive(Default)]
struct Files {
    files: Vec<File>,
    by_inode: HashMap<(u64, u64), usize>,
    by_name: HashMap<String, usize>,
    moves: Vec<Move>,
    moved_to: HashMap<String, Vec<usize>>,
}

impl Files {
    /// The file that an act is on, which has the act's name from now on.
    fn of(&mut self, row: &Row) -> usize {
        let known = match &row.key {
            Key::Inode(dev, inode) => self.by_inode.get(&(*dev, *inode)).copied(),
            Key::Name(name) => self.by_name.get(name).copied(),
        };
        let file = known.unwrap_or_else(|| {
            self.files.push(File::default());
            self.files.len() - 1
        });
        if let Key::Inode(dev, inode) = row.key {
            self.by_inode.insert((dev, inode), file);
        }
        // The number of a file that is gone is given to another one, which an open makes.
        let held = &self.files[file];
        let another = held.unlinked || !held.names.is_empty() && !held.names.contains(&row.file);
        let made = row.kind == Kind::Open && row.flags & CREATE != 0;
        if made && another || row.kind == Kind::Open && row.flags & ANEW != 0 {
            self.files[file].authors.clear();
        }
        // What a use names is where the file was when the use ended.
        if row.kind != Kind::Close || known.is_none() {
            self.name(&row.file, file);
        }
        file
    }

    fn name(&mut self, name: &str, file: usize) {
        if self.by_name.get(name) != Some(&file) {
            self.unname(name);
            self.by_name.insert(name.to_owned(), file);
            self.files[file].names.insert(name.to_owned());
        }
        self.files[file].unlinked = false;
    }

    fn unname(&mut self, name: &str) -> Option<usize> {
        let file = self.by_name.remove(name)?;
        self.files[file].names.remove(name);
        self.files[file].unlinked = self.files[file].names.is_empty();
        Some(file)
    }

    fn moved(&mut self, row: &Row) {
        let Some(to) = row.second.clone().filter(|to| *to != row.file) else { return };
        let deed = if row.kind == Kind::Link { Deed::Linked } else { Deed::Renamed };
        let file = if deed == Deed::Linked { self.by_name.get(&row.file).copied() } else { self.unname(&row.file) };
        match file {
            Some(file) => self.name(&to, file),
            None => drop(self.unname(&to)),
        }
        self.moved_to.entry(to).or_default().push(self.moves.len());
        self.moves.push(Move { from: row.file.clone(), deed, end: row.end });
    }

    /// What a call made of a file. Of one call, that it wrote says more than that it could have, and the last more than the
    /// first.
    fn author(&mut self, file: usize, row: &Row, deed: Option<Deed>) {
        if row.end.span.is_none() {
            return;
        }
        let authors = &mut self.files[file].authors;
        let own = authors.iter().position(|author| author.end.span == row.end.span);
        if let Some(own) = own {
            if authors[own].deed < deed {
                return;
            }
            authors.remove(own);
        } else if authors.len() == AUTHORS {
            authors.remove(0);
        }
        authors.push(Author { end: row.end, file: row.file.clone(), deed });
    }

    /// The steps, the earliest first, that led a file to the name that it had at an instant, each with the file's name after
    /// it: from the first name, where that is given and they lead there, or from as far back as there are any.
    fn steps(&self, from: Option<&str>, to: &str, until_ns: u64) -> Vec<(&Move, String)> {
        let mut steps: Vec<(&Move, String)> = Vec::new();
        let (mut name, mut until_ns) = (to.to_owned(), until_ns);
        while Some(name.as_str()) != from && steps.len() < NAMES {
            // A folder that is renamed takes its files with it.
            let folders = name.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
            let last = |place: usize| {
                let all = self.moved_to.get(&name[..place])?;
                let mut before = all.iter().rev().map(|index| &self.moves[*index]);
                let step = before.find(|step| step.end.boot_ns < until_ns)?;
                Some((step, format!("{}{}", step.from, &name[place..])))
            };
            let found = folders.chain([name.len()]).filter_map(last);
            let Some((step, before)) = found.max_by_key(|(step, _)| (step.end.boot_ns, step.end.event_id)) else {
                break;
            };
            steps.push((step, std::mem::replace(&mut name, before)));
            until_ns = step.end.boot_ns;
        }
        if from.is_some_and(|from| from != name) {
            steps.clear();
        }
        steps.reverse();
        steps
    }

    /// The links to a call that uses a file at an instant.
    fn links(&self, file: usize, row: &Row, at: u64, way: Way) -> Vec<Link> {
        let to = End { boot_ns: at, ..row.end };
        if to.span.is_none() {
            return Vec::new();
        }
        let passed = |(step, now): (&Move, String)| Passed {
            span: step.end.span,
            deed: step.deed,
            object: now,
            event_id: step.end.event_id,
        };
        let of_author = |author: &Author| {
            let mut link = Link { deed: author.deed, ..Link::new(to, author.end, way, author.file.clone()) };
            if author.file != row.file {
                link.through = self.steps(Some(&author.file), &row.file, at).into_iter().map(passed).collect();
                link.taken_as = link.through.is_empty().then(|| row.file.clone());
            }
            link
        };
        let authors = self.files[file].authors.iter().filter(|author| author.end.span != to.span);
        // That one could have written and the other could have read shows nothing that went.
        let shown = |author: &&Author| way != Way::Opened || author.deed != Some(Deed::OpenedToWrite);
        let links: Vec<Link> = authors.filter(shown).map(of_author).collect();
        if !links.is_empty() || way == Way::Opened {
            return links;
        }
        // What nobody is known to have written, somebody can have put where it was found.
        let mut steps = self.steps(None, &row.file, at).into_iter();
        let head = steps.find(|(step, _)| step.end.span.is_some() && step.end.span != to.span);
        let link = head.map(|(step, now)| Link {
            deed: Some(step.deed),
            taken_as: Some(now),
            through: steps.map(passed).collect(),
            ..Link::new(to, step.end, way, step.from.clone())
        });
        link.into_iter().collect()
    }
}

/// Follows every file through what was done to it.
fn follow(rows: &[Row], forest: &Forest) -> Vec<Link> {
    // When a call is last known to have written a file, and to have read it. Of an open after which it did neither, no more
    // is known than that it could have, through a mapping in memory or uses that were not counted.
    let mut counted: HashMap<(&Key, Option<usize>), (u64, u64)> = HashMap::new();
    let mut points: Vec<(u64, u64, &Row)> = Vec::with_capacity(rows.len());
    for row in rows {
        points.push((row.end.boot_ns, row.end.event_id, row));
        if row.kind == Kind::Close {
            let (wrote, read) = counted.entry((&row.key, row.end.span)).or_default();
            *wrote = (*wrote).max(if row.bytes_out > 0 { row.last_ns } else { 0 });
            *read = (*read).max(if row.bytes_in > 0 { row.last_ns } else { 0 });
            if row.last_ns > row.end.boot_ns {
                points.push((row.last_ns, row.end.event_id, row));
            }
        }
    }
    points.sort_by_key(|(at, event, _)| (*at, *event));
    let mut files = Files::default();
    let mut seen = BTreeSet::new();
    let mut links = Vec::new();
    for (at, _, row) in points {
        let ran = || forest.image_at(row.end.process, at).is_some_and(|image| runs(image, &row.file));
        let (wrote, read) = counted.get(&(&row.key, row.end.span)).copied().unwrap_or_default();
        let mut take = |files: &Files, file: usize, way: Way| {
            let way = if way != Way::Executed && ran() { Way::Executed } else { way };
            // A file that one process reads over and over is one hand-off.
            let new = files.links(file, row, at, way).into_iter().filter(|link| {
                seen.insert((link.from.span, link.to.process, way, link.deed, link.object.clone(), row.file.clone()))
            });
            links.extend(new);
        };
        match row.kind {
            Kind::Rename | Kind::Link => files.moved(row),
            Kind::Delete => drop(files.unname(&row.file)),
            Kind::Exec => {
                let file = match &row.key {
                    Key::Name(name) => files.by_name.get(name).copied(),
                    Key::Inode(..) => Some(files.of(row)),
                };
                file.into_iter().for_each(|file| take(&files, file, Way::Executed));
            }
            Kind::Truncate => {
                let file = files.of(row);
                // A request is one of those that share the content of another file.
                files.author(file, row, (row.flags == 0).then_some(Deed::Cut));
            }
            Kind::Close => {
                let file = files.of(row);
                if row.bytes_in > 0 {
                    take(&files, file, Way::Read);
                }
                if row.bytes_out > 0 {
                    files.author(file, row, None);
                }
            }
            _ => {
                let file = files.of(row);
                if row.opens_to_read() && read < at {
                    take(&files, file, Way::Opened);
                }
                if row.opens_to_write() && wrote < at {
                    files.author(file, row, Some(Deed::OpenedToWrite));
                }
            }
        }
    }
    links
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
