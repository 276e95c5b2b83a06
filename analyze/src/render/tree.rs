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
    /// Who forked it: the pid, and the start as above.
    pub parent: Option<(i32, u64)>,
    /// How many processes of the tree are above it.
    pub depth: usize,
    /// Whether it is the last that its parent forked.
    #[serde(skip)]
    pub last: bool,
}

/// Deeper than this, lines say their depth and draw no branches: a chain of forks can be as long as memory lasts.
const DRAWN: usize = 40;

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

/// The forest as text; `nodes` come each before what it forked, and all that beneath it next.
pub fn text(nodes: &[Node]) -> String {
    let mut text = String::new();
    let mut lasts: Vec<bool> = Vec::new();
    for node in nodes {
        lasts.truncate(node.depth);
        lasts.push(node.last);
        if node.depth > DRAWN {
            text.push_str(&format!("... {} deep: ", node.depth));
        } else if node.depth > 0 {
            lasts[1..node.depth].iter().for_each(|last| text.push_str(if *last { "   " } else { "│  " }));
            text.push_str(if node.last { "└─ " } else { "├─ " });
        }
        text.push_str(&label(node));
        text.push('\n');
    }
    if nodes.is_empty() {
        text.push_str("The case holds no process.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(pid: i32, argv: &str, depth: usize, last: bool) -> Node {
        Node {
            pid,
            start_ns: 0,
            ended_ns: Some(1),
            exe: "/bin/x".to_owned(),
            argv: argv.split(' ').map(str::to_owned).collect(),
            exit_code: Some(pid % 2),
            signal: None,
            owner: "runtime".to_owned(),
            parent: None,
            depth,
            last,
        }
    }

    #[test]
    fn branches_are_drawn_and_escapes_are_not() {
        let tree = [
            node(2, "sh -c x", 0, true),
            node(4, "a \u{1b}[31m", 1, false),
            node(6, "b", 2, true),
            node(7, "c", 1, true),
            node(8, "d", 2, true),
        ];
        assert_eq!(
            text(&tree),
            "2 sh -c x  [runtime]\n├─ 4 a \\u{1b}[31m  [runtime]\n│  └─ 6 b  [runtime]\n└─ 7 c  [runtime, exit 1]\n   \
             └─ 8 d  [runtime]\n"
        );
    }

    #[test]
    fn a_chain_of_forks_may_be_long() {
        let chain: Vec<Node> = (0..20_000).map(|depth| node(2, "x", depth, true)).collect();
        let text = text(&chain);
        assert!(text.ends_with("... 19999 deep: 2 x  [runtime]\n") && text.len() < 2_000_000, "{}", text.len());
    }
}
