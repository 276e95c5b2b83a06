//! The loop that writes what the kernel says, whatever is followed: `run` starts it, `attach` finds it.

use crate::attach;
use crate::case::CaseFolder;
use crate::cli::Wait;
use crate::clock;
use crate::error::{Error, Result};
use crate::gaps::Gaps;
use crate::launch::Identity;
use crate::names::Names;
use crate::receiver::Receiver;
use crate::requests::Requests;
use crate::rights;
use crate::safe;
use crate::segments::{PERIOD, Segments};
use crate::tables::Table;
use argus_bpf::{Probes, Record, decode};
use argus_schemas::case::{CaseLayout, FORMAT_VERSION};
use argus_schemas::events::{Event, Kind};
use argus_schemas::manifest::{End, Host, Loss, Manifest, ProcessKey, Program, SpanLineCounts};
use argus_schemas::signature::Signer;
use argus_schemas::span_log::Assembled;
use caps::Capability;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// Why a capture ends that a signal asked to.
const ASKED: &str = "the capture was asked to end by a signal";

/// How long the ends of TCP connections are waited for once their processes are gone: on one machine they take
/// milliseconds, and a peer that never answers is not worth more.
const CLOSING: Duration = Duration::from_millis(300);

/// How often the two clocks are compared.
const CLOCK_PERIOD_NS: u64 = 60_000_000_000;

/// How often threads that have fallen idle are asked for the repeats that they hold back: half of the second that no
/// fold may exceed.
const SWEEP: Duration = Duration::from_millis(500);

/// The ring between kernel and this program, which maps it twice. Of 3 million opens in a row at 500,000 a second, 1.5 % do
/// not fit through one of 64 MiB; at 330,000 a second, 0.2 % of ten million. Half of it leaves a capture within 150 MB.
pub const RING_BYTES: u32 = 32 << 20;

/// The last signal that asked this program to end.
static ASKED_TO_END: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_signal(signal: i32) {
    ASKED_TO_END.store(signal, Ordering::Release);
}

extern "C" fn note_nothing(_: i32) {}

