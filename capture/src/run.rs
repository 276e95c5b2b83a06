//! `run`: probes, receiver, command, and the loop that writes what the kernel says.

use crate::case::{CaseFolder, create_file};
use crate::cli::{RunArguments, Wait};
use crate::clock;
use crate::error::{Error, Result};
use crate::gaps::Gaps;
use crate::launch::{Identity, start};
use crate::receiver::Receiver;
use crate::requests::Requests;
use crate::tables::Table;
use argus_bpf::{Probes, Record, decode};
use argus_schemas::case::{CaseLayout, FORMAT_VERSION};
use argus_schemas::events::{Event, Kind};
use argus_schemas::manifest::{End, Host, Manifest, ProcessKey, SpanLineCounts};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// A segment is closed when it has this many rows: about 5 MB on disk, and 200 MB while it is built at worst.
const SEGMENT_ROWS: usize = 262_144;

/// A segment is closed this long after its first row, so that a killed capture loses little.
const SEGMENT_AGE: Duration = Duration::from_secs(5);

/// How often threads that have fallen idle are asked for the repeats that they hold back: half of the second that no
/// fold may exceed.
const SWEEP: Duration = Duration::from_millis(500);

/// The ring between kernel and this program: 3 million opens in a row at full speed fit through it without a loss.
const RING_BYTES: u32 = 64 << 20;

/// The last signal that asked this program to end.
static ASKED_TO_END: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_signal(signal: i32) {
    ASKED_TO_END.store(signal, Ordering::Release);
}

fn watch_signals() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let action = SigAction::new(SigHandler::Handler(note_signal), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler only stores to an atomic.
        unsafe { sigaction(signal, &action) }
            .map_err(|error| Error::System { doing: "watching for signals", source: error.into() })?;
    }
    Ok(())
}

fn host() -> Host {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Host {
        name,
        kernel: read("/proc/sys/kernel/osrelease"),
        machine: std::env::consts::ARCH.to_owned(),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
    }
}

/// Writes events into segments.
struct Recorder {
    case: CaseFolder,
    table: Table,
    first_row: Option<Instant>,
    segment: u32,
    next_event_id: u64,
    gaps: Gaps,
    requests: Requests,
    undecoded: u64,
}

impl Recorder {
    fn take(&mut self, bytes: &[u8], child: i32) {
        let Ok((record, recorded_ns)) = decode(bytes) else {
            self.undecoded += 1;
            return;
        };
        if let Record::Event(event) | Record::Submitted(_, event) = &record {
            self.gaps.take(event.cpu, event.cpu_seq, recorded_ns);
        }
        let Some(mut event) = self.requests.take(record) else { return };
        if event.kind == Some(Kind::Fork) && event.child_pid == Some(child) && self.case.manifest.root.is_none() {
            self.case.manifest.root = event.child_start_ns.map(|start_ns| ProcessKey { pid: child, start_ns });
        }
        self.push(&mut event);
    }

    fn push(&mut self, event: &mut Event) {
        event.event_id = self.next_event_id;
        self.next_event_id += 1;
        self.first_row.get_or_insert_with(Instant::now);
        self.table.push_event(event);
    }

    /// Writes the requests whose results never came.
    fn end_requests(&mut self) {
        for mut event in self.requests.finish() {
            self.push(&mut event);
        }
    }

    fn segment_is_due(&self) -> bool {
        self.table.rows() >= SEGMENT_ROWS || self.first_row.is_some_and(|first| first.elapsed() >= SEGMENT_AGE)
    }

    fn close_segment(&mut self) -> Result<()> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        self.segment += 1;
        let path = self.case.layout.events().join(CaseLayout::segment_name(self.segment));
        let rows = self.table.write(&path)?;
        self.first_row = None;
        self.case.close_file(&path, Some(rows))?;
        self.case.manifest.clock_pairs.push(clock::pair());
        self.case.write_manifest()
    }
}

