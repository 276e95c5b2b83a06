//! Which process the server is. What a client's settings start is often a launcher (`npx`, `uv run`, a shell), which leaves
//! its standard input and output to the server that it starts.

use std::fs;
use std::path::PathBuf;

/// How far down the server is looked for, and among how many processes: it may have started any number of its own.
const DEPTH_MAX: usize = 8;
const CHILDREN_MAX: usize = 64;

/// The innermost process from `started` down that holds both pipes, to the server's input and from its output: the one
/// that speaks the protocol, be it through copies of its standard input and output. What a server starts itself may have
/// its input, but not its output, or what it prints would be in the way. To be asked before the server's first call,
/// which may start anything.
pub fn behind(started: i32, pipes: [u64; 2]) -> i32 {
    let speaks = |pid: i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let held: Vec<PathBuf> = open.filter_map(|one| fs::read_link(one.path()).ok()).collect();
        pipes.iter().all(|pipe| held.contains(&PathBuf::from(format!("pipe:[{pipe}]"))))
    };
    let mut server = started;
    for _ in 0..DEPTH_MAX {
        let Some(child) = children(server).into_iter().take(CHILDREN_MAX).find(|pid| speaks(*pid)) else { break };
        server = child;
    }
    server
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    threads.map(of_thread).flat_map(|text| text.split(' ').flat_map(str::parse).collect::<Vec<i32>>()).collect()
}