pub fn watch_signals() -> Result<()> {
    // The limit on a file's size is to make a write fail, which is told of, and not to kill. Handled and not ignored, since
    // what is ignored here would be ignored by the command too.
    let handlers = [
        (Signal::SIGINT, note_signal as extern "C" fn(i32)),
        (Signal::SIGQUIT, note_signal),
        (Signal::SIGTERM, note_signal),
        (Signal::SIGHUP, note_signal),
        (Signal::SIGXFSZ, note_nothing),
    ];
    for (signal, handler) in handlers {
        let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: a handler only stores to an atomic, or does nothing.
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

/// Turns what the kernel sends into the case.
struct Recorder {
    case: CaseFolder,
    receiver: Receiver,
    segments: Segments,
    next_event_id: u64,
    gaps: Gaps,
    requests: Requests,
    names: Names,
    undecoded: u64,
    /// The process that was asked for, until its row tells when it began.
    root: Option<i32>,
    /// Since when the case cannot be written, and why.
    stuck: Option<(u64, String)>,
}

impl Recorder {
    fn take(&mut self, bytes: &[u8]) {
        let Ok((record, recorded_ns)) = decode(bytes) else {
            self.undecoded += 1;
            return;
        };
        let record = match record {
            Record::Packet(row, packet) => {
                for mut row in self.names.take(row, &packet) {
                    self.push(&mut row);
                }
                return;
            }
            record => record,
        };
        if let Record::Event(event) | Record::Submitted(_, event) = &record {
            self.gaps.take(event.cpu, event.cpu_seq, recorded_ns);
        }
        let Some(mut event) = self.requests.take(record) else { return };
        if event.kind == Some(Kind::Existing) {
            attach::complete(&mut event);
        }
        if self.case.manifest.root.is_none() && self.root.is_some() {
            let began = match event.kind {
                Some(Kind::Fork) if event.child_pid == self.root => event.child_start_ns,
                Some(Kind::Existing) if Some(event.pid) == self.root => Some(event.start_ns),
                _ => None,
            };
            self.case.manifest.root = self.root.zip(began).map(|(pid, start_ns)| ProcessKey { pid, start_ns });
        }
        if let Some(mut answer) = self.names.talks(&event) {
            self.push(&mut answer);
        }
        self.push(&mut event);
    }

    fn push(&mut self, event: &mut Event) {
        for field in &event.missing {
            match self.case.manifest.incomplete.get_mut(field) {
                Some(count) => *count += 1,
                None => drop(self.case.manifest.incomplete.insert(field.clone(), 1)),
            }
        }
        event.event_id = self.next_event_id;
        self.next_event_id += 1;
        self.segments.push(event);
    }

    /// Writes the requests whose results never came.
    fn end_requests(&mut self) {
        for mut event in self.requests.finish() {
            self.push(&mut event);
        }
    }

    /// Where events are missing, as far as it is known now.
    fn losses(&self, probes: &Probes, now: u64) -> Vec<Loss> {
        let mut counted = probes.losses();
        counted.push(("undecoded".to_owned(), self.undecoded));
        let kinds: Vec<String> = probes.lost_kinds().iter().map(|(kind, _)| kind.as_str().to_owned()).collect();
        let began = self.case.manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
        let mut losses = self.gaps.losses(&counted, &kinds, began, now);
        if let (Some((since, _)), missing @ 1..) = (&self.stuck, self.segments.missing()) {
            losses.push(Loss {
                cause: "not_written".to_owned(),
                count: missing,
                cpu: None,
                kinds: Vec::new(),
                from_boot_ns: since.saturating_sub(2 * u64::try_from(PERIOD.as_nanos()).unwrap_or(0)),
                to_boot_ns: now,
            });
        }
        losses
    }

    /// Writes what came in. A disk that is full ends nothing: the command goes on, what can still be written is, and
    /// the manifest tells of the rest.
    fn write(&mut self, probes: &Probes, last: bool) {
        let pair = clock::pair();
        let pairs = &mut self.case.manifest.clock_pairs;
        if pairs.last().is_none_or(|before| pair.boot_ns.saturating_sub(before.boot_ns) >= CLOCK_PERIOD_NS) {
            pairs.push(pair);
        }
        self.case.manifest.losses = self.losses(probes, pair.boot_ns);
        let mut outcome = self.segments.write(&mut self.case, last);
        if let Err(error) = &outcome
            && self.stuck.is_none()
            && (error.is_refusal() || !self.case.is_whole())
        {
            self.put_back(error.is_refusal());
            outcome = self.segments.write(&mut self.case, last);
        }
        match outcome {
            Ok(()) => {
                if self.stuck.is_some() && self.segments.missing() == 0 {
                    self.stuck = None;
                    self.case.manifest.end = None;
                }
            }
            Err(error) => self.cannot_write(pair.boot_ns, &error),
        }
    }

    /// Looks whether the case is still there, and puts back what is not.
    fn guard(&mut self) {
        if self.stuck.is_none() && !self.case.is_whole() {
            self.put_back(false);
        }
    }

    /// `refused`: the folder is there, but does not let this program write into it any more.
    fn put_back(&mut self, refused: bool) {
        let now = clock::boot_ns();
        match self.case.restore(now, refused) {
            Ok(Some(restored)) => {
                tell(&restored.message);
                if let Some(journal) = restored.journal {
                    self.receiver.go_on_in(journal);
                }
            }
            Ok(None) => {}
            Err(error) => self.cannot_write(now, &error),
        }
    }

    fn cannot_write(&mut self, now: u64, error: &Error) {
        let why = error.in_full();
        if self.stuck.is_none() {
            tell(&format!("{why}; the command goes on, and what cannot be kept is counted"));
            self.case.free_reserve();
        }
        let (since, _) = self.stuck.get_or_insert((now, why.clone()));
        let reason = format!("the case could not be written any more: {why}");
        self.case.manifest.end = Some(End { clean: false, went_on: false, reason, exit_code: None, boot_ns: *since });
        // If not even this can be written, the manifest of before stands.
        let _ = self.case.write_manifest();
    }
}

/// A message for people; a terminal that is gone is no error.
pub fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "argus-capture: {}", safe::printable(message));
}

