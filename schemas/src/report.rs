//! The report, as data: what `report --format json` prints, and what the other formats render.

use crate::verdicts::{Basis, Verdict};
use serde::{Deserialize, Serialize};

/// The version of the report's JSON form.
pub const VERSION: u32 = 1;

/// A whole report on one case. It holds no clock or path of the machine that made it: the same case gives the same
/// bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub report_version: u32,
    /// What was recorded, and how.
    pub case: CaseSummary,
    /// Sorted by severity, then by what a responder needs first, then by time.
    pub findings: Vec<Finding>,
    /// One per span, in order of start.
    pub calls: Vec<Call>,
    /// How many events got which verdict.
    pub verdicts: Vec<VerdictCount>,
    /// What went from one call to another, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What no call owns: effects of the agent itself, of ambiguous sets, of unknown origin.
    pub unowned: Vec<Unowned>,
    /// The incident timeline: the calls and the notable effects, in order of time.
    pub timeline: Vec<TimelineEntry>,
    /// What this capture could not see, so that absence is not claimed.
    pub limits: Vec<String>,
}

/// Head data of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseSummary {
    /// The case folder's name.
    pub name: String,
    /// The recorded host.
    pub host: String,
    /// Its kernel.
    pub kernel: String,
    /// The command line that was followed.
    pub command: Vec<String>,
    /// First instant, nanoseconds since 1970.
    pub started_real_ns: u64,
    /// CLOCK_BOOTTIME of the first instant: the zero of every `at_ns` in the report.
    pub started_boot_ns: u64,
    /// How long the capture lasted; of one that was killed, until the last thing that it recorded.
    pub duration_ns: u64,
    /// Rows of the events table.
    pub events: u64,
    /// Rows of the spans table.
    pub spans: u64,
    /// Processes seen.
    pub processes: u64,
    /// Events known to be lost.
    pub lost: u64,
    /// How the capture ended, in words.
    pub ended: String,
    /// Whether it ended cleanly. If not, what happened after [`CaseSummary::duration_ns`] is unknown.
    pub clean: bool,
    /// SHA-256 of the manifest, which chains every file's hash.
    pub manifest_sha256: String,
    /// Whether somebody vouches for the manifest.
    #[serde(default)]
    pub signature: Signature,
}

/// Whether somebody vouches for a case's manifest, and so for all of the case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Nobody: hashes and chain show that the files are those that the manifest names, and anybody can write a manifest.
    #[default]
    None,
    /// The holder of the key with this fingerprint; the signature was checked.
    By(String),
    /// It should be signed, and no valid signature is there; why.
    Broken(String),
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Signature::None => f.write_str(
                "nobody signed the case: hashes and chain prove that the files fit the manifest, which could have been \
                 replaced together with all of them",
            ),
            Signature::By(key) => write!(
                f,
                "signed by {key}, and the signature holds; anybody can sign: that it is the recorder's key, only who \
                 has it from elsewhere can tell"
            ),
            Signature::Broken(why) => write!(f, "the signature does not hold: {why}"),
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Worth a look.
    Low,
    /// Should be explained.
    Medium,
    /// Likely an incident, or the record is not whole.
    High,
    /// An incident unless proven otherwise.
    Critical,
}

impl Severity {
    /// The lowercase word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// One thing that the reader should know, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name: `undeclared-connect`, `metadata-address`, `undeclared-delete`, `loss`, `carrier-contradiction`, ...
    pub rule: String,
    /// How grave.
    pub severity: Severity,
    /// One sentence that names the call, the act and the object.
    pub title: String,
    /// More sentences: what was declared, where the object was first named, what the agent's log claims.
    pub details: Vec<String>,
    /// The span that owns it.
    pub span_id: Option<String>,
    /// That span's name.
    pub span_name: Option<String>,
    /// Nanoseconds since the case's start.
    pub at_ns: Option<u64>,
    /// The kernel events behind it.
    pub event_ids: Vec<u64>,
}

/// How a detail of a finding begins that is a command line from there to its end: all of it is the workload's, whatever
/// words it is made of.
pub const COMMAND_LINE: &str = "The command line: ";

impl Finding {
    /// One that nobody owns and no event is behind, yet.
    pub fn new(rule: &str, severity: Severity, title: String) -> Self {
        Self {
            rule: rule.to_owned(),
            severity,
            title,
            details: Vec::new(),
            span_id: None,
            span_name: None,
            at_ns: None,
            event_ids: Vec::new(),
        }
    }
}

