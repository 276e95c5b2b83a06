//! The command line.

use argus_bpf::Ask;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Records what an agent's tools really do: follows a command in the kernel and writes a case for argus-analyze.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a command and record everything beneath it until the last of its processes ends.
    Run(RunArguments),
    /// Follow a process or a control group that runs already, with all that it starts from now on.
    Attach(AttachArguments),
    /// Tell what this machine allows, what would be unseen, and how to mend it.
    Doctor(DoctorArguments),
    /// Begin or end a span from a shell; silent outside a capture.
    #[command(subcommand)]
    Mark(MarkArguments),
    /// Turn a coding agent's hook call (JSON on standard input) into a span; it never disturbs the agent.
    Hook(HookArguments),
    /// Run an MCP server behind this program, which passes everything on unchanged and tells of the tools that are called.
    Mcp(McpArguments),
}

/// `mcp`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example, in place of `node server.js` in a client's settings:\n  argus-capture mcp --name files -- node server.js"
)]
pub struct McpArguments {
    /// The name that the client has for the server: its tools are then called mcp__NAME__TOOL, as agents call them.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The server and its arguments: the process itself that runs the tools, no launcher.
    #[arg(required = true, trailing_var_arg = true, value_name = "SERVER")]
    pub command: Vec<OsString>,
}

/// `mark`.
#[derive(Debug, Subcommand)]
pub enum MarkArguments {
    /// Begin a span, and print what the shell should evaluate.
    Start(MarkStart),
    /// End the span of TRACEPARENT, and print what goes back to the one before.
    End(MarkEnd),
}

/// `mark start`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  eval \"$(argus-capture mark start deploy)\"; ./deploy.sh; eval \"$(argus-capture mark end)\""
)]
pub struct MarkStart {
    /// What the span is called.
    pub name: String,
    /// `tool`, `agent`, `llm` or `step`.
    #[arg(long, value_parser = ["tool", "agent", "llm", "step"], default_value = "tool")]
    pub kind: String,
    /// The call's arguments.
    #[arg(long, value_name = "JSON")]
    pub args: Option<String>,
    /// What it may touch: {"hosts":[],"read":[],"write":[],"delete":[],"exec":[]}.
    #[arg(long, value_name = "JSON")]
    pub declares: Option<String>,
    /// The shell that the span runs in; the parent of this process, unless told otherwise.
    #[arg(long = "for", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
}

/// `mark end`.
#[derive(Debug, Args)]
pub struct MarkEnd {
    /// `ok`, `error`, `cancelled`, or a word of your own.
    #[arg(long, default_value = "ok")]
    pub status: String,
    /// What came of it: JSON, or a text.
    #[arg(long, value_name = "JSON")]
    pub result: Option<String>,
    /// The shell that the span ran in, if `mark start` was told one.
    #[arg(long = "for", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
}

/// `hook`.
#[derive(Debug, Args)]
pub struct HookArguments {
    /// Print what to add to the agent's settings (Claude Code: settings.json; Codex: hooks.json; `--settings gemini`,
    /// Gemini CLI: settings.json) instead.
    #[arg(long, value_enum, value_name = "AGENT", num_args = 0..=1, default_missing_value = "claude")]
    pub settings: Option<Coder>,
}

/// Coding agents, by the settings that they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Coder {
    /// Claude Code.
    Claude,
    /// Codex, which takes what Claude Code does.
    Codex,
    /// Gemini CLI.
    Gemini,
}

/// `run`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo argus-capture run -o incident.argus -- python3 agent.py")]
pub struct RunArguments {
    /// The case folder to write; it must not exist yet, or be empty.
    #[arg(short = 'o', long = "output", value_name = "CASE")]
    pub output: PathBuf,
    /// Run the command as this user (name or number). Under sudo: the invoking user, unless told otherwise.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// When to stop: with the last process of the subtree, or with the command itself.
    #[arg(long, value_enum, default_value_t = Wait::Subtree)]
    pub wait: Wait,
    /// What to read names and addresses from, where the kernel leaves a choice.
    #[arg(long, value_enum, default_value_t = Plan::Auto)]
    pub plan: Plan,
    /// How much of the kernel's memory may wait for the recorder, in MiB: a power of two. A command that does more than
    /// that while the recorder gets no processor loses events, and the case tells how many.
    #[arg(long, value_name = "N", default_value_t = crate::recorder::RING_BYTES >> 20, value_parser = ring_mib)]
    pub ring_mib: u32,
    /// Also read span-log lines that are appended to this file while the capture runs.
    #[arg(long, value_name = "FILE")]
    pub span_log: Option<PathBuf>,
    /// Receive OTLP over HTTP here (port 0: any that is free), and lead the command's exporters to it.
    #[arg(long, value_name = "127.0.0.1:PORT", value_parser = crate::otlp::loopback)]
    pub otlp: Option<SocketAddr>,
    /// Sign the case with this OpenSSH private key (Ed25519 or ECDSA P-256, no passphrase), for example the host's own.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// A ring's size: the kernel takes powers of two, below 4 GiB.
fn ring_mib(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(mib) if mib.is_power_of_two() && mib <= 2048 => Ok(mib),
        _ => Err("it must be a power of two, from 1 to 2048".to_owned()),
    }
}

/// `attach`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sudo argus-capture attach -o incident.argus --pid 4242\n  \
                        sudo argus-capture attach -o incident.argus --cgroup /sys/fs/cgroup/system.slice/agent.service")]
#[command(group(clap::ArgGroup::new("whom").required(true).args(["pid", "cgroup"])))]
pub struct AttachArguments {
    /// The case folder to write; it must not exist yet, or be empty.
    #[arg(short = 'o', long = "output", value_name = "CASE")]
    pub output: PathBuf,
    /// The agent's process; what descends from it is followed too.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// The folder of a control group (version 2); what runs in it or beneath it is followed.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// What to read names and addresses from, where the kernel leaves a choice.
    #[arg(long, value_enum, default_value_t = Plan::Auto)]
    pub plan: Plan,
    /// Also read span-log lines that are appended to this file while the capture runs.
    #[arg(long, value_name = "FILE")]
    pub span_log: Option<PathBuf>,
    /// Receive OTLP over HTTP here, from an agent that was told to send it there (port 0: any that is free).
    #[arg(long, value_name = "127.0.0.1:PORT", value_parser = crate::otlp::loopback)]
    pub otlp: Option<SocketAddr>,
    /// Sign the case with this OpenSSH private key (Ed25519 or ECDSA P-256, no passphrase), for example the host's own.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
}

/// How much of what the kernel offers is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Plan {
    /// The kernel's own objects where its functions can be traced, else what the calls say.
    Auto,
    /// What the calls say alone.
    Syscalls,
}

impl From<Plan> for Ask {
    fn from(plan: Plan) -> Ask {
        match plan {
            Plan::Auto => Ask::Everything,
            Plan::Syscalls => Ask::Syscalls,
        }
    }
}

/// When a capture ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// With the last process that descends from the command.
    Subtree,
    /// With the command.
    Child,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