/// What a capture is asked to write, and about whom.
pub struct Asked<'a> {
    /// The case's folder.
    pub output: &'a Path,
    /// The subcommand.
    pub mode: &'static str,
    /// What runs, or is attached to, in words.
    pub command: Vec<String>,
    /// A file that spans are appended to.
    pub span_log: Option<&'a Path>,
    /// Where to receive OTLP.
    pub otlp: Option<SocketAddr>,
    /// The private key that signs the case.
    pub key: Option<&'a Path>,
}

fn signer(key: &Path) -> Result<Signer> {
    let text = std::fs::read_to_string(key).map_err(|source| Error::Unreadable { path: key.to_owned(), source })?;
    Signer::read(&text).map_err(|source| Error::Key { path: key.to_owned(), source })
}

/// The folder of the control group of this process, in the hierarchy of version 2, wherever that is mounted.
fn control_group() -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let (groups, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mounts")?);
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [_, folder, "cgroup2", ..] => Some(folder.to_owned()),
        _ => None,
    })?;
    Some(format!("{root}{}", group.trim_end_matches('/')))
}

/// The file of this program.
fn own_program() -> Option<Program> {
    let path = std::env::current_exe().ok()?;
    let file = path.metadata().ok()?;
    Some(Program { path: path.to_str()?.to_owned(), dev: file.dev(), inode: file.ino() })
}

/// Makes the case and opens the span socket.
pub fn begin(asked: &Asked<'_>, identity: &Identity, probes: &Probes) -> Result<(CaseFolder, Receiver)> {
    let signer = asked.key.map(signer).transpose()?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        writer: concat!("argus-capture ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: host(),
        command: asked.command.clone(),
        uid: identity.user.uid.as_raw(),
        mode: asked.mode.to_owned(),
        span_socket: None,
        otlp_address: None,
        recorder_pid: i32::try_from(std::process::id()).ok(),
        recorder_cgroup: control_group(),
        recorder_program: own_program(),
        case_path: std::path::absolute(asked.output).ok().map(|path| path.to_string_lossy().into_owned()),
        root: None,
        clock_pairs: vec![clock::pair()],
        probes: probes.probes().to_vec(),
        coverage: probes.coverage().clone(),
        losses: Vec::new(),
        span_lines: SpanLineCounts::default(),
        incomplete: BTreeMap::new(),
        disturbances: Vec::new(),
        signed_by: signer.as_ref().map(Signer::fingerprint),
        files: Vec::new(),
        end: None,
    };
    let mut case = CaseFolder::create(asked.output, manifest, signer)?;
    let journal = case.create_file(CaseLayout::SPAN_JOURNAL)?;
    let receiver = Receiver::start(
        journal,
        identity.user.uid,
        identity.user.gid,
        asked.span_log,
        asked.mode == "attach",
        asked.otlp,
    )?;
    case.manifest.otlp_address = receiver.otlp().map(|address| address.to_string());
    case.manifest.span_socket = Some(receiver.socket().to_string_lossy().into_owned());
    watch_signals()?;
    Ok((case, receiver))
}

/// Whom a capture follows, and so what ends it.
pub enum Followed {
    /// A command that was started for it.
    Command(Child, Wait),
    /// What ran already; of a control group, no process is the first.
    Existing(Option<i32>),
}