/// What one call said, and what it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its place in the report, from 1.
    pub number: u32,
    /// The span's id.
    pub span_id: String,
    /// The span that it says is around it, whether or not that one is in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The model's id of the tool call, where the agent's log has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The enclosing spans, outermost first.
    pub chain: Vec<String>,
    /// `agent`, `llm`, `tool`, `step`.
    pub kind: String,
    /// The tool's name.
    pub name: String,
    /// Nanoseconds since the case's start.
    pub start_ns: u64,
    /// Likewise; `None`: it never ended.
    pub end_ns: Option<u64>,
    /// What the agent's log says of its outcome.
    pub status: Option<String>,
    /// JSON text.
    pub args: Option<String>,
    /// JSON text.
    pub result: Option<String>,
    /// JSON text.
    pub declares: Option<String>,
    /// The strings among its arguments that name paths, hosts or commands.
    pub told: Vec<String>,
    /// What it did, sorted by first time; the ordinary ones (libraries, caches of the interpreter) last.
    pub effects: Vec<Effect>,
    /// Events that it owns.
    pub events: u64,
    /// Those that came after it had returned.
    pub late_events: u64,
    /// Facets of which the capture can honestly say that none occurred: `connect`, ...
    pub none_of: Vec<String>,
    /// Facets of which it cannot, each with the reason.
    pub cannot_conclude: Vec<String>,
}

/// What kind of act an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the facets of the field")]
pub enum Facet {
    Exec,
    Connect,
    Delete,
    Rename,
    Write,
    Permission,
    Read,
    Listen,
    NameLookup,
    Ipc,
    /// Rights, mounts, namespaces and root directories changed.
    Privilege,
    /// Another process was signalled, traced, or its memory read or written.
    Signal,
}

impl Facet {
    /// The word in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Facet::Exec => "exec",
            Facet::Connect => "connect",
            Facet::Delete => "delete",
            Facet::Rename => "rename",
            Facet::Write => "write",
            Facet::Permission => "permission",
            Facet::Read => "read",
            Facet::Listen => "listen",
            Facet::NameLookup => "name_lookup",
            Facet::Ipc => "ipc",
            Facet::Privilege => "privilege",
            Facet::Signal => "signal",
        }
    }

    /// The word in a sentence about a call: it ... `object`.
    pub const fn past_tense(self) -> &'static str {
        match self {
            Facet::Exec => "executed",
            Facet::Connect => "connected to",
            Facet::Delete => "deleted",
            Facet::Rename => "renamed",
            Facet::Write => "opened for writing",
            Facet::Permission => "changed the permissions of",
            Facet::Read => "opened for reading",
            Facet::Listen => "listened on",
            Facet::NameLookup => "looked up",
            Facet::Ipc => "talked to local socket",
            Facet::Privilege => "changed its rights or its view of the system:",
            Facet::Signal => "reached into",
        }
    }
}

/// Whether anybody had said that an effect would happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// Nobody had.
    Undeclared,
    /// Perhaps: a name was told that may have resolved to this address, but no answer of a name server says so; or a file
    /// was named from which a symbolic link may have led elsewhere.
    Unconfirmed,
    /// The call's arguments name it.
    Told,
    /// The tool declared it.
    Declared,
    /// It is the agent's own, outside any call: nobody is asked to declare it.
    Own,
    /// What every program does to start: libraries, locale, the interpreter's own files.
    Ordinary,
}

/// What a name of a peer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameBasis {
    /// A name server answered with this address when it was asked for the name.
    Dns,
    /// The client asked for the name in the first packet of TLS: its own word.
    Tls,
}

/// A name of a peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerName {
    /// The name, in lower case.
    pub host: String,
    /// What it rests on.
    pub basis: Vec<NameBasis>,
}

impl PeerName {
    /// Whether a name server's answer says so.
    pub fn answered(&self) -> bool {
        self.basis.contains(&NameBasis::Dns)
    }
}

impl std::fmt::Display for PeerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |basis: &NameBasis| if *basis == NameBasis::Dns { "DNS" } else { "TLS" };
        write!(f, "{} ({})", self.host, self.basis.iter().map(word).collect::<Vec<_>>().join(", "))
    }
}

