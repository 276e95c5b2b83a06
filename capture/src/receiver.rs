//! Receives the span log: from a Unix socket, where the kernel names each line's author, and from a file.

use crate::clock::boot_ns;
use crate::error::{Error, Result};
use crate::messenger::descends;
use crate::otlp::Otlp;
use crate::rights;
use argus_schemas::lines::{Line, Lines};
use argus_schemas::span_log::{Assembled, Assembler, Received, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{PassCred, PeerCredentials};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, getsockopt, recvmsg, setsockopt};
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The longest line that is understood; of a longer one only the beginning is kept, as an unreadable line.
const LINE_MAX: usize = 4 << 20;

/// How much of a line that is too long stays in the journal.
const LONG_LINE_KEPT: usize = 64 << 10;

/// Lines of the span log, in bounded memory.
fn lines() -> Lines {
    Lines::new(LINE_MAX, LONG_LINE_KEPT)
}

/// Where all that is received goes, from whichever thread.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<Sink>>);

impl Journal {
    /// Into this file, which is empty.
    pub fn new(journal: File) -> Journal {
        let journal = BufWriter::new(journal);
        Journal(Arc::new(Mutex::new(Sink { journal, assembler: Assembler::beside_a_journal(), trouble: None })))
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in OTLP; when it returns, the system has it. Says how it fared.
    pub fn take(&self, received: &Received) -> Option<Request> {
        let mut sink = self.sink();
        let fared = sink.take(received);
        if let Err(error) = sink.journal.flush() {
            sink.trouble.get_or_insert(error);
        }
        fared
    }
}

/// The journal on disk and the assembler in memory: both see every line, in the same order.
struct Sink {
    journal: BufWriter<File>,
    assembler: Assembler,
    trouble: Option<std::io::Error>,
}

impl Sink {
    fn change_journal(&mut self, mut next: File) -> std::io::Result<()> {
        self.journal.flush()?;
        let old = self.journal.get_mut();
        old.rewind()?;
        std::io::copy(old, &mut next)?;
        self.journal = BufWriter::new(next);
        Ok(())
    }

