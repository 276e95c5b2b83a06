//! The process forest, drawn with lines.

use super::safe;
use serde::Serialize;

/// A process as the tree shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// In the host's pid namespace.
    pub pid: i32,
    /// Nanoseconds since the case's start.
    pub start_ns: u64,
    /// Likewise; `None`: it was not seen to end.
    pub ended_ns: Option<u64>,
    /// The image that it ran last.
    pub exe: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// As it ended.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whose it is.
    pub owner: String,
    /// What it forked, in order of time.
    pub children: Vec<Node>,
}

/// How much of a command line is shown.
const SHOWN: usize = 72;

fn label(node: &Node) -> String {
    let line = if node.argv.is_empty() { node.exe.clone() } else { node.argv.join(" ") };
    let mut line: String = safe::terminal(&line);
    if line.chars().count() > SHOWN {
        line = line.chars().take(SHOWN).chain("...".chars()).collect();
    }
    let end = match (node.signal, node.exit_code) {
        (Some(signal), _) => format!(", killed by signal {signal}"),
        (None, Some(0)) => String::new(),
        (None, Some(code)) => format!(", exit {code}"),
        (None, None) => ", not seen to end".to_owned(),
    };
    format!("{} {line}  [{}{end}]", node.pid, safe::terminal(&node.owner))
}

/// The forest as text.
pub fn text(roots: &[Node]) -> String {
    let mut text = String::new();
    // An explicit stack: a fork bomb makes chains that are deeper than a thread's own.
    let mut stack: Vec<(&Node, String, String)> =
        roots.iter().rev().map(|root| (root, String::new(), String::new())).collect();
    while let Some((node, first, rest)) = stack.pop() {
        text.push_str(&first);
        text.push_str(&label(node));
        text.push('\n');
        for (index, child) in node.children.iter().enumerate().rev() {
            let last = index + 1 == node.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            stack.push((child, format!("{rest}{branch}"), format!("{rest}{below}")));
        }
    }
    if roots.is_empty() {
        text.push_str("The case holds no process.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(pid: i32, argv: &str, children: Vec<Node>) -> Node {
        Node {
            pid,
            start_ns: 0,
            ended_ns: Some(1),
            exe: "/bin/x".to_owned(),
            argv: argv.split(' ').map(str::to_owned).collect(),
            exit_code: Some(pid % 2),
            signal: None,
            owner: "runtime".to_owned(),
            children,
        }
    }

    #[test]
    fn branches_are_drawn_and_escapes_are_not() {
        let tree = node(2, "sh -c x", vec![node(4, "a \u{1b}[31m", vec![node(6, "b", vec![])]), node(7, "c", vec![])]);
        assert_eq!(
            text(&[tree]),
            "2 sh -c x  [runtime]\n├─ 4 a \\u{1b}[31m  [runtime]\n│  └─ 6 b  [runtime]\n└─ 7 c  [runtime, exit 1]\n"
        );
    }
}