/// One fact: this call, this facet, this object, this outcome, how often, when, which events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What kind of act.
    pub facet: Facet,
    /// On what: a path, `address:port`, a program, or a name that was looked up.
    pub object: String,
    /// `ok`, or the name of the error (`ENOENT`).
    pub outcome: String,
    /// More, where it helps: the new name of a rename, the command line of an exec.
    pub detail: Option<String>,
    /// Of a connection: the names that the peer had. Several: any of them may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<PeerName>,
    /// How often. 0: only bytes are known to have gone through it, by way of a descriptor that something else had opened.
    pub count: u64,
    /// Bytes written or sent, where they were counted.
    #[serde(default)]
    pub bytes_out: Option<u64>,
    /// Bytes read or received, likewise.
    #[serde(default)]
    pub bytes_in: Option<u64>,
    /// Nanoseconds since the case's start.
    pub first_ns: u64,
    /// Likewise.
    pub last_ns: u64,
    /// Whether some of it came after the call had returned.
    pub late: bool,
    /// The weakest basis among its events' verdicts.
    pub basis: Option<Basis>,
    /// The first events behind it, at most 20.
    pub event_ids: Vec<u64>,
    /// Whether anybody had said so.
    pub expectation: Expectation,
    /// Whether the object was read from the kernel; `false`: from user memory, which the workload can change.
    pub from_kernel: bool,
    /// Where the program changed the name while the call ran, what it was at the call's end ([`UNREAD`]: that is not
    /// known; [`UNSEEN`]: it may have been another one at the call's start, which could not be read). Which of the two the kernel took, the record does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_to: Option<String>,
    /// Where the kernel followed symbolic links from a name that only the program's memory tells: where one leads that
    /// the record shows, or [`UNREAD`], if it shows neither one nor that there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub led_to: Option<String>,
}

impl Effect {
    /// What weakens its object as evidence: that the program's own memory alone named it, and what it made of the name.
    pub fn by_memory(&self) -> Option<String> {
        Some(match self.changed_to.as_deref() {
            None if self.from_kernel => return None,
            None => match self.led_to.as_deref() {
                None => BY_MEMORY.to_owned(),
                Some(UNREAD) => format!("{BY_MEMORY}; a symbolic link there would have been followed"),
                Some(target) => format!("{BY_MEMORY}; a symbolic link there leads to {target}"),
            },
            Some(UNSEEN) => "named by the program's own memory, which could not be read when the call began".to_owned(),
            Some(UNREAD) => "named by the program's own memory, which it changed while the call ran".to_owned(),
            Some(other) => format!("named by the program's own memory, which it changed to {other} while the call ran"),
        })
    }
}

/// What is said of an object that the program's memory alone named.
pub const BY_MEMORY: &str = "named by the program's own memory, which it can change";

/// What stands for something that the probe could not read.
pub const UNREAD: &str = "(not recorded)";

/// What stands for a name that could not be read when its call began.
pub const UNSEEN: &str = "(not read when the call began)";

/// How something went from one call to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// One wrote a file that the other ran.
    Executed,
    /// One wrote a file that the other read.
    Read,
    /// One wrote a file that the other opened, which is not known to have read it: it could have, through a mapping in memory.
    Opened,
    /// Bytes through a pipe or FIFO.
    Pipe,
    /// Bytes through a socket.
    Socket,
    /// An open file, passed from process to process.
    Descriptor,
    /// A signal.
    Signal,
    /// One traced a process of the other.
    Ptrace,
    /// One wrote into a process's memory.
    MemoryWritten,
    /// One read a process's memory.
    MemoryRead,
}

impl Way {
    /// What the one did to an object.
    pub const fn given(self) -> &'static str {
        match self {
            Way::Executed | Way::Read | Way::Opened => "wrote",
            Way::Pipe | Way::Socket => "sent something through",
            Way::Descriptor => "passed a descriptor of",
            Way::Signal => "signalled",
            Way::Ptrace => "traced",
            Way::MemoryWritten => "wrote into the memory of",
            Way::MemoryRead => "read the memory of",
        }
    }

    /// What the other did with it.
    pub const fn taken(self) -> &'static str {
        match self {
            Way::Executed => "executed",
            Way::Read => "read",
            Way::Opened => "opened",
            Way::Pipe | Way::Socket | Way::Descriptor => "received",
            // The process is the other call's; what it did next is the event on that side.
            Way::Signal | Way::Ptrace | Way::MemoryWritten | Way::MemoryRead => "had started",
        }
    }
}

/// What a call did to a file that another took, other than to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It set its length.
    Cut,
    /// It gave it another name.
    Renamed,
    /// It gave it one more name.
    Linked,
    /// It opened it for writing, and is not known to have written: it could have, through a mapping in memory.
    OpenedToWrite,
}