    fn take(&mut self, received: &Received) -> Option<Request> {
        let written = serde_json::to_writer(&mut self.journal, received)
            .map_err(std::io::Error::from)
            .and_then(|()| self.journal.write_all(b"\n"));
        if let Err(error) = written {
            self.trouble.get_or_insert(error);
        }
        self.assembler.take(received)
    }
}

/// No process's id: what it sends is kept, and told as nobody's.
const NOBODY: i32 = 0;

struct Connection {
    stream: UnixStream,
    lines: Lines,
    author: (Option<i32>, Option<u32>),
    /// Who connected.
    peer: Option<(i32, u32)>,
}

impl Connection {
    /// Who sent what the kernel says was sent with these credentials. Root can put another's there; who connected, nobody can.
    /// Another than that one is believed if it descends from it, and so may have been left the connection; of any other nobody
    /// knows who it is.
    fn sender(&self, told: UnixCredentials) -> (Option<i32>, Option<u32>) {
        match self.peer {
            Some((peer, _)) if peer != told.pid() && !descends(told.pid(), peer) => (Some(NOBODY), Some(told.uid())),
            _ => (Some(told.pid()), Some(told.uid())),
        }
    }
}

/// A file that agents append to, read from where it stood at the start.
struct Tail {
    file: File,
    lines: Lines,
}

/// The running receiver.
pub struct Receiver {
    folder: PathBuf,
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    next_journal: Arc<Mutex<Option<File>>>,
    thread: Option<JoinHandle<()>>,
    journal: Journal,
    otlp: Option<Otlp>,
}

impl Receiver {
    /// Listens on a socket that only `uid` can reach, and reads `span_log`: from its present end on, or all of it where what is
    /// followed ran `before`.
    /// With `otlp`, receives that too.
    pub fn start(
        journal: File,
        uid: Uid,
        gid: Gid,
        span_log: Option<&Path>,
        before: bool,
        otlp: Option<SocketAddr>,
    ) -> Result<Receiver> {
        let system = |doing| move |source| Error::System { doing, source };
        let folder = std::env::temp_dir().join(format!("argus-{}-{:x}", std::process::id(), boot_ns()));
        fs::DirBuilder::new().mode(0o711).create(&folder).map_err(system("making a folder for the span socket"))?;
        let socket = folder.join("spans.sock");
        let listener = UnixListener::bind(&socket).map_err(system("binding the span socket"))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(system("closing the span socket"))?;
        chown(&socket, Some(uid), Some(gid)).map_err(|e| system("giving the span socket away")(e.into()))?;
        listener.set_nonblocking(true).map_err(system("opening the span socket"))?;
        // Set on the listener, so that every accepted socket has it before its first byte arrives.
        setsockopt(&listener, PassCred, &true).map_err(|e| system("asking for credentials")(e.into()))?;
        let tail = match span_log {
            None => None,
            Some(path) => {
                let created = !path.exists();
                let mut file = OpenOptions::new()
                    .read(true)
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|source| Error::Write { path: path.to_owned(), source })?;
                if created {
                    chown(path, Some(uid), Some(gid)).map_err(|e| system("giving the span log away")(e.into()))?;
                }
                file.seek(if before { SeekFrom::Start(0) } else { SeekFrom::End(0) })
                    .map_err(system("reading the span log"))?;
                Some(Tail { file, lines: lines() })
            }
        };
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let next_journal = Arc::new(Mutex::new(None));
        let next = Arc::clone(&next_journal);
        let journal = Journal::new(journal);
        let otlp = otlp.map(|address| Otlp::start(address, journal.clone())).transpose()?;
        let sink = journal.clone();
        let thread = std::thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || {
                // What it reads comes from the workload, and it needs no rights for it. Where they cannot be given up,
                // the main thread, which tries the same, says so.
                let _ = rights::keep_only(&[]);
                receive(&listener, tail, &sink, &flag, &next);
            })
            .map_err(system("starting the span receiver"))?;
        Ok(Receiver { folder, socket, stop, next_journal, thread: Some(thread), journal, otlp })
    }

    /// What ARGUS_SOCKET should say.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where OTLP is received, if it is.
    pub fn otlp(&self) -> Option<SocketAddr> {
        self.otlp.as_ref().map(Otlp::address)
    }

    /// Goes on in another journal, which is empty: the old one was taken away, and what it holds comes first.
    pub fn go_on_in(&self, journal: File) {
        *self.next_journal.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal);
    }

    /// Reads what was sent so far, then ends. The second value: why not all of it is in the journal; the third: how many
    /// requests of OTLP were of no use.
    pub fn finish(&mut self, journal: &Path) -> Result<(Assembled, Option<Error>, u64)> {
        let ignored = self.otlp.as_mut().map_or(0, Otlp::finish);
        self.stop.store(true, Ordering::Release);
        if self.thread.take().and_then(|thread| thread.join().ok()).is_none() {
            let source = std::io::Error::other("the receiver's thread ended in a panic");
            return Err(Error::System { doing: "receiving spans", source });
        }
        let mut sink = self.journal.sink();
        let flushed = sink.journal.flush();
        let trouble = sink.trouble.take().or(flushed.err());
        let trouble = trouble.map(|source| Error::Write { path: journal.to_owned(), source });
        Ok((std::mem::take(&mut sink.assembler).finish(), trouble, ignored))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Nothing can be done about a folder that is already gone.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn receive(
    listener: &UnixListener,
    mut tail: Option<Tail>,
    journal: &Journal,
    stop: &AtomicBool,
    next_journal: &Mutex<Option<File>>,
) {
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0u8; 1 << 18];
    loop {
        // Read the flag before the sockets: what was sent before it was set is read in this round.
        let last_round = stop.load(Ordering::Acquire);
        {
            let mut wait = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            wait.extend(connections.iter().map(|one| PollFd::new(one.stream.as_fd(), PollFlags::POLLIN)));
            // An interrupted wait is as good as an elapsed one.
            let _ = poll(&mut wait, if last_round { PollTimeout::ZERO } else { PollTimeout::from(100u8) });
        }
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let peer = getsockopt(&stream, PeerCredentials).ok().map(|peer| (peer.pid(), peer.uid()));
                connections.push(Connection { stream, lines: lines(), author: (None, None), peer });
            }
        }
        let mut sink = journal.sink();
        let next = next_journal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = next.and_then(|next| sink.change_journal(next).err()) {
            sink.trouble.get_or_insert(error);
        }
        connections.retain_mut(|connection| drain(connection, &mut buffer, &mut sink));
        if let Some(tail) = &mut tail {
            drain_file(tail, &mut buffer, &mut sink);
        }
        if let Err(error) = sink.journal.flush() {
            sink.trouble.get_or_insert(error);
        }
        if last_round {
            for mut connection in connections {
                end_of(&mut connection.lines, "socket", connection.author, &mut sink);
            }
            if let Some(mut tail) = tail {
                end_of(&mut tail.lines, "file", (None, None), &mut sink);
            }
            return;
        }
    }
}

fn line_to<'a>(
    sink: &'a mut Sink,
    source: &'a str,
    (author_pid, author_uid): (Option<i32>, Option<u32>),
) -> impl FnMut(Line) + 'a {
    let boot_ns = boot_ns();
    move |line: Line| {
        let line = line.text().into_owned();
        sink.take(&Received { boot_ns, author_pid, author_uid, author_address: None, source: source.to_owned(), line });
    }
}

fn end_of(lines: &mut Lines, source: &str, author: (Option<i32>, Option<u32>), sink: &mut Sink) {
    lines.finish(&mut line_to(sink, source, author));
}

/// Reads all that is there; false: the connection has ended. The kernel never joins the bytes of two authors in one
/// read, so that a descriptor shared by two processes still tells them apart.
fn drain(connection: &mut Connection, buffer: &mut [u8], sink: &mut Sink) -> bool {
    loop {
        let mut space = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
        let mut parts = [IoSliceMut::new(buffer)];
        let got = recvmsg::<()>(connection.stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT);
        let length = match got {
            Ok(message) => {
                if let Ok(controls) = message.cmsgs() {
                    for control in controls {
                        if let ControlMessageOwned::ScmCredentials(credentials) = control {
                            connection.author = connection.sender(credentials);
                        }
                    }
                }
                message.bytes
            }
            Err(nix::errno::Errno::EINTR) => continue,
            Err(nix::errno::Errno::EAGAIN) => return true,
            Err(_) => 0,
        };
        let author = connection.author;
        if length == 0 {
            end_of(&mut connection.lines, "socket", author, sink);
            return false;
        }
        connection.lines.take(&buffer[..length], &mut line_to(sink, "socket", author));
    }
}

fn drain_file(tail: &mut Tail, buffer: &mut [u8], sink: &mut Sink) {
    while let Ok(length @ 1..) = tail.file.read(buffer) {
        tail.lines.take(&buffer[..length], &mut line_to(sink, "file", (None, None)));
    }
}