impl Followed {
    fn pid(&self) -> Option<i32> {
        match self {
            Followed::Command(child, _) => i32::try_from(child.id()).ok(),
            Followed::Existing(pid) => *pid,
        }
    }
}

/// What a capture still needs once its programs are loaded and its command runs as its user.
fn needed(followed: &Followed, identity: &Identity, case: &CaseFolder) -> Vec<Capability> {
    let mut needed = match followed {
        // To pass on to the command that the terminal went.
        Followed::Command(..) => vec![Capability::CAP_KILL],
        // To read the arguments of what runs already.
        Followed::Existing(_) => vec![Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH],
    };
    if identity.invoker.is_some() {
        needed.push(Capability::CAP_CHOWN);
    }
    if !case.lies_in_own_folder() {
        // To put the case back, should it be taken away from somebody else's folder.
        needed.push(Capability::CAP_DAC_OVERRIDE);
    }
    needed
}

/// Records until it ends; returns the exit status to pass on.
pub fn record(
    case: CaseFolder,
    receiver: Receiver,
    mut probes: Probes,
    identity: &Identity,
    mut followed: Followed,
) -> Result<u8> {
    rights::lift_limits();
    rights::keep_only(&needed(&followed, identity, &case))?;
    let mut recorder = Recorder {
        case,
        receiver,
        segments: Segments::new(),
        next_event_id: 1,
        gaps: Gaps::default(),
        requests: Requests::default(),
        names: Names::default(),
        undecoded: 0,
        root: followed.pid(),
        stuck: None,
    };
    let mut status: Option<ExitStatus> = None;
    let mut swept = Instant::now();
    let mut hung_up = false;
    let mut gone_since: Option<Instant> = None;
    let mut joined = 0;
    let reason = loop {
        // Read before the ring is: whoever sees nothing alive has every event already in the ring.
        let live = probes.live();
        if let (Followed::Command(child, _), None) = (&mut followed, status) {
            status = child.try_wait().map_err(|source| Error::System { doing: "waiting for the command", source })?;
        }
        let mut taken = 0u64;
        probes.poll(Duration::from_millis(if status.is_some() { 20 } else { 100 }), &mut |bytes| {
            taken += 1;
            recorder.take(bytes);
        })?;
        if joined != probes.joined() {
            joined = probes.joined();
            probes.follow_joined()?;
        }
        if swept.elapsed() >= SWEEP {
            probes.sweep()?;
            recorder.guard();
            swept = Instant::now();
        }
        if recorder.segments.is_due() {
            recorder.write(&probes, false);
        }
        let asked = ASKED_TO_END.load(Ordering::Acquire);
        // The leader of a session alone is told that its terminal went; a shell would pass it on, and so does this.
        if let (Followed::Command(child, _), None, false) = (&followed, status, hung_up)
            && asked == Signal::SIGHUP as i32
        {
            hung_up = true;
            let pid = i32::try_from(child.id()).unwrap_or_default();
            // A command that has just ended needs no telling.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGHUP);
        }
        let over = match (&followed, status) {
            (Followed::Command(_, Wait::Child), Some(_)) => Some("the command ended"),
            (Followed::Existing(_), _) | (_, Some(_)) if live == 0 => {
                let gone = *gone_since.get_or_insert_with(Instant::now);
                let closing = probes.open_connections() > 0 && gone.elapsed() < CLOSING;
                (!closing).then_some("the last process of the subtree ended")
            }
            // Ctrl-C, Ctrl-\ and a terminal that closes reach the command too: while it lives, its end is what counts.
            (Followed::Command(..), None)
                if [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP].iter().any(|signal| asked == *signal as i32) =>
            {
                None
            }
            _ if asked != 0 => Some(ASKED),
            _ => None,
        };
        if let Some(reason) = over
            && taken == 0
        {
            // What still runs goes on unrecorded; what it has done so far is counted.
            probes.sweep_all()?;
            while probes.poll(Duration::ZERO, &mut |bytes| recorder.take(bytes))? > 0 {}
            break reason;
        }
    };
    let exit_code = status.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
    finish(recorder, &probes, identity, reason, exit_code)?;
    let passed_on = match (exit_code, &followed) {
        (Some(code), _) => code,
        // Asked to end before the command did, whose status nobody knows.
        (None, Followed::Command(..)) => 128 + ASKED_TO_END.load(Ordering::Acquire),
        (None, Followed::Existing(_)) => 0,
    };
    Ok(u8::try_from(passed_on).unwrap_or(u8::MAX))
}

