//! `run`: starts a command, and records everything beneath it.

use crate::cli::RunArguments;
use crate::error::Result;
use crate::launch::{Identity, start};
use crate::otlp;
use crate::recorder::{Asked, Followed, begin, record, tell};
use argus_bpf::Probes;
use std::ffi::OsString;

/// Runs the command under capture; returns the exit status to pass on.
pub fn run(arguments: &RunArguments) -> Result<u8> {
    let identity = Identity::resolve(arguments.user.as_deref())?;
    let probes = Probes::load(arguments.ring_mib << 20, arguments.plan.into())?;
    let asked = Asked {
        output: &arguments.output,
        mode: "run",
        command: arguments.command.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
        span_log: arguments.span_log.as_deref(),
        otlp: arguments.otlp,
        key: arguments.sign.as_deref(),
    };
    let (case, receiver) = begin(&asked, &identity, &probes)?;
    let mut environment: Vec<(&str, OsString)> = vec![("ARGUS_SOCKET", receiver.socket().into())];
    if let Some(path) = &arguments.span_log {
        environment.push(("ARGUS_SPAN_LOG", std::path::absolute(path).unwrap_or_else(|_| path.clone()).into()));
    }
    if let Some(address) = receiver.otlp() {
        let variables = otlp::environment(address);
        if variables.is_empty() {
            tell("the environment names where OTLP goes; to be received here, it must not");
        }
        otlp::silenced(|name| std::env::var(name).ok()).into_iter().for_each(|why| tell(&why));
        environment.extend(variables.into_iter().map(|(name, value)| (name, value.into())));
    }
    probes.follow_children(true)?;
    let child = start(&arguments.command, &identity, &environment);
    probes.follow_children(false)?;
    match child {
        Ok(child) => record(case, receiver, probes, &identity, Followed::Command(child, arguments.wait)),
        Err(error) => {
            // Nothing happened, so there is nothing to keep: the same command line can be tried again, mended.
            case.discard();
            Err(error)
        }
    }
}
