//! `mark`: a span from a shell. What it prints is for the shell's `eval`: the new `TRACEPARENT`, and those to go back to.

use crate::cli::{MarkArguments, MarkEnd, MarkStart};
use crate::clock::boot_ns;
use crate::error::{Error, Result};
use crate::hook::context;
use crate::messenger::{Listener, bounded, in_time, is_fish, shell};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;

/// The trace contexts that lie beneath the present one, innermost first.
const STACK: &str = "ARGUS_PARENT";

/// Where there was no trace context.
const NONE: &str = "none";

/// Starts or ends a span; outside a capture it says nothing and does nothing.
pub fn mark(arguments: &MarkArguments) -> Result<u8> {
    let traceparent = std::env::var("TRACEPARENT").ok().filter(|text| context(text).is_some());
    let stack = std::env::var(STACK).ok();
    let printed = match arguments {
        MarkArguments::Start(start) => self::start(start, traceparent.as_deref(), stack.as_deref())?,
        MarkArguments::End(end) => self::end(end, traceparent.as_deref(), stack.as_deref())?,
    };
    if let Some(printed) = printed {
        println!("{printed}");
    }
    Ok(0)
}

/// A value as it was given: JSON, or an error that says which option is not.
fn value(option: &'static str, text: Option<&str>) -> Result<Option<Value>> {
    let parse = |text: &str| serde_json::from_str(text).map_err(|source| Error::NotJson { option, source });
    Ok(text.map(parse).transpose()?.map(bounded))
}

/// What a span is called: a script whose variable is empty is not stopped for it.
fn named(name: &str) -> &str {
    if name.trim().is_empty() { "(no name)" } else { name }
}

fn random(bytes: &mut [u8]) -> Result<String> {
    let filled = File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes));
    filled.map_err(|source| Error::System { doing: "making a span's id", source })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn start(start: &MarkStart, traceparent: Option<&str>, stack: Option<&str>) -> Result<Option<String>> {
    let (args, declares) = (value("--args", start.args.as_deref())?, value("--declares", start.declares.as_deref())?);
    let Some(listener) = Listener::find() else { return Ok(None) };
    let (trace, parent_span) = traceparent.and_then(context).unzip();
    let trace = match trace {
        Some(trace) => trace.to_owned(),
        None => random(&mut [0; 16])?,
    };
    let span = random(&mut [0; 8])?;
    let line = json!({
        "v": 1, "type": "start", "span": span, "trace": trace, "parent": parent_span, "kind": start.kind,
        "name": named(&start.name), "boot_ns": boot_ns(), "for": start.pid.unwrap_or_else(shell), "args": args,
        "declares": declares,
    });
    let told = in_time(move || listener.tell(&line)) == Some(true);
    Ok(told.then(|| {
        let before = traceparent.unwrap_or(NONE);
        let beneath = known(stack).map_or_else(|| before.to_owned(), |stack| format!("{before}:{stack}"));
        format!("export TRACEPARENT=00-{trace}-{span}-01 {STACK}={beneath}")
    }))
}

/// The stack, if it holds nothing but trace contexts: a shell will read it.
fn known(stack: Option<&str>) -> Option<&str> {
    stack.filter(|stack| stack.split(':').all(|one| one == NONE || context(one).is_some()))
}

fn end(end: &MarkEnd, traceparent: Option<&str>, stack: Option<&str>) -> Result<Option<String>> {
    let result = match end.result.as_deref() {
        // What is no JSON is a text.
        Some(text) => Some(bounded(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))),
        None => None,
    };
    let Some(stack) = known(stack) else { return Ok(None) };
    if let (Some((_, span)), Some(listener)) = (traceparent.and_then(context), Listener::find()) {
        let line = json!({
            "v": 1, "type": "end", "span": span, "boot_ns": boot_ns(), "for": end.pid.unwrap_or_else(shell),
            "status": end.status, "result": result,
        });
        // What the shell goes back to does not depend on it.
        let _ = in_time(move || listener.tell(&line));
    }
    Ok(Some(back_to(stack, is_fish(shell()))))
}

/// What makes a shell go back to what lies on top of the stack.
fn back_to(stack: &str, fish: bool) -> String {
    let (before, beneath) = stack.split_once(':').map_or((stack, None), |(before, rest)| (before, Some(rest)));
    let variable = |name: &str, value: Option<&str>| match value {
        Some(value) => format!("export {name}={value}"),
        // It knows `export`, but no `unset`.
        None if fish => format!("set --erase {name}"),
        None => format!("unset {name}"),
    };
    let before = Some(before).filter(|before| *before != NONE);
    format!("{}; {}", variable("TRACEPARENT", before), variable(STACK, beneath))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const INNER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";

    #[test]
    fn an_end_goes_back_to_what_was_before() {
        let check = |stack: Option<&str>, expected: Option<String>| {
            let end_of = MarkEnd { status: "ok".to_owned(), result: None, pid: None };
            assert_eq!(end(&end_of, None, stack).expect("no value is wrong"), expected, "{stack:?}");
        };
        check(None, None);
        check(Some("none"), Some("unset TRACEPARENT; unset ARGUS_PARENT".to_owned()));
        check(Some(OUTER), Some(format!("export TRACEPARENT={OUTER}; unset ARGUS_PARENT")));
        check(
            Some(&format!("{INNER}:{OUTER}:none")),
            Some(format!("export TRACEPARENT={INNER}; export ARGUS_PARENT={OUTER}:none")),
        );
        // Nothing that a shell would execute.
        check(Some("$(reboot)"), None);
        check(Some(&format!("{OUTER}:;reboot")), None);
    }

    #[test]
    fn fish_has_a_word_of_its_own() {
        assert_eq!(back_to(NONE, true), "set --erase TRACEPARENT; set --erase ARGUS_PARENT");
        assert_eq!(back_to(OUTER, true), format!("export TRACEPARENT={OUTER}; set --erase ARGUS_PARENT"));
    }

    #[test]
    fn what_has_no_name_says_so() {
        assert_eq!(["deploy", "", " \t"].map(named), ["deploy", "(no name)", "(no name)"]);
    }

    #[test]
    fn values_are_json() {
        assert_eq!(value("--args", None).expect("none is fine"), None);
        assert_eq!(value("--args", Some("[1]")).expect("it is JSON"), Some(json!([1])));
        let refused = value("--args", Some("{a}")).err().expect("it is not JSON");
        assert_eq!(refused.to_string(), "the value of --args is not JSON");
    }
}
