//! `mcp`: stands between an MCP client and its server on standard input and output, and tells of the tools that are called.
//!
//! What passes is never changed, held back or waited for: it is looked at on its way, and what is not understood passes
//! like all else.

mod messages;
mod server;
mod watcher;

use crate::cli::McpArguments;
use crate::error::{Error, Result};
use crate::hook::context;
use crate::messenger::{Listener, in_time};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::fstat;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use watcher::{Side, Watcher};

/// How many lines may wait to be told. A capture takes them in some microseconds each.
const QUEUE_MAX: usize = 1024;

/// How much is passed on at once.
const CHUNK: usize = 64 << 10;

/// Runs a server behind this process; returns its exit status.
pub fn mcp(arguments: &McpArguments) -> Result<u8> {
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    // SAFETY: between fork and exec only one system call is made.
    unsafe {
        // Whoever ends this process means the server.
        command.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from));
    }
    let name = arguments.command[0].to_string_lossy().into_owned();
    let mut server = command.spawn().map_err(|source| Error::Start { command: name, source })?;
    let started = i32::try_from(server.id()).unwrap_or_default();
    let inode = |pipe: Option<BorrowedFd<'_>>| pipe.and_then(|pipe| fstat(pipe).ok()).map_or(0, |found| found.st_ino);
    let input = inode(server.stdin.as_ref().map(AsFd::as_fd));
    let pipes = [input, inode(server.stdout.as_ref().map(AsFd::as_fd))];
    let traceparent = std::env::var("TRACEPARENT").ok().filter(|text| context(text).is_some());
    let watcher = Listener::find().map(|listener| {
        let (told, lines) = sync_channel(QUEUE_MAX);
        let teller = thread::spawn(move || tell(&listener, &lines));
        (
            Arc::new(Mutex::new(Watcher::new(
                move || server::behind(started, pipes),
                arguments.name.clone(),
                traceparent,
            ))),
            told,
            teller,
        )
    });
    let watch = |from: Side| {
        let watched = watcher.as_ref().map(|(watcher, told, _)| (Arc::clone(watcher), told.clone()));
        move |bytes: &[u8]| {
            if let Some((watcher, told)) = &watched {
                look(watcher, told, |watcher| watcher.pass(from, bytes));
            }
        }
    };
    if let Some(input) = server.stdin.take() {
        let look = watch(Side::Client);
        // It ends with the client's words, or with this process; nobody waits for a client that says no more.
        thread::spawn(move || pass(std::io::stdin(), input, look));
    }
    if let Some(output) = server.stdout.take() {
        pass(output, std::io::stdout(), watch(Side::Server));
    }
    let status = server.wait().map_err(|source| Error::System { doing: "waiting for the server", source })?;
    if let Some((watcher, told, teller)) = watcher {
        look(&watcher, &told, Watcher::end);
        drop(told);
        // The client's side may still hold the other sender, so that the teller is told that this was all.
        let _ = in_time(move || teller.join());
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// A line, or the end of all.
type Told = Option<serde_json::Value>;

fn tell(listener: &Listener, lines: &Receiver<Told>) {
    while let Ok(Some(line)) = lines.recv() {
        // A capture that has gone is no reason to stop.
        let _ = listener.tell(&line);
    }
}

fn look(watcher: &Mutex<Watcher>, told: &SyncSender<Told>, what: impl FnOnce(&mut Watcher) -> Vec<Told>) {
    let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
    for line in what(&mut watcher) {
        // What does not fit is counted, and told of with the next that does.
        if told.try_send(line).is_err() {
            watcher.lost += 1;
        }
    }
}

/// Passes everything on until either side has gone, and has each piece looked at first: a call begins before the server
/// hears of it, and ends before the client does.
fn pass(mut from: impl Read, mut to: impl Write, look: impl Fn(&[u8])) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                look(&buffer[..length]);
                if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