impl Deed {
    /// The word before the file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Deed::Cut => "cut",
            Deed::Renamed => "renamed",
            Deed::Linked => "linked",
            Deed::OpenedToWrite => "opened for writing",
        }
    }

    /// The word between the old name and the new one.
    const fn to(self) -> &'static str {
        if matches!(self, Deed::Linked) { "as" } else { "to" }
    }
}

/// A step of a file from name to name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// The span whose doing it was; `None`: no call is known to have.
    pub span: Option<String>,
    /// What was done.
    pub deed: Deed,
    /// The name that the file had then.
    pub object: String,
    /// The event.
    pub event: u64,
}

/// What went one way from one call to another. It is evidence of its own kind, and changes nobody's ownership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// How.
    pub way: Way,
    /// The span whose doing it was.
    pub from: String,
    /// The span whose process took it, or had started that process; `None`: the agent itself had.
    pub to: Option<String>,
    /// When the first of it was taken; nanoseconds since the case's start.
    pub first_ns: u64,
    /// How many objects.
    pub count: u64,
    /// The first of them, at most 20.
    pub objects: Vec<Linked>,
}

/// One thing that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// A path, a pipe or socket, a process.
    pub object: String,
    /// The process that gave it.
    pub from_pid: i32,
    /// The event of its giving.
    pub from_event: u64,
    /// The process that took it.
    pub to_pid: i32,
    /// The event of its taking.
    pub to_event: u64,
    /// Of a file that its giver is not known to have written: what it did instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<Deed>,
    /// What became of a file's name until it was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Through>,
    /// The name by which a file was taken, or which its giver gave it, where that is not its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_as: Option<String>,
}

impl Linked {
    /// The name by which it was taken.
    pub fn taken(&self) -> &str {
        let last = self.through.last().map(|step| &step.object);
        last.or(self.taken_as.as_ref()).unwrap_or(&self.object)
    }

    /// In words, after the giver's name: `wrote /w/a (event 31), which call 4 renamed to /w/b (event 40), which`. What took it,
    /// and how, comes next. `name` names a span.
    pub fn given(&self, way: Way, name: impl Fn(&str) -> String) -> String {
        let deed = self.deed.map_or(way.given(), Deed::as_str);
        let new = self.deed.filter(|deed| matches!(deed, Deed::Renamed | Deed::Linked)).zip(self.taken_as.as_ref());
        let new = new.map(|(deed, name)| format!(" {} {name}", deed.to())).unwrap_or_default();
        let mut text = format!("{deed} {}{new} (event {}), which", self.object, self.from_event);
        for step in &self.through {
            let who = step.span.as_deref().map_or_else(|| "something outside any call".to_owned(), &name);
            let (deed, to, object) = (step.deed.as_str(), step.deed.to(), &step.object);
            text.push_str(&format!(" {who} {deed} {to} {object} (event {}), which", step.event));
        }
        text
    }

    /// In words, after the taker's name: `executed (event 88)`.
    pub fn taken_how(&self, way: Way) -> String {
        let moved = self.deed.is_some_and(|deed| matches!(deed, Deed::Renamed | Deed::Linked));
        let known_as = self.taken_as.as_ref().filter(|_| !moved);
        let known_as = known_as.map(|name| format!(" as {name}")).unwrap_or_default();
        format!("{}{known_as} (event {})", way.taken(), self.to_event)
    }
}

/// A verdict class with its number of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictCount {
    /// The class.
    pub verdict: Verdict,
    /// The basis, for attributed ones.
    pub basis: Option<Basis>,
    /// How many events.
    pub events: u64,
}

/// Effects that no single call owns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unowned {
    /// Why: `runtime`, `ambiguous`, `outside`, `unknown`.
    pub verdict: Verdict,
    /// The spans that could own them, for ambiguous ones.
    pub candidates: Vec<String>,
    /// The reason, for unknown ones.
    pub reason: Option<String>,
    /// What happened.
    pub effects: Vec<Effect>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Nanoseconds since the case's start.
    pub at_ns: u64,
    /// `start`, `end`, the facet, or `record` for what the record itself lacks from here on.
    pub what: String,
    /// One line of text.
    pub text: String,
    /// The call's number, if one owns it.
    pub call: Option<u32>,
    /// The call's name.
    pub call_name: Option<String>,
    /// For effects that nobody declared.
    pub undeclared: bool,
    /// The kernel events behind it.
    pub event_ids: Vec<u64>,
    /// What weakens the line as evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