/// Runs the command under capture; returns the exit status to pass on.
pub fn run(arguments: &RunArguments) -> Result<u8> {
    let identity = Identity::resolve(arguments.user.as_deref())?;
    let mut probes = Probes::load(RING_BYTES)?;
    let pair = clock::pair();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        writer: concat!("argus-capture ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: host(),
        command: arguments.command.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
        uid: identity.user.uid.as_raw(),
        mode: "run".to_owned(),
        span_socket: None,
        root: None,
        clock_pairs: vec![pair],
        probes: probes.probes().to_vec(),
        coverage: probes.coverage().clone(),
        losses: Vec::new(),
        span_lines: SpanLineCounts::default(),
        files: Vec::new(),
        end: None,
    };
    let mut case = CaseFolder::create(&arguments.output, manifest)?;
    let journal = case.layout.span_journal();
    let receiver =
        Receiver::start(create_file(&journal)?, identity.user.uid, identity.user.gid, arguments.span_log.as_deref())?;
    case.manifest.span_socket = Some(receiver.socket().to_string_lossy().into_owned());
    watch_signals()?;

    let mut environment: Vec<(&str, OsString)> = vec![("ARGUS_SOCKET", receiver.socket().into())];
    if let Some(path) = &arguments.span_log {
        environment.push(("ARGUS_SPAN_LOG", std::path::absolute(path).unwrap_or_else(|_| path.clone()).into()));
    }
    probes.follow_children(true)?;
    let child = start(&arguments.command, &identity, &environment);
    probes.follow_children(false)?;
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            // Nothing happened, so there is nothing to keep: the same command line can be tried again, mended.
            case.discard();
            return Err(error);
        }
    };
    let pid = i32::try_from(child.id()).unwrap_or_default();

    let mut recorder = Recorder {
        case,
        table: Table::events(),
        first_row: None,
        segment: 0,
        next_event_id: 1,
        gaps: Gaps::default(),
        requests: Requests::default(),
        undecoded: 0,
    };
    let mut status: Option<ExitStatus> = None;
    let mut swept = Instant::now();
    let reason = loop {
        // Read before the ring is: whoever sees no live thread has that thread's last event already in the ring.
        let live = probes.live_threads();
        if status.is_none() {
            status = child.try_wait().map_err(|source| Error::System { doing: "waiting for the command", source })?;
        }
        let mut taken = 0u64;
        probes.poll(Duration::from_millis(if status.is_some() { 20 } else { 100 }), &mut |bytes| {
            taken += 1;
            recorder.take(bytes, pid);
        })?;
        if swept.elapsed() >= SWEEP {
            probes.sweep()?;
            swept = Instant::now();
        }
        if recorder.segment_is_due() {
            recorder.close_segment()?;
        }
        let over = match (status, ASKED_TO_END.load(Ordering::Acquire)) {
            (Some(_), _) if arguments.wait == Wait::Child => Some("the command ended"),
            (Some(_), _) if live == 0 => Some("the last process of the subtree ended"),
            // Ctrl-C reaches the command too: while it lives, its end is what counts.
            (None, signal) if signal == Signal::SIGINT as i32 => None,
            (_, 0) => None,
            (_, _) => Some("the capture was asked to end by a signal"),
        };
        if let Some(reason) = over
            && taken == 0
        {
            // What still runs goes on unrecorded; what it has done so far is counted.
            probes.sweep_all()?;
            while probes.poll(Duration::ZERO, &mut |bytes| recorder.take(bytes, pid))? > 0 {}
            break reason;
        }
    };
    let exit_code = status.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
    finish(recorder, receiver, &probes, &identity, reason, exit_code)?;
    Ok(exit_code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0))
}

fn finish(
    mut recorder: Recorder,
    receiver: Receiver,
    probes: &Probes,
    identity: &Identity,
    reason: &str,
    exit_code: Option<i32>,
) -> Result<()> {
    recorder.end_requests();
    recorder.close_segment()?;
    let mut case = recorder.case;
    let journal = case.layout.span_journal();
    let said = receiver.finish(&journal)?;
    case.close_file(&journal, None)?;
    let name = CaseLayout::segment_name(1);
    for (folder, mut table) in
        [(case.layout.spans(), Table::of_spans(&said.spans)), (case.layout.marks(), Table::of_marks(&said.marks))]
    {
        let path = folder.join(&name);
        let rows = table.write(&path)?;
        case.close_file(&path, Some(rows))?;
    }
    let end = clock::pair();
    let mut counted = probes.losses();
    counted.push(("undecoded".to_owned(), recorder.undecoded));
    let kinds: Vec<String> = probes.lost_kinds().iter().map(|(kind, _)| kind.as_str().to_owned()).collect();
    let began = case.manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
    case.manifest.losses = recorder.gaps.losses(&counted, &kinds, began, end.boot_ns);
    case.manifest.losses.extend(said.lost);
    case.manifest.span_lines = said.counts;
    case.manifest.clock_pairs.push(end);
    case.manifest.end = Some(End { clean: true, reason: reason.to_owned(), exit_code, boot_ns: end.boot_ns });
    case.write_manifest()?;
    if let Some((uid, gid)) = identity.invoker {
        case.give_to(uid, gid)?;
    }
    let lost: u64 = case.manifest.losses.iter().map(|loss| loss.count).sum();
    eprintln!(
        "argus-capture: {} holds {} events and {} spans; {}",
        case.layout.root().display(),
        recorder.next_event_id - 1,
        said.spans.len(),
        if lost == 0 { "nothing was lost".to_owned() } else { format!("{lost} events were lost") },
    );
    if said.counts.unreadable > 0 {
        eprintln!("argus-capture: {} span-log lines could not be read; they are kept", said.counts.unreadable);
    }
    Ok(())
}