fn finish(
    mut recorder: Recorder,
    probes: &Probes,
    identity: &Identity,
    reason: &str,
    exit_code: Option<i32>,
) -> Result<()> {
    recorder.end_requests();
    recorder.guard();
    // Written once more, as one file; the manifest follows below, with everything else.
    recorder.write(probes, true);
    let journal = recorder.case.path().join(CaseLayout::SPAN_JOURNAL);
    let (mut said, trouble, ignored) = recorder.receiver.finish(&journal)?;
    let end = clock::pair();
    recorder.case.manifest.losses = recorder.losses(probes, end.boot_ns);
    recorder.case.manifest.losses.extend(said.lost.iter().cloned());
    recorder.case.manifest.span_lines = said.counts;
    recorder.case.manifest.clock_pairs.push(end);
    said.place(&recorder.case.manifest.clock_pairs);
    if let Some(error) = trouble.or_else(|| spans(&mut recorder.case, &said).err()) {
        recorder.cannot_write(end.boot_ns, &error);
    }
    // What goes on unrecorded can make any "it did not" untrue.
    let went_on = reason == ASKED && probes.live() > 0;
    let reason = if went_on { format!("{reason}, while processes of the subtree went on") } else { reason.to_owned() };
    let (clean, reason) = match &recorder.stuck {
        Some((_, why)) => (false, format!("{reason}; before that, the case could not be written: {why}")),
        // Who attaches to an agent says when to stop; a command is recorded to its end.
        None => (!went_on || recorder.case.manifest.mode == "attach", reason),
    };
    recorder.case.manifest.end = Some(End { clean, went_on, reason, exit_code, boot_ns: end.boot_ns });
    recorder.case.free_reserve();
    let mut case = recorder.case;
    if let Err(error) = case.write_manifest().and_then(|()| case.seal()) {
        tell(&error.in_full());
    }
    if let Some((uid, gid)) = identity.invoker {
        case.give_to(uid, gid)?;
    }
    // Authors of span logs say how much they lost, too, and may say anything.
    let lost = case.manifest.losses.iter().fold(0u64, |sum, loss| sum.saturating_add(loss.count));
    tell(&format!(
        "{} holds {} events and {} spans; {}",
        case.path().display(),
        case.manifest
            .files
            .iter()
            .filter(|file| file.path.starts_with("events/"))
            .filter_map(|file| file.rows)
            .sum::<u64>(),
        said.spans.len(),
        if lost == 0 { "nothing was lost".to_owned() } else { format!("{lost} events were lost") },
    ));
    if ignored > 0 {
        tell(&format!("{ignored} requests of OTLP told of metrics or logs; they are not kept"));
    }
    if said.counts.unreadable > 0 {
        tell(&format!("{} span-log lines could not be read; they are kept", said.counts.unreadable));
    }
    Ok(())
}

/// Writes what the agent said.
fn spans(case: &mut CaseFolder, said: &Assembled) -> Result<()> {
    case.close_file(CaseLayout::SPAN_JOURNAL, None)?;
    for (table, mut rows) in [("spans", Table::of_spans(&said.spans)), ("marks", Table::of_marks(&said.marks))] {
        let name = CaseLayout::segment(table, 1);
        let rows = case.write_table(&[rows.take()?], &name)?;
        case.close_file(&name, Some(rows))?;
    }
    Ok(())
}
