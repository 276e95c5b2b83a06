//! What a path of the battery says of itself: `ROOT/truth/TOOL/CASE/FILE`.

/// In the place of a call: nobody can know whose it is.
pub const UNKNOWN: &str = "unknown";

/// Whose a file is.
#[derive(Debug, PartialEq, Eq)]
pub struct Truth<'a> {
    /// The call that causes what happens to it; or that none does.
    pub tool: &'a str,
    /// Its name, which begins with `late-` or `own-` where that is said.
    pub file: &'a str,
}

impl Truth<'_> {
    /// Whether the record is such that nobody can know, so that `unknown` is the right answer.
    pub fn unknowable(&self) -> bool {
        self.tool == UNKNOWN || self.file.starts_with("lost-")
    }
}

/// Reads the truth out of an object; `None`: it says none.
pub fn truth_of<'a>(object: &'a str, root: &str) -> Option<Truth<'a>> {
    let inner = object.strip_prefix(root)?.strip_prefix("/truth/")?;
    let mut parts = inner.splitn(3, '/');
    let (tool, _case, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Truth { tool, file })
}
