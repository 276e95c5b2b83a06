//! Path patterns of declarations: `*` and `?` within one component, `**` across them.

/// Whether `pattern` matches all of `path`. `/srv/app/**` also matches `/srv/app` itself.
pub fn matches(pattern: &str, path: &str) -> bool {
    if let Some(tree) = pattern.strip_suffix("/**")
        && within(tree.as_bytes(), path.as_bytes())
    {
        return true;
    }
    within(pattern.as_bytes(), path.as_bytes())
}

/// Two-pointer matching with one point of return for `*` and one for `**`: linear in practice, quadratic at worst, and
/// no recursion that a hostile pattern could make deep.
fn within(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize, bool)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            // `**/` may stand for nothing: `/a/**/b` matches `/a/b`.
            // Then what follows begins a component.
            let whole = pattern[p..].starts_with(b"/") && (p == 2 || pattern[p - 3] == b'/');
            if whole {
                p += 1;
            }
            double = Some((p, t, whole));
            star = None;
            continue;
        }
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (None, None) => return true,
            (Some(b'?'), Some(c)) if *c != b'/' => {
                p += 1;
                t += 1;
                continue;
            }
            (Some(want), Some(c)) if want == c => {
                p += 1;
                t += 1;
                continue;
            }
            _ => {}
        }
        // Mismatch: let the latest star take one byte more, else the latest double star.
        if let Some((after, from)) = star
            && text.get(from).is_some_and(|c| *c != b'/')
        {
            p = after;
            t = from + 1;
            star = Some((after, t));
        } else if let Some((after, from, whole)) = double
            && from < text.len()
        {
            let step = if whole {
                match text[from..].iter().position(|c| *c == b'/') {
                    Some(slash) => slash + 1,
                    None => return false,
                }
            } else {
                1
            };
            p = after;
            t = from + step;
            double = Some((after, t, whole));
            star = None;
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/bc", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", true),
            ("/a/**", "/ab", false),
            ("/a/**/d", "/a/d", true),
            ("/a/**/d", "/a/b/c/d", true),
            ("/a/**/d", "/a/bd", false),
            ("/a/**/*.py", "/a/b/c.py", true),
            ("/a/**/*.py", "/a/b/c.pyc", false),
            ("/a/?.txt", "/a/x.txt", true),
            ("/a/?.txt", "/a//.txt", false),
            ("**/*.env", "/x/y/z.env", true),
            ("*.md", "/x.md", false),
            ("/a*b*c", "/aXbYc", true),
            ("/a*b*c", "/aXbYd", false),
            ("", "", true),
            ("", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
